# SPDX-License-Identifier: MIT
"""A hostile host: it can neither free nor fill the journal, nor move a paired host's clock, nor make the loop late."""

import binascii
import itertools
import random
import sys
from types import SimpleNamespace

import pytest
from lid import authority, config, record, requests, wire
from lid.wire_schema import REQUESTS, YEAR_2020, YEAR_2100, field_of, fields

from tests.firmware.kit import Bench, check_chain
from tests.firmware.test_memory import patched

WALL_MS = 1_763_780_000_000
DAY_HOPS = 8_640_000
HOUR_MS = 3_600_000
SLOTS, KEPT = 1008, 20  # of a segment; full segments
ERASES = 100_000  # that flash is rated for
SMALL = 130  # slots of a segment in the tests that fill some


def small_ring(**changes):
    """A firmware whose segments have few slots, of which few are kept, in a room that is never quiet."""
    return patched(
        ("lid/segments.py", "SLOTS = const(1008)", f"SLOTS = const({SMALL})"),
        ("lid/segments.py", "_KEPT = const(20)", "_KEPT = const(1)"),
        ("lid/app.py", "_QUIET_ROOM_HOPS = const(200)", "_QUIET_ROOM_HOPS = const(200000000)"),
    )


def test_bucket_gives_no_more_than_it_has_and_says_when(seed):
    rng = random.Random(seed)
    for _ in range(50):
        size, every = rng.randrange(1, 15), rng.randrange(1, 40000)
        bucket, now, taken = authority.Bucket(size, every), 0, []
        for _ in range(300):
            wait = bucket.take(now)
            if wait:
                assert bucket.take(now + wait - 1) == 1, f"seed {seed}"
                now += wait if rng.random() < 0.5 else rng.randrange(wait)
            else:
                taken.append(now)
                now += rng.choice((0, 1, every // 3, 2 * every))
        for first in range(len(taken)):
            for last in range(first, len(taken)):
                assert last - first + 1 <= size + (taken[last] - taken[first]) // every + 1, f"seed {seed}"


def records_a_day():
    """What a host can have written in a day by asking at every hop; a self-test's token is worth two records."""
    bucket = authority.Bucket(requests._RECORDS, requests._RECORD_HOPS)
    now = tokens = 0
    while now < DAY_HOPS:
        wait = bucket.take(now)
        now += wait
        tokens += not wait
    return 2 * tokens


def test_worst_host_wears_the_flash_out_in_thousands_of_years():
    """The figures of firmware/README.md; signed requests have a bucket of the same size of their own."""
    without_key = records_a_day()
    assert 570 <= without_key <= 600
    erases_a_year = without_key * 365 / (SLOTS * KEPT)
    assert 10 < erases_a_year < 11
    assert ERASES / erases_a_year > 9_000
    assert ERASES / (2 * erases_a_year) > 4_500


def test_hint_never_moves_the_clock_of_a_paired_host():
    with Bench() as bench:
        assert bench.request("clock", wall_ms=WALL_MS, unc_ms=20)["step_ms"] == 0
        assert (bench.events()[-1], bench.records()[-1].flags) == (("clock", "hint"), record.CLOCK_SET)
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        assert bench.signed(key, "clock", wall_ms=WALL_MS + 5000, unc_ms=20)["ok"]
        vouched = bench.last_record("clock")
        assert (vouched.reason, vouched.flags) == ("set", record.CLOCK_SET | record.CLOCK_VOUCHED)
        for wall_ms in (YEAR_2020, YEAR_2100, WALL_MS + 5900):
            bench.request("clock", wall_ms=wall_ms, unc_ms=0)
        bench.open_by_button()
        opened = bench.last_record("open")
        assert abs(opened.wall_ms - vouched.wall_ms - (opened.ms - vouched.ms)) < 50
        assert opened.flags & record.CLOCK_VOUCHED
        assert bench.last_record("clock") == vouched
        bench.board.reset_pin()
        bench.board.run_ms(9000)
        assert bench.request("clock", wall_ms=WALL_MS, unc_ms=20)["ok"]
        assert bench.last_record("clock").reason == "hint", "of an earlier start nothing is known"


def test_row_of_small_steps_is_recorded():
    """Each step is less than what is recorded; together they are not."""
    with Bench() as bench:
        for n in range(8):
            bench.request("clock", wall_ms=WALL_MS + 900 * n, unc_ms=20)
        assert 3 <= len(bench.records("clock")) <= 8


def test_wrong_mac_changes_nothing_and_a_right_one_serves_once():
    with Bench() as bench:
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        bench.sync()
        head = bench.records()[-1]
        hello = bench.hello()
        for mac in ("0" * 16, "", 7, None, {}, "é", "0" * 15):
            reply = bench.request("ack", seq=head.seq, link=head.link, mac=mac)
            assert reply["err"] == "mac", mac
        assert bench.signed(bytes(32), "ack", seq=head.seq, link=head.link)["err"] == "mac"
        assert bench.hello()["nonce"] == hello["nonce"]
        assert bench.hello()["acked"] == 0
        done = bench.signed(key, "ack", seq=head.seq, link=head.link)
        assert (done["acked"], done["nonce"]) == (head.seq, bench.hello()["nonce"])
        assert done["nonce"] != hello["nonce"]
        # The same line under another id: its nonce is spent.
        sent = next(line for line in reversed(bench.sent) if line["do"] == "ack")
        assert bench.request("ack", **{name: sent[name] for name in ("seq", "link", "client", "mac")})["err"] == "mac"
        refused = bench.signed(key, "ack", seq=head.seq + 900, link=head.link)
        assert refused["err"] == "argument"
        assert refused["nonce"] == bench.hello()["nonce"]


def test_signed_change_tightens_and_announces_what_loosens():
    with Bench() as bench:
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        assert bench.signed(key, "config-set", config={"open_ms": 4000})["ok"]
        assert bench.last_record("config").reason == "changed"
        reply = bench.signed(key, "config-set", config={"open_ms": 4000, "cutoff_q8": 1})
        assert reply["wait"]
        assert reply["nonce"] == bench.hello()["nonce"]
        bench.request("cancel", client="5eed")
        assert "wait" in bench.request("config-set", config={"open_ms": 3000}), "unsigned: in either direction"
        bench.request("cancel")
        bench.open_by_button()
        assert bench.signed(key, "config-set", config={"open_ms": 3000})["err"] == "state"
        assert bench.request("config-get")["config"] == {**config.defaults(), "open_ms": 4000}


def test_alternating_clock_and_ack_of_the_head_free_and_hide_nothing():
    """The attack that wiped a ring without a `lost` record: what goes is counted, and the flood itself is a few records."""
    with Bench(files=small_ring(), firmware=None) as bench:
        while bench.hello()["oldest"] == 1:
            for far in (YEAR_2020, YEAR_2100):
                bench.press()
                bench.request("clock", wall_ms=far, unc_ms=0)
                hello = bench.hello()
                bench.request("ack", seq=hello["seq"], link=hello["link"])
        bench.sync()
        gone = bench.hello()["oldest"] - 1
        lost = bench.records("lost")
        assert [(entry.reason, entry.b) for entry in lost] == [("overwritten", 1)]
        assert lost[0].a == gone
        assert bench.hello()["acked"] == 0
        minutes = bench.records()[-1].ms / 60_000
        assert len(bench.records("clock")) <= requests._RECORDS + minutes / 5 + 1
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        hello = bench.hello()
        bench.signed(key, "ack", seq=hello["seq"], link=hello["link"])
        while bench.hello()["oldest"] == gone + 1:
            bench.press()
        assert len(bench.records("lost")) == 1, "a paired host had read them"


def test_flood_is_counted_in_one_record_whenever_there_is_room():
    with Bench() as bench:
        begun = bench.hello()["seq"]
        busy = 0
        for step in range(90):
            if step % 30 == 29:
                bench.board.step_clock(320_000)
            reply = bench.request("clock", wall_ms=(YEAR_2020, YEAR_2100)[step % 2], unc_ms=0)
            busy += reply.get("err") == "busy"
            if not reply["ok"]:
                assert 0 < reply["ms"] <= 300_000
        bench.board.step_clock(320_000)
        bench.board.run_ms(100)
        limited = bench.records("limited")
        assert 3 <= len(limited) <= 4
        assert sum(entry.a for entry in limited) == busy
        assert all(0 < entry.b < 700_000 for entry in limited)
        own = [entry for entry in bench.records() if entry.seq > begun and entry.event != "fault"]
        assert len(own) <= requests._RECORDS + 5
        assert len(own) == len(bench.records("clock")) + len(limited)


def test_last_slots_are_the_boards_own():
    """A flood while the lid is open and no room can be made: open, marks and close are recorded, of the host nothing."""
    with Bench(files=small_ring(), firmware=None) as bench:
        for attempt in range(300):
            bench.board.talk(True)  # held: it stays open
            bench.board.run_ms(300)
            opened = bench.last_record("open")
            if bench.request("clock", wall_ms=(YEAR_2020, YEAR_2100)[attempt % 2], unc_ms=0).get("ms") == 60_000:
                break  # nearly full, and no room is made while it is open
            bench.board.talk(False)
            bench.request("close")
            bench.board.run_ms(300)
            if attempt % 80 == 79:  # openings bring two records and a start three: the last slots can begin with an opening
                bench.board.reset_pin()
                bench.board.run_ms(9000)
        else:
            raise AssertionError("the journal was never nearly full with the lid open")
        refused = {bench.request("clock", wall_ms=wall_ms, unc_ms=0).get("err") for wall_ms in (YEAR_2020, YEAR_2100) * 10}
        assert refused == {"busy"}
        bench.board.run_ms(30_000)
        assert bench.guarded_live()
        bench.request("close")
        bench.board.talk(False)
        bench.board.run_ms(1000)
        bench.sync()
        assert bench.last_record("close").seq > opened.seq, bench.events()[-8:]
        bench.board.run_ms(3000)
        assert bench.hello()["state"] == "closed"
        assert not [entry for entry in bench.records("fault") if entry.reason.startswith("flash")]
        assert bench.request("clock", wall_ms=WALL_MS, unc_ms=0).get("ms") != 60_000, "closed, room is made"


def test_probes_cannot_keep_the_sentinel_asleep():
    with Bench() as bench:
        answers = [bench.request("probe", ms=100) for _ in range(12)]
        assert [reply["ok"] for reply in answers] == [True] * 4 + [False] * 8
        assert {reply["err"] for reply in answers if not reply["ok"]} == {"busy"}
        assert answers[-1]["ms"] <= 60_000
        bench.board.run_ms(61_000)
        assert bench.request("selftest", 9000)["ok"]
        assert bench.request("selftest", 9000)["err"] == "busy"


def extremes():
    """Every request with every argument at the ends of its range, one at a time and all together."""
    for do, request in REQUESTS.items():
        ends = {}
        for name, annotated in fields(request.arguments).items():
            plain, field, _ = field_of(annotated)
            ends[name] = {int: (field.low, field.high), str: ("0" * 24, "f" * 24)}.get(plain, ({}, {"dim": 1}))
        for chosen in itertools.product((0, 1), repeat=len(ends)):
            yield do, {name: values[end] for (name, values), end in zip(ends.items(), chosen, strict=True)}


SETTINGS = [{name: value} for name, (_, low, high, *_) in config.SCHEMA.items() for value in (low, high)]


def live_for_an_hour(bench, what):
    """Open, close, mute, and an hour later the same: no exception, no reset, receipts."""
    for _ in range(2):
        bench.press()
        bench.board.run_ms(300)
        bench.request("close")
        bench.board.mute(True)
        bench.board.run_ms(400)
        bench.board.step_clock(HOUR_MS // 2)
        bench.board.run_ms(100)
        bench.board.mute(False)
        bench.board.run_ms(700)
    assert bench.hello()["state"] == "closed", what
    assert len(bench.board.resets) == 1, what
    assert "stopped by" not in bench.board.console, what


@pytest.mark.parametrize("vouched", [False, True])
def test_hour_after_any_extreme_request_is_uneventful(vouched):
    with Bench(word=True) as bench:
        key = bytes.fromhex(bench.request_with_consent("pair")["key"])
        for do, arguments in extremes():
            if vouched and do in ("ack", "clock"):
                reply = bench.signed(key, do, limit_ms=9000, **arguments)
            else:
                reply = bench.request(do, 9000, **arguments)
            assert reply["ok"] or reply["err"] in ("argument", "state", "busy"), (do, arguments, reply)
            live_for_an_hour(bench, (do, arguments))
        bench.request("telemetry", every_ms=0)
        bench.sync()
        check_chain(bench.records(), bench.hello()["board"], key)


def test_hour_with_any_extreme_setting_is_uneventful():
    with Bench(word=True) as bench:
        number = None
        for change in SETTINGS:
            reply = bench.request("config-set", config=change)
            if "wait" in reply:
                number = reply["re"]
                bench.hold_to_consent()
                assert bench.wait_for_reply(number)["ok"], change
            live_for_an_hour(bench, change)
        assert number
        check_chain(bench.records(), bench.hello()["board"])


FLOODS = {
    "hashes": b"#" * 641 + b"\n",
    "hashes that fill a line": b"#" * 511 + b"\n",
    "hashes before a checksum": b"#" * 502 + b"*00000000\n",
    "almost numbers before a checksum": b" {" * 251 + b"*00000000\n",
    "almost frames": b"#1 {" * 125 + b"*00000000\n",
    "frames without a checksum": (b'#12 {"id":1,"do":"hello"}' * 20)[:511] + b"\n",
    "unprintable": b"#\xff" * 300 + b"\n",
    "no newline": b"x" * 4000,
    "newlines": b"\n" * 600,
    "nested": b"#1 " + b'{"a":' * 100 + b"\n",
    "greetings": b"".join(wire.encode(n, {"id": n, "do": "hello"}) for n in range(40)),
    "false signatures": b"".join(
        wire.encode(n, {"id": n, "do": "ack", "seq": n, "link": "0" * 24, "mac": "0" * 16}) for n in range(20)
    ),
    "announcements": b"".join(wire.encode(n, {"id": n, "do": "pair", "client": f"{n:x}"}) for n in range(40)),
    "rollbacks": b"".join(wire.encode(n, {"id": n, "do": "config-get"}) for n in range(60)),
}


def cost(decoder, data):
    """Lines of `lid.wire` that CPython runs for some bytes, and bytes that it takes checksums of."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename == wire.__file__:
            count += event == "line"
            return trace
        return None

    def crc32(text, *start):
        nonlocal count
        count += len(text)
        return binascii.crc32(text, *start)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wire, "binascii", SimpleNamespace(crc32=crc32))
            decoder.feed(data)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", FLOODS)
def test_no_input_costs_more_than_a_few_ordinary_lines(name):
    ordinary = wire.encode(1, {"id": 500001, "do": "sync", "from": 1, "max": 64})
    a_byte = cost(wire.Decoder(wire.BOARD_LINE_MAX), ordinary) / len(ordinary)
    data = FLOODS[name]
    decoder = wire.Decoder(wire.BOARD_LINE_MAX)
    hops = [cost(decoder, data[at : at + 64]) for at in range(0, len(data), 64)]
    assert sum(hops) <= 2 * a_byte * len(data), f"{sum(hops) / len(data):.1f} a byte, ordinarily {a_byte:.1f}"
    # The hop in which a line ends does the work for all of it.
    assert max(hops) <= a_byte * wire.BOARD_LINE_MAX


@pytest.mark.parametrize("name", FLOODS)
def test_flood_delays_no_edge_of_the_pump(name, monkeypatch):
    with Bench() as bench:
        bench.board.talk(True)  # held: the lid stays open
        bench.board.run_ms(500)
        assert bench.guarded_live()
        edges = []
        circuit = bench.board.simulation.circuit
        drive = circuit.drive

        def driven(now_us, channel, level):
            if channel.name == "guarded" and level != channel.level:
                edges.append(now_us / 1000)
            drive(now_us, channel, level)

        monkeypatch.setattr(circuit, "drive", driven)
        begun = bench.board.now_ms
        while bench.board.now_ms - begun < 5000:
            bench.board.send(FLOODS[name])
            bench.board.run_ms(max(10, len(FLOODS[name]) / 6))  # as fast as it is read; a board loses what comes faster
        assert bench.guarded_live()
        gaps = [later - earlier for earlier, later in itertools.pairwise(edges)]
        assert len(gaps) > 400
        assert max(gaps) <= 45, f"{max(gaps)} ms between two edges; the pump tolerates 60"
        bench.board.talk(False)
        bench.board.send(b"\n" + wire.encode(1, {"id": 999_999, "do": "close"}))
        assert bench.ms_until_closed(1000) <= 1000
