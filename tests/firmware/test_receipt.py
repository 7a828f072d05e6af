# SPDX-License-Identifier: MIT
"""The receipt follows the rail: what the journal says of live time, held against the copper's own."""

import pytest
from earlid.ledger.exposure import NOT_KNOWN, live_bounds, live_time
from lid import circuit, config

from tests.firmware.kit import FIRST_HOP_MS, Bench

LONG = {"config.json": config.dump(config.check({"open_ms": 60000, "silence_ms": 60000}))}
RTC = pytest.mark.parametrize("rtc", ["whole", "damaged"])


def copper_ms(board, since_ms=0.0):
    """How long the guarded rail was above RAIL_LIVE_MV, from the circuit's own events."""
    edges = [*board.events("guarded_rail"), (board.now_ms, False)]
    live_at, total = None, 0.0
    for at, live in edges:
        if live and live_at is None:
            live_at = at
        elif not live and live_at is not None:
            total, live_at = total + max(0.0, at - max(since_ms, live_at)), None
    return total


def check_bounds(bench, gap_ms=None):
    """The journal's bounds hold the copper's live time; their gap is at most this (None: no upper bound is known)."""
    bench.sync()
    records = sorted(bench.records(), key=lambda entry: entry.seq)
    total = live_time(live_bounds(records))
    copper = copper_ms(bench.board)
    told = [(entry.event, entry.reason, entry.ms, entry.a, entry.b) for entry in records]
    assert total.least_ms <= copper, (total, copper, told)
    if gap_ms is None:
        assert total.most_ms is None, (total, copper, told)
    else:
        assert total.most_ms is not None, told
        assert copper <= total.most_ms, (total, copper, told)
        assert total.most_ms - total.least_ms <= gap_ms, (total, copper, told)


def since(bench, *events):
    """(event, reason) of the records from the newest of these on."""
    told = bench.events()
    return told[max(i for i, entry in enumerate(told) if entry == events) :]


def restart(bench):
    bench.board.power_cut()
    bench.board.run_ms(1000)
    bench.board.power_on()
    bench.board.run_ms(FIRST_HOP_MS)


@pytest.mark.parametrize("closing", ["button", "host", "mute", "timeout"])
def test_receipt_of_an_opening_holds_the_copper(closing):
    with Bench() as bench:
        bench.open_by_button()
        bench.board.run_ms(1234)
        if closing == "button":
            bench.press()
        elif closing == "host":
            bench.request("close")
        elif closing == "mute":
            bench.board.mute(True)
        bench.board.run_ms(3000 if closing == "timeout" else 500)
        assert bench.last_record("close").reason == (closing if closing != "timeout" else "silence")
        check_bounds(bench, 50)


def test_receipt_of_a_relay_that_lets_go_does_not_count_what_was_dead():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.run_ms(1000)
        bench.board.relay_open("guarded")
        bench.board.run_ms(1000)
        closed = bench.last_record("close")
        assert closed.reason == "fault"
        assert closed.b & 0xFFFF < closed.b >> 16 < closed.a
        check_bounds(bench, 50)


def test_opening_whose_contact_never_closed_was_not_live():
    with Bench() as bench:
        bench.board.relay_open("guarded")
        bench.press()
        bench.board.run_ms(800)
        assert bench.last_record("close").b == 1 << 16, "0 would be of firmware 0.1"
        check_bounds(bench, 1)


def test_rail_that_fails_for_a_moment_is_not_counted_meanwhile():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.rail_sag(0)
        bench.board.run_ms(70)
        bench.board.rail_sag(None)
        bench.board.run_ms(1000)
        bench.press()
        bench.board.run_ms(500)
        assert not bench.records("fault")[1:]
        check_bounds(bench, 90)


def test_welded_contact_is_live_until_mute_says_dead():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(27_000)
        assert since(bench, "open", "button")[1:5] == [
            ("close", "button"), ("live", "welded"), ("fault", "welded"), ("mark", "live"),
        ]  # fmt: skip
        bench.board.mute(True)
        bench.board.run_ms(300)
        assert since(bench, "mark", "live")[1:] == [("mute", ""), ("dead", "mute")]
        check_bounds(bench, 120)
        bench.board.mute(False)
        bench.board.run_ms(300)
        assert since(bench, "dead", "mute")[1:] == [("live", "unexpected"), ("unmute", "")], "copper is quicker than the switch"
        assert bench.hello()["state"] == "fault"
        assert bench.hello()["why"] == "welded"
        bench.board.mute(True)
        bench.board.run_ms(300)
        check_bounds(bench, 240)


@pytest.mark.parametrize("muted", [False, True])
def test_mute_and_unmute_are_journaled_in_fault(muted):
    with Bench() as bench:
        bench.board.mute(muted)
        bench.board.run_ms(500)
        bench.board.stuck_pin(circuit.MUTE_SENSE_PIN if not muted else circuit.ARM_SENSE_PIN, 1)
        bench.board.run_ms(500)
        assert bench.hello()["why"] == "mute-poles"
        bench.board.stuck_pin(circuit.MUTE_SENSE_PIN if not muted else circuit.ARM_SENSE_PIN, None)
        bench.board.run_ms(300)
        told = len(bench.records())
        for latched in (not muted, muted):
            bench.board.mute(latched)
            bench.board.run_ms(300)
        names = ["mute", "unmute"] if not muted else ["unmute", "mute"]
        assert [entry.event for entry in bench.records()[told:]] == names
        assert bench.hello()["state"] == "fault"
        assert bench.board.rails[0] < 300


def test_rail_live_at_the_start_is_told_and_its_end_too():
    with Bench(start=False) as bench:
        bench.board.weld("guarded")
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        assert bench.events()[:2] == [("boot", "power-on"), ("live", "start")]
        assert bench.last_record("live").b == NOT_KNOWN
        bench.board.weld("guarded", False)
        bench.board.run_ms(100)
        assert bench.events()[-1] == ("dead", "")
        check_bounds(bench)


@pytest.mark.parametrize("state", ["closed", "muted pole", "fault"])
def test_rail_live_for_a_moment_is_told_in_every_state(state):
    with Bench() as bench:
        if state == "muted pole":
            bench.board.simulation.circuit.broken_poles.add("guarded")
            bench.board.mute(True)
        elif state == "fault":
            bench.board.stuck_pin(circuit.MUTE_SENSE_PIN, 1)
        bench.board.run_ms(500)
        bench.board.weld("guarded")
        bench.board.run_ms(60)
        bench.board.weld("guarded", False)
        bench.board.run_ms(100)
        assert [entry for entry in bench.events() if entry[0] in ("live", "dead")] == [
            ("live", "unexpected"), ("dead", "mute" if state != "closed" else ""),
        ]  # fmt: skip
        check_bounds(bench, 60)


@pytest.mark.parametrize("busy", ["selftest", "probe", "making room"])
def test_rail_live_while_the_loop_stands_still_is_told(busy):
    with Bench() as bench:

        def blip():
            bench.board.weld("guarded")
            bench.board.at(bench.board.now_ms + 60, lambda: bench.board.weld("guarded", False))

        bench.board.at(bench.board.now_ms + 800, blip)
        if busy == "making room":
            bench.board.simulation.flash.erase_us = 100_000
            bench.board.at(bench.board.now_ms + 700, lambda: None)
            bench.board.run_ms(2000)
        else:
            bench.request(busy, limit_ms=8000, **({"ms": 2000} if busy == "probe" else {}))
            bench.board.run_ms(100)
        assert [entry for entry in bench.events() if entry[0] in ("live", "dead")] == [("live", "unexpected"), ("dead", "")]
        bench.sync()
        check_bounds(bench, 3000)


@RTC
@pytest.mark.parametrize("accident", ["hang", "power_cut", "brown_out"])
@pytest.mark.parametrize("after_ms", [20, 150, 3000, 11_500])
def test_opening_that_a_reset_ends_has_bounds(accident, after_ms, rtc):
    with Bench(files=LONG) as bench:
        bench.press(60)
        bench.board.run_ms(after_ms)
        if accident == "power_cut":
            restart(bench)
        else:
            getattr(bench.board, accident)()
            if rtc == "damaged":
                bench.board.run_ms(1000)
                bench.board.corrupt_rtc()
            bench.board.run_ms(3000 + FIRST_HOP_MS)
        told = since(bench, "boot", {"hang": "watchdog", "power_cut": "power-on", "brown_out": "brown-out"}[accident])
        assert told[1] == ("close", "reset")
        exact = accident == "hang" and rtc == "whole"
        check_bounds(bench, 420 if exact else 10_500)


def test_start_that_is_cut_before_it_tells_leaves_that_to_the_next():
    with Bench(files=LONG) as bench:
        bench.open_by_button()
        bench.board.run_ms(6000)
        bench.board.power_cut()
        bench.board.run_ms(500)
        bench.board.power_cut_at_write(3)  # of the count of starts, `boot`, `close reset`
        bench.board.power_on()
        bench.board.run_until(lambda: bench.board.simulation.state == "off", FIRST_HOP_MS)
        bench.board.run_ms(500)
        bench.board.power_on()
        bench.board.run_ms(FIRST_HOP_MS)
        bench.sync()
        assert [entry for entry in bench.events() if entry[1] == "reset"] == [("close", "reset")]
        check_bounds(bench, 10_500)


def test_weld_over_a_reset_has_no_upper_bound_but_a_lower_one():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(23_000)
        bench.board.hang()
        bench.board.run_ms(3000 + FIRST_HOP_MS)
        assert since(bench, "boot", "watchdog")[1:3] == [("dead", "reset"), ("live", "start")]
        assert bench.last_record("dead").a > 22_000
        check_bounds(bench)


def test_rail_that_flaps_fills_no_journal():
    with Bench() as bench:
        for _ in range(60):
            bench.board.weld("guarded")
            bench.board.run_ms(50)
            bench.board.weld("guarded", False)
            bench.board.run_ms(50)
        assert len(bench.records("live")) == 13
        assert len(bench.records("dead")) == 12, "it counts as live until there is room to say more"
        bench.board.run_ms(301_000)
        assert len(bench.records("dead")) == 13
        check_bounds(bench, 13 * 2 + 60 * 40)


def test_marks_tell_that_it_lasts():
    with Bench(files=LONG) as bench:
        bench.open_by_button()
        bench.board.run_ms(16_000)
        assert [round(entry.a, -3) for entry in bench.records("mark")] == [5000, 10_000, 15_000]
        assert all(entry.a - 300 < entry.b < entry.a for entry in bench.records("mark"))
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(90_000)
        marks = [round(entry.a, -3) for entry in bench.records("mark") if entry.reason == "live"]
        assert marks == [5000, 10_000, 20_000, 40_000, 80_000]
