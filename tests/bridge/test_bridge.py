# SPDX-License-Identifier: MIT
"""The bridge against a real Mosquitto with TLS: state and events, restarts, hostile clients, brokers that do not answer."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from earlid.bridge import bridge as bridge_module
from earlid.bridge.credentials import Broker, find_credentials, parse_broker, tls_context
from earlid.bridge.entities import ENTITIES, discovery
from earlid.bridge.retained import Retained
from earlid.cli import main
from earlid.errors import UserError
from earlid.ledger import outbox, schema
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard

from tests.bridge.brokers import (
    LIMIT_S,
    TOPICS,
    Client,
    Home,
    Listener,
    Mosquitto,
    MuteBroker,
    Running,
    certify,
    tls_lines,
    until,
)
from tests.collect.watching import program
from tests.ledger.synthetic_chains import BOARD, fields, seal_all

OTHER = "ffeeddccbbaa0011"
CONFIG = f"homeassistant/sensor/earlid_{BOARD}/lid/config"


def test_opening_rename_and_silence_reach_a_listener(mosquitto, location, monkeypatch):
    monkeypatch.setattr(bridge_module, "SUMS_S", 0.1)
    home = Home(location)
    home.add("open", "word", score=230, a=80, b=200)
    listener, one = Listener(mosquitto), Running(mosquitto, location)
    try:
        state = until(listener.state)
        assert (state["lid"], state["rail_live"], state["last_opening_score"], state["firmware"]) == ("open", True, 230, "0.2.0")
        assert listener.events == []  # the past is not told
        home.add("close", "timeout", a=8000, b=8100 << 16 | 8000)
        until(lambda: listener.seqs() == [3])
        assert until(lambda: listener.state()["lid"] == "closed")
        assert listener.state()["rail_live"] is False
        home.ledger.set_label(BOARD, 1, 2, False)
        until(lambda: listener.state()["false_openings"] == 1)
        until(lambda: listener.state()["chain"] == "intact")
        home.ledger.set_name(BOARD, "kitchen")
        until(lambda: json.loads(listener.retained[CONFIG])["device"]["name"] == "kitchen")
        assert listener.retained[f"earlid/{BOARD}/status"] == "online"
        monkeypatch.setattr(bridge_module, "HEARD_MS", -1)  # as if nobody had heard of it for so long
        until(lambda: listener.retained[f"earlid/{BOARD}/status"] == "offline")
        until(lambda: (listener.state()["lid"], listener.state()["rail_live"]) == ("unknown", None))
        one.stop()
        until(lambda: listener.retained[TOPICS.status] == "offline")
    finally:
        one.stop()
        listener.stop()
        home.ledger.close()


def test_board_that_is_told_of_no_more_takes_its_entities_along_and_comes_back_without_repeats(mosquitto, sqlite_location):
    home, listener = Home(sqlite_location, (BOARD, OTHER)), Listener(mosquitto)
    theirs = CONFIG.replace(BOARD, OTHER)
    try:
        one = Running(mosquitto, sqlite_location)
        until(lambda: listener.retained.get(theirs))
        home.add("open", "word", board=OTHER)
        until(lambda: listener.seqs() == [2])
        one.stop()
        one = Running(mosquitto, sqlite_location, names=[BOARD])
        until(lambda: listener.retained[theirs] == "" and listener.retained[f"earlid/{OTHER}/state"] == "")
        assert listener.retained[CONFIG]
        home.add("fault", "welded", board=OTHER)
        one.stop()
        one = Running(mosquitto, sqlite_location)
        until(lambda: listener.retained[theirs] != "")
        until(lambda: listener.seqs() == [2, 3])
    finally:
        one.stop()
        listener.stop()
        home.ledger.close()


def test_restarts_of_broker_and_bridge_lose_nothing_and_repeat_nothing_unmarked(mosquitto, home, listener, run):
    one = run()
    until(listener.state)
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
    assert list(dict.fromkeys(listener.seqs())) == list(range(2, 62))
    assert {(event["board"], event["boot"]) for event in listener.events} == {(BOARD, 1)}


def consumer():
    """What takes each event once, as the bridge's page has it."""
    (block,) = re.findall(r"```python\n(.*?)```", (Path(bridge_module.__file__).parent / "README.md").read_text(), re.S)
    names = {}
    exec(block, names)
    return names["is_new"]


def verb(broker, location, *words, **environment):
    """`earlid bridge mqtt` in a process of its own."""
    address = f"mqtts://localhost:{broker.port}"
    command = ["bridge", "mqtt", "--broker", address, "--ca", str(broker.folder / "cert.pem"), "--ledger", str(location.path)]
    return program(*command, *words, env=os.environ | environment, stderr=subprocess.PIPE, text=True)


def test_bridge_killed_in_mid_stream_loses_nothing_and_repeats_only_what_was_in_flight(mosquitto, home, listener):
    count = 1000
    expected = list(range(2, 2 + count))
    with verb(mosquitto, home.location) as first:
        until(listener.state)
        home.add("open", "word", count=count)
        until(lambda: len(listener.events) > count // 10)
        first.kill()
    until(lambda: listener.retained[TOPICS.status] == "offline")  # its last will
    assert len(listener.events) < count, "not killed in mid-stream"
    with verb(mosquitto, home.location):
        until(lambda: set(listener.seqs()) >= set(expected))
    assert list(dict.fromkeys(listener.seqs())) == expected
    assert len(listener.events) - count <= 20
    is_new = consumer()
    assert [json.loads(payload)["seq"] for _, payload in listener.raw if is_new(payload)] == expected


def test_second_bridge_of_a_name_ends_the_first_which_fed_its_watchdog_until_then(mosquitto, home, listener, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT_S)
        with verb(mosquitto, home.location, NOTIFY_SOCKET=str(tmp_path / "notify")) as first:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            until(listener.state)
            home.add("open", "word")
            until(lambda: listener.seqs() == [2])
            with verb(mosquitto, home.location) as second:
                assert first.wait(LIMIT_S) == 1
                assert f"another bridge of this ledger to earlid@localhost:{mosquitto.port} has begun" in first.stderr.read()
                home.add("close", "timeout")
                until(lambda: listener.seqs() == [2, 3])
                until(lambda: listener.retained[TOPICS.status] == "online")
                assert second.poll() is None


def test_log_that_nobody_reads_stops_no_bridge(mosquitto, home, listener):
    with verb(mosquitto, home.location) as one:
        until(listener.state)
        one.stderr.close()
        mosquitto.stop()  # which it says, as often as it is
        mosquitto.start()
        home.add("open", "word")
        until(lambda: listener.seqs() == [2])
        assert one.poll() is None


@pytest.mark.parametrize("thread", ["_judge_thread", "client"])
def test_watchdog_is_fed_only_while_every_thread_of_the_bridge_lives(home, thread, monkeypatch):
    fed = []
    broker = MuteBroker("connect", "subscribe", "publish")
    one = Running(broker, home.location, alive=lambda: fed.append(1))
    try:
        until(lambda: len(fed) > 1)
        monkeypatch.setattr(one.bridge, thread, type("Dead", (), {"is_alive": lambda: False, "is_running": False}))
        monkeypatch.setattr(one.bridge, "_step", lambda *_: None)
        time.sleep(0.1)
        fed.clear()
        time.sleep(1.2)
        assert not fed
    finally:
        monkeypatch.undo()
        one.stop()
        broker.close()


def test_hostile_client_is_counted_and_only_close_is_obeyed(home, listener, run):
    listener.client.publish("earlid/safe", "close", 1, retain=True)  # of before: not obeyed
    listener.client.publish("earlid/elsewhere/state", "x", 1, retain=True)
    listener.client.publish(f"earlid/{BOARD}/event", "y", 1, retain=True)
    one = run(retained=Retained(0.1))
    until(listener.state)
    for topic in [*listener.retained, "earlid/open", f"earlid/{BOARD}/set", f"homeassistant/switch/earlid_{BOARD}/open/config"]:
        for payload in ("open", "close" if topic != "earlid/safe" else "CLOSE", "\x00" * 5000):
            listener.client.publish(topic, payload, 1)
    until(lambda: one.bridge.ignored >= 3 * (len(listener.retained) + 2))
    assert not one.closed.is_set()
    until(lambda: listener.retained[f"earlid/{BOARD}/state"].startswith("{"))
    until(lambda: listener.retained[CONFIG].startswith("{"))
    until(lambda: listener.raw[-1] == (f"earlid/{BOARD}/event", b"") or (f"earlid/{BOARD}/event", b"") in listener.raw)
    assert listener.retained["earlid/elsewhere/state"]  # nobody's of ours: left alone
    listener.client.publish("earlid/safe", "close", 1)
    assert one.closed.wait(LIMIT_S)
    assert one.bridge.closes == 1


def test_broker_that_accepts_and_does_not_answer_is_tried_anew_and_stops_neither_end(home):
    cases = {
        (): "it does not answer",
        ("connect",): "confirms nothing",
        ("connect", "subscribe"): "confirms nothing",
        ("connect", "publish"): "confirms no subscription",
    }
    for answers in cases:
        outbox.begin(home.ledger, "+".join(answers))
    brokers = {answers: MuteBroker(*answers) for answers in cases}
    bridges = {answers: Running(at, home.location, answer_s=1.0, name="+".join(answers)) for answers, at in brokers.items()}
    try:
        home.add("open", "word")
        for answers, said in cases.items():
            until(lambda answers=answers: brokers[answers].connections >= 2)
            assert any(said in line for line in bridges[answers].lines), (answers, bridges[answers].lines)
        began_s = time.monotonic()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda one: one.stop(), bridges.values()))
        assert time.monotonic() - began_s < 8
        for answers in cases:
            told = outbox.begin(home.ledger, "+".join(answers))[BOARD].seq
            assert told == (2 if "publish" in answers else 1), answers
    finally:
        for at, one in zip(brokers.values(), bridges.values(), strict=True):
            one.stop()
            at.close()


def test_each_failure_of_tls_is_a_sentence_with_what_to_do(tmp_path):
    certify(tmp_path, "old-", days=-1)
    certify(tmp_path, "other-")
    broker = Mosquitto(
        tmp_path,
        "allow_anonymous true",
        f"allow_anonymous true\n{tls_lines(tmp_path, 'old-')}",
        f"require_certificate true\n{tls_lines(tmp_path)}",
        f"allow_anonymous false\n{tls_lines(tmp_path)}",
    )
    plain, expired, wanting, closed = broker.ports
    cases = [
        (
            "localhost",
            broker.port,
            "other-",
            "nobody whom this computer believes has signed its certificate: name who did with --ca",
        ),
        ("127.0.0.1", broker.port, "", "its certificate is for another name: give --broker the name that stands in it"),
        ("localhost", expired, "old-", "its certificate has expired, or this computer's clock is wrong"),
        ("localhost", plain, "", "perhaps it speaks no TLS at this port"),
        ("localhost", wanting, "", "it wants a client certificate: --cert FILE --key FILE"),
        ("localhost", closed, "", "see --credentials, --keyring and EARLID_MQTT_USER"),
        ("nowhere.invalid", 8883, "", "no computer of this name is known"),
        ("localhost", 1, "", "nobody listens there"),
    ]
    try:
        clients = []
        for host, port, stem, _ in cases:
            lines = []
            tls = tls_context(tmp_path / f"{stem}cert.pem", None, None)
            client = Client(Broker(host, port, True), "x", ("a", "b"), lambda: ["a"], lambda *_: None, lambda: None, lines.append,
                            tls=tls, answer_s=5.0)  # fmt: skip
            client.start()
            clients.append((client, lines))
        for (client, lines), (*case, sentence) in zip(clients, cases, strict=True):
            until(lambda lines=lines: lines)
            assert sentence in lines[0], (case, lines)
            assert not client.is_answering()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda both: both[0].stop(), clients))
    finally:
        broker.stop()


def test_password_file_environment_keyring_and_certificate_each_let_the_bridge_in(tmp_path, home):
    certify(tmp_path, "client-", client=True)
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "user", "se:cret"], check=True)
    passwords.chmod(0o644)
    broker = Mosquitto(
        tmp_path,
        f"allow_anonymous false\npassword_file {passwords}\n{tls_lines(tmp_path)}",
        f"require_certificate true\nuse_identity_as_username true\n{tls_lines(tmp_path).replace('cafile', '#')}\n"
        f"cafile {tmp_path}/client-cert.pem",
    )
    listener = Listener(broker)
    listener.client.subscribe("+/status", 1)
    for_passwords = type("At", (), {"port": broker.ports[0], "folder": tmp_path})
    for_certificates = type("At", (), {"port": broker.ports[1], "folder": tmp_path})
    file = tmp_path / "word"
    file.write_text("user\nse:cret\n")
    file.chmod(0o600)
    configuration = tmp_path / "config.toml"
    configuration.write_text(
        f'[mqtt]\nbroker = "mqtts://localhost:{broker.ports[0]}"\nbase = "file"\n'
        f'ca = "{tmp_path}/cert.pem"\ncredentials = "{file}"\n'
    )
    keyring = {"PYTHON_KEYRING_BACKEND": "tests.bridge.fake_keyring.Keyring"}
    both = [str(tmp_path / f"client-{part}.pem") for part in ("cert", "key")]
    try:
        with (
            program(
                "bridge", "mqtt", "--ledger", str(home.location.path), env=os.environ | {"EARLID_CONFIG": str(configuration)}
            ),
            verb(for_passwords, home.location, "--base", "env", EARLID_MQTT_USER="user", EARLID_MQTT_PASSWORD="se:cret"),
            verb(for_passwords, home.location, "--base", "ring", "--keyring", **keyring),
            verb(for_certificates, home.location, "--base", "cert", "--cert", both[0], "--key", both[1]),
        ):
            until(lambda: {listener.retained.get(f"{base}/status") for base in ("file", "env", "ring", "cert")} == {"online"})
    finally:
        listener.stop()
        broker.stop()


@pytest.mark.parametrize("text", ["mqtt://example.org", "mqtts://user:secret@example.org", "http://example.org", "mqtts://"])
def test_address_that_tells_secrets_is_refused(text):
    with pytest.raises(UserError):
        parse_broker(text, False)


@pytest.mark.parametrize("base", ["$SYS", "a/+/b", "#", "x" * 201, "a\x00b", "a\nb", "a\u202eb", "\udcff"])
def test_what_cannot_begin_a_topic_is_refused(base, capsys):
    for option in ("--base", "--prefix"):
        assert main(["bridge", "mqtt", option, base]) == 2
        assert "cannot begin a topic" in capsys.readouterr().err


def test_broker_that_sends_garbage_ends_no_thread_of_the_client():
    seed = 16
    rng = random.Random(seed)

    class Garbage(MuteBroker):
        def _reply(self, kind, body):
            reply = super()._reply(kind, body)
            framed = bytes([rng.randrange(256), count := rng.randrange(1, 60)]) + rng.randbytes(count)
            return rng.choice((reply, reply + framed, rng.randbytes(40)))

    broker, lines = Garbage("connect", "subscribe", "publish"), []
    client = Client(Broker("127.0.0.1", broker.port, False), "x", ("a/status", "offline"), lambda: ["a/#"], lambda *_: None,
                    lambda: None, lines.append, answer_s=0.5)  # fmt: skip
    client._client.reconnect_delay_set(0.01, 0.01)
    client.start()
    try:
        while broker.connections < 30:
            if client.is_answering() and (number := client.publish("a/x", "y", retain=False)) is not None:
                client.wait([number], client.session, lambda: None)
            assert client.is_running, (seed, lines)
            time.sleep(0.002)
    finally:
        client.stop()
        broker.close()


def test_credentials_that_others_can_read_or_that_are_missing_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "word"
    file.write_text("user\nsecret\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        find_credentials(file, False, "host")
    certify(tmp_path)
    with pytest.raises(UserError, match="chmod 600"):
        tls_context(None, tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))  # systemd's, whose ACL shows as a group that can read
    assert find_credentials(file, False, "host") == ("user", "secret")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    file.chmod(0o600)
    file.write_text("user\n")
    with pytest.raises(UserError, match="two lines"):
        find_credentials(file, False, "host")


def test_discovery_by_device_says_what_discovery_by_component_says():
    each = {topic: json.loads(payload) for topic, payload in discovery(TOPICS, BOARD, "kitchen", "0.2.0").items()}
    ((topic, payload),) = discovery(TOPICS, BOARD, "kitchen", "0.2.0", device_based=True).items()
    whole = json.loads(payload)
    assert topic == f"homeassistant/device/earlid_{BOARD}/config"
    shared = {"device": whole["device"], "origin": whole["origin"]}
    assert {
        f"homeassistant/{part.pop('platform')}/earlid_{BOARD}/{key}/config": part | shared
        for key, part in whole["components"].items()
    } == each
    assert len(each) == len(ENTITIES) + 1 == 13
    assert not any("command_topic" in config for config in each.values())


def test_bridge_with_discovery_by_device_takes_the_other_kind_back(home, listener, run):
    one = run()
    until(lambda: listener.retained.get(CONFIG))
    one.stop()
    run(device_based=True)
    until(lambda: listener.retained[CONFIG] == "" and listener.retained.get(f"homeassistant/device/earlid_{BOARD}/config"))


def test_ledger_of_version_2_is_read_as_it_is_and_bridged_from_now_on(location):
    with Ledger(location) as ledger:
        ledger.add(BOARD, seal_all([fields(1, 1000, "boot", "power-on"), fields(2, 2000, "open", "word")]))
        with ledger.transaction() as connection:
            connection.exec_driver_sql("DROP TABLE bridges")
            connection.execute(sa.update(schema.meta).where(schema.meta.c.key == "version").values(value="2"))
    where = location.url or str(location.path)
    with Reader(location) as reader:
        assert reader.rows("SELECT * FROM bridges") == []
        records = reader.rows("SELECT * FROM records")
    assert main(["review", "--since", "2020-01-01", "--ledger", where]) == 0
    with Ledger(location) as ledger:
        assert outbox.begin(ledger, "test") == {BOARD: outbox.Progress(1, 2)}
        outbox.confirm(ledger, "test", {BOARD: outbox.Progress(1, 3, ("a",))})
    with Ledger(location) as ledger, Reader(location) as reader:
        assert outbox.begin(ledger, "test") == {BOARD: outbox.Progress(1, 3, ("a",))}
        assert reader.rows("SELECT * FROM records") == records
        assert reader.rows("SELECT value FROM meta WHERE key = 'version'") == [(str(schema.VERSION),)]


def test_virtual_boards_opening_is_told_and_close_from_the_broker_closes_it(mosquitto, sqlite_location, listener):
    with VirtualBoard() as board:
        board.noise(-66)
        board.run_ms(6000)
        board.run_background(speed=4.0)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        at = {"EARLID_PORT": board.serial_port}
        with (
            program("watch", "-p", board.serial_port, "--ledger", str(sqlite_location.path), **quiet),
            verb(mosquitto, sqlite_location, **at) as one,
        ):
            states = lambda: [json.loads(text) for topic, text in listener.retained.items() if topic.endswith("/state")]  # noqa: E731
            until(lambda: [state["lid"] for state in states()] == ["closed"])
            board.talk(True)
            until(lambda: [state["lid"] for state in states()] == ["open"])
            assert board.rails[1] > 2500
            listener.client.publish("earlid/safe", "close", 1)
            until(lambda: json.loads(listener.retained.get("earlid/safe/result", "null")))
            board.run_ms(300)
            assert board.rails[1] < 300
            until(lambda: [state["lid"] for state in states()] == ["closed"])
            told = lambda: [event for event in listener.events if event["event_type"] != "fault"]  # noqa: E731
            until(lambda: [event["event_type"] for event in told()] == ["open", "close"])
            assert told()[0]["reason"] == "button"
            one.send_signal(signal.SIGTERM)
            assert one.wait(LIMIT_S) == 0
        board.pause()
    until(lambda: listener.retained["earlid/status"] == "offline")


SOAK_BOARDS, SOAK_RATE, SOAK_S = 48, 10, 60


@pytest.mark.soak
def test_48_boards_with_10_events_a_second_lose_nothing_over_restarts(mosquitto, sqlite_location, listener):
    names = [f"{number:016x}" for number in range(1, SOAK_BOARDS + 1)]
    home = Home(sqlite_location, names)
    used_s = 0.0

    def end(process, signal_number):
        process.send_signal(signal_number)
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        return used.ru_utime + used.ru_stime

    with verb(mosquitto, sqlite_location) as first:
        until(lambda: sum(topic.endswith("/state") for topic in listener.retained) == SOAK_BOARDS)
        began_s = time.monotonic()
        for half_second in range(2 * SOAK_S):
            for board in names:
                home.add("open", "word", board=board, count=SOAK_RATE // 2, score=230)
            if half_second == SOAK_S // 2:
                mosquitto.stop()
                mosquitto.start()
            if half_second == SOAK_S:
                used_s += end(first, signal.SIGKILL)
                second = verb(mosquitto, sqlite_location)
                process = second.__enter__()
            time.sleep(max(0.0, began_s + (half_second + 1) / 2 - time.monotonic()))
        took_s = time.monotonic() - began_s
    expected = {(board, 1, seq) for board in names for seq in range(2, 2 + SOAK_RATE * SOAK_S)}
    heard = lambda: [(event["board"], event["boot"], event["seq"]) for event in list(listener.events)]  # noqa: E731
    until(lambda: len(set(heard())) >= len(expected))
    late_s = time.monotonic() - began_s - took_s
    used_s += end(process, signal.SIGTERM)
    second.__exit__(None, None, None)
    home.ledger.close()
    found = heard()
    assert set(found) == expected
    for board in names:
        assert list(dict.fromkeys(seq for at, _, seq in found if at == board)) == list(range(2, 2 + SOAK_RATE * SOAK_S))
    print(f"{len(expected)} events of {SOAK_BOARDS} boards in {took_s:.1f} s, all there {late_s:.1f} s later; "
          f"{len(found) - len(expected)} came again; the bridge took {used_s:.1f} s of a processor", file=sys.stderr)  # fmt: skip
    assert used_s < took_s
