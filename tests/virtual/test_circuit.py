# SPDX-License-Identifier: MIT
"""Circuit model: which patterns of pump edges close the relays, and which never may."""

from __future__ import annotations

import pytest
from earlid.virtual.circuit import Circuit, Constants, FilteredVoltage
from hypothesis import given, settings
from hypothesis import strategies as st
from lid import circuit as figures

MS = 1000


def powered() -> tuple[Circuit, list[tuple[int, str, object]]]:
    history: list[tuple[int, str, object]] = []
    circuit = Circuit(Constants(), lambda at, what, value: history.append((at, what, value)))
    circuit.power(0, True)
    return circuit, history


def toggle(circuit: Circuit, start_us: int, end_us: int, every_us: int) -> int:
    """Edges on both pumps; returns the level they are left at."""
    level = 0
    for at in range(start_us, end_us, every_us):
        circuit.advance(at)
        level ^= 1
        for channel in circuit.channels:
            circuit.drive(at, channel, level)
    circuit.advance(end_us)
    return level


def spans(history: list[tuple[int, str, object]], what: str) -> list[tuple[int, object]]:
    return [(at, value) for at, name, value in history if name == what]


def test_ten_millisecond_edges_arm_in_time_and_hold() -> None:
    circuit, history = powered()
    toggle(circuit, 0, 3_000 * MS, figures.TOGGLE_MS * MS)
    for rail in ("sentinel_rail", "guarded_rail"):
        (rise,) = spans(history, rail)
        assert rise[1] is True
        assert rise[0] <= figures.ARM_MAX_MS * MS
    assert circuit.guarded.rail.input_mv(3_000 * MS) > figures.RAIL_GOOD_MV


def test_dma_rhythm_keeps_the_relay_closed() -> None:
    # The ESP32 port hands over sound in blocks of 16 ms: hops come 0, 10, 16 or 20 ms apart in a pattern of 5 blocks
    circuit, history = powered()
    level = 0
    for hop in range(1, 300):
        at = -(-hop * 160 // 256) * 16 * MS + (hop % 2) * 2 * MS
        circuit.advance(at)
        level ^= 1
        circuit.drive(at, circuit.guarded, level)
    assert [value for _, value in spans(history, "guarded_rail")] == [True]


@pytest.mark.parametrize("stuck", [0, 1])
@pytest.mark.parametrize("last_ms", [1000, 1005, 1010, 1019])
def test_stuck_pin_drops_both_rails_in_time(stuck: int, last_ms: int) -> None:
    circuit, history = powered()
    toggle(circuit, 0, last_ms * MS, figures.TOGGLE_MS * MS)
    for channel in circuit.channels:
        circuit.drive(last_ms * MS, channel, stuck)
    circuit.advance(5_000 * MS)
    for rail in ("sentinel_rail", "guarded_rail"):
        assert [value for _, value in spans(history, rail)] == [True, False]
        assert spans(history, rail)[1][0] <= (last_ms + figures.DROP_MAX_MS) * MS


@given(pause_ms=st.integers(1, figures.TOLERATED_PAUSE_MS), after_ms=st.integers(200, 1000))
@settings(max_examples=60)
def test_tolerated_pause_never_drops(pause_ms: int, after_ms: int) -> None:
    circuit, history = powered()
    after_ms -= after_ms % 20
    level = toggle(circuit, 0, after_ms * MS, figures.TOGGLE_MS * MS)
    resume = (after_ms - figures.TOGGLE_MS + pause_ms) * MS
    circuit.advance(resume)
    for step in range(50):
        level ^= 1
        circuit.advance(resume + step * 10 * MS)
        circuit.drive(resume + step * 10 * MS, circuit.guarded, level)
    assert [value for _, value in spans(history, "guarded_rail")] == [True]


@given(gaps_ms=st.lists(st.integers(100, 2_000), min_size=1, max_size=80), first=st.integers(0, 1))
@settings(max_examples=60)
def test_slow_edges_never_energise(gaps_ms: list[int], first: int) -> None:
    # Edges never closer than 100 ms: five full cycles a second at the most
    circuit, history = powered()
    at = 0
    level = first
    for gap in gaps_ms:
        at += gap * MS
        circuit.advance(at)
        level ^= 1
        for channel in circuit.channels:
            circuit.drive(at, channel, level)
    circuit.advance(at + 1_000 * MS)
    assert not spans(history, "sentinel_relay")
    assert not spans(history, "guarded_relay")


def test_single_edge_never_energises() -> None:
    circuit, history = powered()
    circuit.drive(0, circuit.guarded, 1)
    circuit.advance(1_000 * MS)
    assert not spans(history, "guarded_relay")


@given(at_ms=st.integers(200, 400))
@settings(max_examples=30)
def test_mute_drops_within_20_ms_whatever_the_pins_do(at_ms: int) -> None:
    circuit, history = powered()
    toggle(circuit, 0, at_ms * MS, 10 * MS)
    circuit.throw(at_ms * MS, True)
    toggle(circuit, at_ms * MS, (at_ms + 2_000) * MS, 10 * MS)
    for rail in ("sentinel_rail", "guarded_rail"):
        changes = spans(history, rail)
        assert [value for _, value in changes] == [True, False]
        assert changes[1][0] <= (at_ms + 20) * MS
    assert circuit.red
    _, _, arm, mute = circuit.adc_mv((at_ms + 2_000) * MS)
    assert arm * figures.SENSE_SCALE_Q10 >> 10 < figures.SENSE_LOW_MV
    assert mute * figures.SENSE_SCALE_Q10 >> 10 > figures.SENSE_HIGH_MV


@pytest.mark.parametrize(
    ("broken", "live"),
    [({"coil"}, []), ({"sentinel"}, []), ({"coil", "sentinel"}, ["sentinel"]), ({"coil", "guarded"}, ["guarded"])],
)
def test_one_broken_pole_does_not_defeat_mute(broken: set[str], live: list[str]) -> None:
    circuit, _ = powered()
    toggle(circuit, 0, 500 * MS, 10 * MS)
    circuit.broken_poles |= broken
    circuit.throw(500 * MS, True)
    toggle(circuit, 500 * MS, 1_500 * MS, 10 * MS)
    assert [c.name for c in circuit.channels if c.live] == live


def test_welded_contact_stays_live_until_muted() -> None:
    circuit, history = powered()
    circuit.weld(0, "guarded", True)
    circuit.advance(100 * MS)
    assert circuit.guarded.live
    assert not circuit.red
    circuit.throw(100 * MS, True)
    circuit.advance(200 * MS)
    assert not circuit.guarded.live
    assert circuit.red
    assert [value for _, value in spans(history, "guarded_rail")] == [True, False]


def test_power_loss_drops_both_rails_at_once() -> None:
    circuit, history = powered()
    toggle(circuit, 0, 500 * MS, 10 * MS)
    circuit.power(500 * MS, False)
    circuit.advance(1_000 * MS)
    for rail in ("sentinel_rail", "guarded_rail"):
        assert spans(history, rail)[1][0] <= 525 * MS


@given(
    moves=st.lists(
        st.tuples(st.integers(1, 50_000), st.floats(0, 5000), st.sampled_from([1.0, 60.0, 400.0, 3_200.0, 6_800.0])),
        min_size=1,
        max_size=12,
    ),
    at=st.integers(1, 40_000),
)
@settings(max_examples=100)
def test_closed_form_equals_numerical_integration(moves: list[tuple[int, float, float]], at: int) -> None:
    # Against small fixed steps of both first-order systems
    filtered = FilteredVoltage(3_200.0)
    now, source, seen = 0, 0.0, 0.0
    target, tau_us = 0.0, 1.0
    for wait_us, next_target, next_tau_us in [*moves, (at, 0.0, 1.0)]:
        steps = 400
        for _ in range(steps):
            # exact in the source, midpoint in the filter
            middle = source + (target - source) * min(1.0, wait_us / steps / 2 / max(tau_us, wait_us / steps))
            source += (target - source) * min(1.0, wait_us / steps / max(tau_us, wait_us / steps))
            seen += (middle - seen) * min(1.0, wait_us / steps / filtered.filter_us)
        now += wait_us
        # the coarse step is only good to a few percent of the swing
        assert filtered.input_mv(now) == pytest.approx(source, abs=60)
        assert filtered.output_mv(now) == pytest.approx(seen, abs=120)
        filtered.settle_towards(now, next_target, next_tau_us)
        target, tau_us = next_target, next_tau_us
        source, seen = filtered.input_start_mv, filtered.output_start_mv
