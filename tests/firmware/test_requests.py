# SPDX-License-Identifier: MIT
"""Requests: none opens the lid, loosening needs a gesture, and no host hurts the record."""

import itertools
import json

import pytest
from lid import config, wire

from tests.firmware.kit import Bench, JournalRecord, check_chain

ODD = (None, True, -1, 0, 1, 29, 30, 65535, 2**32, 2**48, 1e308, "", "word", [], [1], {}, {"open_ms": 60000})
ARGUMENTS = ("from", "max", "seq", "link", "wall_ms", "unc_ms", "every_ms", "config", "key", "open_ms", "ms")
KNOWN = (
    *("hello", "sync", "ack", "clock", "close", "telemetry", "selftest", "config-get", "config-set", "config-rollback"),
    "pair",
)
VERBS = (
    *KNOWN,
    *("open", "unmute", "mute", "reset", "reboot", "eval", "exec", "open_lid", "OPEN", "config_set"),
)


def loosest():
    """A configuration with every setting at its loosest end."""
    values = {}
    for name, (default, low, high, way) in config.SCHEMA.items():
        values[name] = {config.TIGHTER_UP: low, config.TIGHTER_DOWN: high}.get(way, default)
    values["cutoff_q8"] = 1
    return config.check(values)


def test_no_request_opens_the_lid_or_loosens_the_gate():
    """Every verb there is, and some there are not, with every argument in and out of range, from a host without presence."""
    with Bench() as bench:
        before = bench.request("config-get")["config"]
        cases = [(verb, {}) for verb in VERBS]
        cases += [(verb, {name: value}) for verb in KNOWN for name in ARGUMENTS for value in ODD]
        cases += [("sync", {"from": a, "max": b}) for a, b in itertools.product(ODD, ODD)]
        cases += [("config-set", {"config": {name: value}}) for name in config.SCHEMA for value in ODD]
        cases.append(("config-set", {"config": loosest()}))
        for number, (verb, arguments) in enumerate(cases):
            if verb == "selftest":
                continue  # takes a second of silence; a test of its own
            bench.board.send(wire.encode(number, {"id": number, "do": verb, **arguments}))
            bench.board.run_ms(20)
        bench.board.run_ms(2000)
        assert not bench.board.events("guarded_relay"), "a request opened the lid"
        after = bench.request("config-get")["config"]
        assert not config.loosens(before, after)
        assert bench.hello()["state"] == "closed"
        assert ("config", "refused") in bench.events()
        assert ("config", "paired") not in bench.events()
        assert not any("key" in body for body in bench.messages())
        assert len({body["re"] for body in bench.messages() if "re" in body}) > len(cases) * 0.6
        bench.sync()
        check_chain(bench.records(), bench.hello()["board"])


def test_host_closes_an_open_lid_and_cannot_keep_it_open():
    with Bench() as bench:
        bench.open_by_button()
        for do in ("selftest", "config-set", "config-rollback", "pair", "probe"):
            bench.request(do, **{"config-set": {"config": {"silence_ms": 60000}}, "probe": {"ms": 100}}.get(do, {}))
        assert bench.guarded_live(), "nothing that a host asks for needs the lid closed first"
        bench.request("close")
        assert bench.ms_until_closed(250) <= 250
        bench.board.run_ms(300)
        assert bench.last_record("close").reason == "host"


def test_close_with_the_last_requests_id_still_closes():
    with Bench() as bench:
        line = wire.encode(1, {"id": 77, "do": "close"})
        for _ in range(2):
            bench.open_by_button()
            bench.board.send(line)
            assert bench.ms_until_closed(400) <= 400
            bench.board.run_ms(1000)


def test_configuration_survives_a_power_cut():
    with Bench() as bench:
        assert bench.request_with_consent("config-set", config={"open_ms": 4000})["ok"]
        bench.board.power_cut()
        bench.board.run_ms(100)
        bench.board.power_on()
        bench.board.run_ms(7000)
        assert bench.request("config-get")["config"]["open_ms"] == 4000


def test_changed_configuration_has_a_record_after_any_power_cut():
    """Power cut at every flash write of a change: where the new one is found afterwards, so is the record of it."""
    found = []
    cut = True
    while cut:  # until a write that there is none of
        with Bench() as bench:
            bench.announce("config-set", config={"open_ms": 4000})
            bench.board.mute(True)
            bench.board.run_ms(500)
            bench.board.talk(True)
            bench.board.run_ms(2900)
            bench.board.power_cut_at_write(len(found) + 1)
            bench.board.run_ms(1500)
            cut = not bench.board.simulation.circuit.powered
            bench.board.power_cut_at_write(None)
            bench.board.talk(False)
            bench.board.mute(False)
            bench.board.power_cut()
            bench.board.power_on()
            bench.board.run_ms(7000)
            bench.sync()
            found.append(bench.request("config-get")["config"]["open_ms"])
            assert found[-1] == 8000 or ("config", "changed") in bench.events(), f"write {len(found)}: changed without a record"
    assert found[-1] == 4000
    assert found.count(8000) > 3


@pytest.mark.parametrize("bad", [{"open_ms": 100}, {"open_ms": "8000"}, {"window": 3}, {"open_ms": 8000.0}, {"energy_gate": 1}])
def test_setting_out_of_range_is_refused_by_name(bad):
    with Bench() as bench:
        reply = bench.request("config-set", config=bad)
        assert reply["err"] == "argument"
        assert next(iter(bad)) in reply["say"]


def test_sync_returns_every_record_and_ack_is_checked():
    with Bench() as bench:
        for _ in range(5):
            bench.press(150)
            bench.press(150)
            bench.board.run_ms(400)
        own = bench.records()
        lines = len(bench.messages())
        bench.sync(batch=7)
        again = [JournalRecord(*body["rec"]) for body in bench.messages()[lines:] if "rec" in body]
        assert again == own
        last = own[-1]
        assert bench.request("ack", seq=last.seq, link="00" * 12)["err"] == "argument"
        assert bench.request("ack", seq=last.seq, link=last.link)["acked"] == 0, "whoever is not paired frees nothing"
        assert bench.request("ack", seq=10**6, link=last.link)["err"] == "argument"


def test_repeated_request_is_idempotent():
    with Bench() as bench:
        line = wire.encode(1, {"id": 77, "do": "clock", "wall_ms": 1763780000000, "unc_ms": 20})
        for _ in range(3):
            bench.board.send(line)
            bench.board.run_ms(100)
        assert len([body for body in bench.messages() if body.get("re") == 77]) == 3
        assert len(bench.records("clock")) == 1


def test_clock_hint_is_recorded_when_set_and_when_stepped():
    with Bench() as bench:
        assert bench.request("clock", wall_ms=1763780000000, unc_ms=20)["step_ms"] == 0
        bench.board.run_ms(1000)
        bench.request("clock", wall_ms=1763780001000 + 5, unc_ms=20)
        assert len(bench.records("clock")) == 1
        step = bench.request("clock", wall_ms=1763780000000 - 5000, unc_ms=20)["step_ms"]
        assert -8000 < step < -4000
        assert bench.last_record("clock").a == step & 0xFFFFFFFF
        assert abs(bench.last_record("clock").wall_ms - 1763779995000) < 100


def test_line_noise_changes_nothing():
    with Bench() as bench:
        typed = b"import machine; machine.reset()\r\n"
        for junk in (b"\x03\x03\x04\x01", typed, b"#" * 3000, bytes(range(256)) * 8, b"\n" * 500):
            bench.board.send(junk)
            bench.board.run_ms(300)
        assert bench.hello()["boot"] == 1
        assert len(bench.board.resets) == 1


def test_telemetry_is_numbers_only_and_stops_on_request():
    with Bench() as bench:
        bench.request("telemetry", every_ms=100)
        bench.board.run_ms(1000)
        lines = [body["tm"] for body in bench.messages() if "tm" in body]
        assert 8 <= len(lines) <= 11
        assert all(isinstance(value, int) for line in lines for name, value in line.items() if name != "state")
        bench.request("telemetry", every_ms=0)
        count = sum("tm" in body for body in bench.messages())
        bench.board.run_ms(1000)
        assert sum("tm" in body for body in bench.messages()) == count


def test_full_queue_drops_whole_lines():
    with Bench() as bench:
        for number in range(60):  # faster than 115200 baud can carry the answers
            bench.board.send(wire.encode(number, {"id": number, "do": "hello"}))
        bench.board.run_ms(4000)
        hello = bench.hello()
        assert hello["dropped"] > 0
        text = bench.board.console
        frames = [line for line in text.splitlines() if line.startswith("#")]
        assert all(json.loads(line[line.index(" ") : -9]) for line in frames)


def test_maintenance_opens_the_repl_with_both_relays_off():
    with Bench(start=False) as bench:
        bench.board.talk(True)
        bench.board.start()
        bench.board.run_ms(4000)
        assert ("maintenance", "entered") in [(n["rec"][3], n["rec"][4]) for n in bench.messages() if "rec" in n] or any(
            body.get("hi", {}).get("maintenance") for body in bench.messages()
        )
        bench.board.talk(False)
        bench.board.send(b"print(6*7)\r\n")
        bench.board.wait_for("42")
        bench.board.run_ms(3000)
        assert not bench.board.events("sentinel_relay", "guarded_relay")
        bench.board.power_cut()
        bench.board.power_on()
        bench.board.run_ms(7000)
        reply = bench.request("sync", from_=1, max=64)
        assert reply["ok"]
        assert ("maintenance", "entered") in bench.events()
