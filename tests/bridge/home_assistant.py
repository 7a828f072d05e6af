# SPDX-License-Identifier: MIT
"""The bridge and a real Home Assistant (`make test-ha`): entities exist, change at an opening, go when the bridge is killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from earlid.ledger.location import locate

from tests.bridge import brokers
from tests.bridge.brokers import Home, Mosquitto, until
from tests.ledger.synthetic_chains import BOARD

PROGRAM = Path(os.environ.get("EARLID_TEST_HASS", "build/homeassistant/bin/hass")).absolute()
SERVE = """
import sys
from earlid.ledger.location import locate
from tests.bridge.brokers import Running
class At: pass
at = At(); at.port = int(sys.argv[1]); at.folder = __import__("pathlib").Path(sys.argv[2])
Running(at, locate(sys.argv[3]), device_based=sys.argv[4] == "device").thread.join()
"""


class HomeAssistant:
    """A Home Assistant with the MQTT integration, asked over its API."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.url.rpartition(":")[2]
        parts = "api:\nauth:\nconfig:\nwebsocket_api:\n"
        (folder / "configuration.yaml").write_text(f"http:\n  server_host: 127.0.0.1\n  server_port: {port}\n{parts}")
        words = [str(PROGRAM), "--script", "auth", "-c", str(folder), "add", "tester", "tester"]
        subprocess.run(words, check=True, capture_output=True)
        self.log = folder / "home-assistant-output"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(PROGRAM), "-c", str(folder)], stdout=log, stderr=log)
        self.token = ""

    def ask(self, path, body=None, form=False):
        data = None if body is None else (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
        request = urllib.request.Request(self.url + path, data)
        request.add_header("content-type", "application/x-www-form-urlencoded" if form else "application/json")
        if self.token:
            request.add_header("authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.load(reply)

    def answers(self):
        try:
            self.ask("/api/")
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def sign_in(self):
        client = {"client_id": self.url + "/"}
        flow = self.ask("/auth/login_flow", client | {"handler": ["homeassistant", None], "redirect_uri": self.url + "/"})
        code = self.ask(f"/auth/login_flow/{flow['flow_id']}", client | {"username": "tester", "password": "tester"})["result"]
        grant = client | {"grant_type": "authorization_code", "code": code}
        self.token = self.ask("/auth/token", grant, form=True)["access_token"]

    def states(self):
        return {item["entity_id"]: item for item in self.ask("/api/states")}

    def state(self, entity):
        return self.states().get(entity, {}).get("state")


@pytest.mark.skipif(not PROGRAM.exists(), reason="no Home Assistant: `make test-ha`")
def test_home_assistant_shows_a_board_its_opening_and_that_the_bridge_has_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(brokers, "LIMIT_S", 90.0)
    tls, conf = tmp_path / "tls", tmp_path / "conf"
    tls.mkdir()
    conf.mkdir()
    broker = Mosquitto(tls, "allow_anonymous true")
    (plain,) = broker.ports  # Home Assistant's own listener
    home, assistant = Home(locate(str(tmp_path / "ledger.sqlite"))), HomeAssistant(conf)
    version = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True).stdout.split(".")
    form = "device" if tuple(map(int, version[:2])) >= (2024, 11) else "component"
    words = [sys.executable, "-c", SERVE, str(broker.port), str(tls), str(home.location.path), form]
    bridge = subprocess.Popen(words)
    try:
        until(assistant.answers)
        assistant.sign_in()
        until(lambda: "mqtt" in assistant.ask("/api/config/config_entries/flow_handlers"))
        flow = assistant.ask("/api/config/config_entries/flow", {"handler": "mqtt"})
        done = assistant.ask(f"/api/config/config_entries/flow/{flow['flow_id']}", {"broker": "127.0.0.1", "port": plain})
        assert done["type"] == "create_entry", done
        at = f"earlid_{BOARD[:8]}"
        until(lambda: assistant.state(f"sensor.{at}_lid") == "closed")
        found = {name for name in assistant.states() if at in name}
        assert len(found) == 13, found
        home.add("open", "word", score=230, a=80, b=200)
        until(lambda: assistant.state(f"sensor.{at}_lid") == "open")
        assert assistant.state(f"binary_sensor.{at}_guarded_rail_live") == "on"
        until(lambda: assistant.states()[f"event.{at}_event"]["attributes"].get("event_type") == "open")
        assert assistant.state(f"sensor.{at}_last_opening_score") == "230"
        bridge.kill()
        until(lambda: {assistant.state(name) for name in found} == {"unavailable"})
    finally:
        for process in (bridge, assistant.process):
            process.kill()
            process.wait()
        broker.stop()
        home.ledger.close()
