# SPDX-License-Identifier: MIT
"""The bridge against a real Mosquitto with TLS: state and events, restarts, a hostile client, a broker that never answers."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from earlid.bridge import bridge as bridge_module
from earlid.bridge.bridge import Bridge
from earlid.bridge.credentials import Broker, find_credentials, parse_broker, tls_context
from earlid.bridge.entities import Topics
from earlid.errors import UserError
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from lid import record

from tests.ledger.synthetic_chains import BOARD, fields, seal_all

paho = pytest.importorskip("paho.mqtt.client")
from earlid.bridge.client import Client  # noqa: E402

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
LIMIT_S = 30.0
TOPICS = Topics("earlid")


def until(condition):
    end_s = time.monotonic() + LIMIT_S
    while not (found := condition()):
        assert time.monotonic() < end_s
        time.sleep(0.02)
    return found


def certify(folder):
    """A certificate for `localhost` that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(9)
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kind = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    (folder / "key.pem").chmod(0o644)  # Mosquitto, started by root, reads it as another user


class Mosquitto:
    """Debian's Mosquitto, with TLS."""

    def __init__(self, folder):
        self.folder = folder
        certify(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location {folder}/\n"
            f"cafile {folder}/cert.pem\ncertfile {folder}/cert.pem\nkeyfile {folder}/key.pem\nmax_queued_messages 0\n"
        )
        self.start()

    def start(self):
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "conf")], stdout=log, stderr=log)
        until(self.answers)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def mosquitto(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("no Mosquitto here (apt-get install mosquitto)")
    one = Mosquitto(tmp_path)
    yield one
    one.stop()


class Listener:
    """Another client, which keeps what it hears, also while it is away."""

    def __init__(self, broker):
        self.retained, self.events = {}, []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "listener", clean_session=False)
        self.client.tls_set_context(tls_context(broker.folder / "cert.pem", None, None))
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe([("earlid/#", 1), ("homeassistant/#", 1)])
        self.client.on_message = self.take
        self.client.connect("localhost", broker.port)
        self.client.loop_start()

    def take(self, _client, _data, message):
        if message.topic.endswith("/event"):
            self.events.append(json.loads(message.payload))
        else:
            self.retained[message.topic] = message.payload.decode()

    def state(self):
        return json.loads(self.retained.get(f"earlid/{BOARD}/state", "null"))

    def seqs(self):
        return [event["seq"] for event in self.events]

    def stop(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def listener(mosquitto):
    one = Listener(mosquitto)
    yield one
    one.stop()


class Running:
    """A bridge in a thread."""

    def __init__(self, broker, location, names=(), **options):
        self.lines, self.closed = [], threading.Event()

        def make_client(bridge):
            where = Broker("localhost", broker.port, True)
            tls = tls_context(broker.folder / "cert.pem", None, None) if hasattr(broker, "folder") else None
            return Client(where, "earlid", (TOPICS.status, "offline"), bridge.subscriptions, bridge.take, bridge.wake,
                          self.lines.append, tls=tls, answer_s=3.0)  # fmt: skip

        self.bridge = Bridge(location, "test", TOPICS, names, make_client, self.close, self.lines.append, **options)
        self.thread = threading.Thread(target=self.bridge.run)
        self.thread.start()

    def close(self):
        self.closed.set()
        return [{"port": "p", "closed": True}]

    def stop(self):
        self.bridge.stop()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


class Home:
    """A ledger with one board, whose records come as a test wants them."""

    def __init__(self, folder):
        self.location = locate(str(folder / "ledger.sqlite"))
        self.ledger = Ledger(self.location)
        self.seq, self.prev = 0, record.genesis(BOARD)
        self.add("boot", "power-on", a=0x000200)

    def add(self, event, reason="", **values):
        self.seq += 1
        (slot,) = seal_all([fields(self.seq, 1000 * self.seq, event, reason, **values)], prev=self.prev)
        self.prev = slot[40:52]
        self.ledger.add(BOARD, [slot])


@pytest.fixture
def home(tmp_path):
    one = Home(tmp_path)
    yield one
    one.ledger.close()


@pytest.fixture
def run(mosquitto, home):
    started = []

    def start(**options):
        started.append(Running(mosquitto, home.location, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_opening_and_rename_reach_a_listener_and_a_removed_board_leaves(home, listener, run):
    home.add("open", "word", score=230, a=80, b=200)
    one = run()
    assert until(listener.state)["lid"] == "open"
    assert listener.events == []  # the past is not told
    home.add("close", "timeout", a=8000, b=8100 << 16 | 8000)
    until(lambda: listener.seqs() == [3])
    assert until(lambda: listener.state()["lid"] == "closed")
    assert listener.state()["rail_live"] is False
    config = f"homeassistant/sensor/earlid_{BOARD}/lid/config"
    home.ledger.set_name(BOARD, "kitchen")
    until(lambda: json.loads(listener.retained[config])["device"]["name"] == "kitchen")
    one.stop()
    until(lambda: listener.retained[TOPICS.status] == "offline")
    with home.ledger.transaction() as connection:  # nobody else collects from it any more
        connection.exec_driver_sql("UPDATE bridges SET board = 'ffffffffffffffff' WHERE board != ''")
        connection.exec_driver_sql(f"UPDATE bridges SET topics = replace(topics, '{BOARD}', 'ffffffffffffffff')")
    run()
    until(lambda: listener.retained.get(config.replace(BOARD, "f" * 16)) == "")
    assert listener.retained[config]


def test_restarts_of_broker_and_bridge_lose_nothing_and_repeat_nothing_unmarked(mosquitto, home, listener, run):
    one = run()
    until(lambda: one.bridge._told)
    for i in range(60):
        home.add("open" if i % 2 else "fault", "word" if i % 2 else "mic-clipped")
        if i == 20:
            mosquitto.stop()
        if i == 40:
            mosquitto.start()
        if i == 50:
            one.stop()
            one = run()
    until(lambda: set(listener.seqs()) >= set(range(2, 62)))
    first_seen = list(dict.fromkeys(listener.seqs()))
    assert first_seen == list(range(2, 62))
    assert {(event["board"], event["boot"]) for event in listener.events} == {(BOARD, 1)}


def test_hostile_client_is_counted_and_only_close_is_obeyed(home, listener, run, monkeypatch):
    monkeypatch.setattr(bridge_module, "REPAIR_S", 0.1)
    listener.client.publish("earlid/safe", "close", 1, retain=True)  # of before: not obeyed
    listener.client.publish("earlid/elsewhere/state", "x", 1, retain=True)
    one = run()
    until(listener.state)
    for topic in [*listener.retained, "earlid/open", f"earlid/{BOARD}/set"]:
        for payload in ("open", "close" if topic != "earlid/safe" else "CLOSE", "\x00" * 5000):
            listener.client.publish(topic, payload, 1)
    until(lambda: one.bridge.ignored >= 3 * 10)
    assert not one.closed.is_set()
    until(lambda: listener.retained[f"earlid/{BOARD}/state"].startswith("{"))
    listener.client.publish("earlid/safe", "close", 1)
    assert one.closed.wait(LIMIT_S)
    assert one.bridge.closes == 1


def test_broker_that_accepts_and_never_answers_stops_neither_collecting_nor_the_end(home):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = type("Silent", (), {"port": silent.getsockname()[1]})
        one = Running(broker, home.location)
        connection, _ = silent.accept()
        home.add("open", "word")
        began_s = time.monotonic()
        silent.settimeout(20)
        silent.accept()[0].close()  # it tries anew
        assert time.monotonic() - began_s < 15
        one.stop()
        connection.close()


def test_certificate_of_another_name_or_authority_is_refused(mosquitto):
    context = tls_context(None, None, None)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    with pytest.raises(ssl.SSLError), socket.create_connection(("localhost", mosquitto.port)) as raw:
        context.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.parametrize("text", ["mqtt://example.org", "mqtts://user:secret@example.org", "http://example.org", "mqtts://"])
def test_address_that_tells_secrets_is_refused(text):
    with pytest.raises(UserError):
        parse_broker(text, False)


def test_credentials_come_from_a_private_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "word"
    file.write_text("user\nsecret\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        find_credentials(file, False, "host")
    file.chmod(0o600)
    assert find_credentials(file, False, "host") == ("user", "secret")
    monkeypatch.setenv("EARLID_MQTT_USER", "other")
    assert find_credentials(None, False, "host") == ("other", "")
