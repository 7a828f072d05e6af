# SPDX-License-Identifier: MIT
"""Faults of the circuit, the microphone and the clock: rows of the fault table in firmware/README.md.

The rest of the table is in test_receipt.py, test_starts.py and test_memory.py. Behind all: each failure ends with a closed lid.
"""

import dataclasses
import re
from pathlib import Path

import lid
import pytest
import serial
from earlid.virtual.circuit import Constants
from lid import circuit, record
from lid.clock import Clock
from lid.wire_schema import SelfTestBit

from tests.firmware.kit import FIRST_HOP_MS, Bench

FIRMWARE = Path(lid.__file__).parent.parent
GUARDED_PUMP = circuit.GUARDED_PUMP_PIN
SENTINEL_PUMP = circuit.SENTINEL_PUMP_PIN


def test_healthy_start_is_closed_and_passes_its_self_test():
    with Bench() as bench:
        assert bench.events()[0] == ("boot", "power-on")
        assert ("selftest", "passed") in bench.events()
        assert bench.hello()["state"] == "closed"
        assert bench.last_record("selftest").a == SelfTestBit.ALL
        assert not bench.board.events("guarded_relay"), "the self-test touched the guarded microphone"


def test_welded_contact_is_a_fault_at_closing():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(600)
        assert bench.last_record("fault").reason == "welded"
        assert bench.last_record("fault").a > circuit.RAIL_LIVE_MV
        hello = bench.hello()
        assert (hello["state"], hello["why"]) == ("fault", "welded")
        assert ("close", "button") in bench.events(), "the receipt of the opening is missing"
        assert bench.board.rails[0] < 300, "the sentinel is still fed in fault"


def test_welded_contact_is_a_fault_at_start():
    with Bench(start=False) as bench:
        bench.board.weld("guarded")
        bench.board.start()
        bench.board.run_ms(7000)
        assert ("selftest", "failed") in bench.events()
        assert bench.hello()["why"] == "welded"
        bench.press()
        assert bench.hello()["state"] == "fault"


@pytest.mark.parametrize("pin", [GUARDED_PUMP, SENTINEL_PUMP])
@pytest.mark.parametrize("level", [0, 1])
def test_stuck_pump_pin_powers_no_microphone(pin, level):
    with Bench() as bench:
        bench.open_by_button()
        bench.board.stuck_pin(pin, level)
        rail = 1 if pin == GUARDED_PUMP else 0
        bench.board.run_ms(250)
        assert bench.board.rails[rail] < 300


def test_relay_that_does_not_close_is_recorded_and_the_gate_goes_on():
    with Bench() as bench:
        bench.board.relay_open("guarded")
        bench.press()
        bench.board.run_ms(500)
        assert ("fault", "no-close") in bench.events()
        assert bench.last_record("close").reason == "fault"
        assert bench.hello()["state"] == "closed"
        bench.board.relay_open("guarded", False)
        bench.open_by_button()


def test_sagging_rail_ends_the_opening():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.rail_sag(2000)
        bench.board.run_ms(600)
        assert ("fault", "sagging") in bench.events()
        assert bench.last_record("close").reason == "fault"
        assert not bench.guarded_live()


@pytest.mark.parametrize("level", [0, 1])
def test_disagreeing_mute_poles_are_a_fault(level):
    """Both throws' sense lines say the same: one of them lies."""
    with Bench() as bench:
        bench.open_by_button()
        bench.board.stuck_pin(circuit.MUTE_SENSE_PIN if level else circuit.ARM_SENSE_PIN, level)
        assert bench.ms_until_closed(250) <= 250
        bench.board.run_ms(400)
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "mute-poles")
        assert bench.last_record("fault").reason == "mute-poles"


@pytest.mark.parametrize(("mode", "reason"), [("dead", "mic-dead"), ("stuck", "mic-stuck"), ("clipped", "mic-clipped")])
def test_broken_microphone_and_its_recovery_are_recorded(mode, reason):
    with Bench() as bench:
        bench.board.noise(-20)
        bench.board.run_ms(500)
        bench.board.microphone = mode
        bench.board.run_ms(4000)
        assert bench.last_record("fault").reason == reason
        bench.board.microphone = "ok"
        bench.board.run_ms(4000)
        assert bench.last_record("fault").reason == "recovered"
        bench.open_by_button()


@pytest.mark.parametrize("when", ["closed", "open"])
def test_hang_closes_the_lid_and_the_watchdog_restarts(when):
    with Bench() as bench:
        if when == "open":
            bench.open_by_button()
        bench.board.hang()
        assert bench.ms_until_closed(250) <= 250
        bench.board.run_ms(7000)
        assert bench.board.resets[-1][1] == 3
        assert ("boot", "watchdog") in bench.events()
        assert bench.hello()["state"] == "closed"


def test_unplugged_port_changes_nothing():
    with Bench() as bench, serial.Serial(bench.board.serial_port) as host:
        bench.open_by_button()
        assert host.read(20)
        bench.board.unplug()
        bench.board.run_ms(1000)
        assert bench.guarded_live()
        bench.board.run_ms(9000)
        assert not bench.guarded_live()
        bench.board.replug()
        assert bench.hello()["state"] == "closed"


def test_late_loop_counts_the_samples_that_the_driver_lost():
    """A hop that costs more than 10 ms: the I2S driver drops samples without a word."""
    source = (FIRMWARE / "lid" / "lights.py").read_text()
    slow = source.replace(
        "    period, lit", "    import time\n\n    time.sleep_ms(13 if 9000 < time.ticks_ms() < 11000 else 0)\n    period, lit", 1
    )
    assert slow != source
    with Bench(files={"lid/lights.py": slow.encode()}) as bench:
        bench.board.run_ms(7000)
        assert bench.last_record("fault").reason == "overrun"
        assert bench.last_record("fault").a > 0
        lost_ms = bench.board.simulation.i2s.lost_frames / 16
        assert abs(bench.hello()["overruns"] * 10 - lost_ms) <= max(60, lost_ms * 0.1), (bench.hello()["overruns"], lost_ms)
        assert len([entry for entry in bench.records("fault") if entry.reason == "overrun"]) == 1, "one record a minute"


def test_slower_drop_than_at_first_is_recorded():
    with Bench() as bench:
        first = bench.last_record("selftest").b
        channel = bench.board.simulation.circuit.sentinel
        channel.constants = dataclasses.replace(channel.constants, pump_decay_us=channel.constants.pump_decay_us * 1.6)
        reply = bench.request("selftest", limit_ms=8000)
        assert reply["drop_ms"] > first * 1.4
        assert not reply["bits"] & SelfTestBit.DROP_UNCHANGED
        bench.board.run_ms(300)
        fault = bench.last_record("fault")
        assert (fault.reason, fault.b) == ("drop-time", first)
        assert bench.hello()["state"] == "closed"


def test_requested_self_test_needs_a_closed_lid_and_ends_with_the_gate_running():
    with Bench() as bench:
        assert bench.request("selftest", limit_ms=8000)["bits"] == SelfTestBit.ALL
        bench.board.mute(True)
        bench.board.run_ms(500)
        assert bench.request("selftest")["err"] == "state"
        bench.board.mute(False)
        bench.board.run_ms(1000)
        assert bench.board.rails[0] > 2500
        assert not bench.board.events("guarded_relay")


def test_clock_never_goes_back_and_never_wraps():
    """The port's counter wraps at 2 ** 30 ms; a step back is reported, and time goes on from there."""
    ticks = [2**30 - 50]
    clock = Clock(lambda: ticks[0], lambda new, old: (new - old + 2**29) % 2**30 - 2**29)
    steps = []
    for step in (10, 60, 86_400_000, 86_400_000, -40, 10):
        ticks[0] = (ticks[0] + step) % 2**30
        steps.append(clock.tick())
    assert steps == [10, 60, 86_400_000, 86_400_000, -40, 10]
    assert clock.ms() == 2 * 86_400_000 + 80
    assert clock.hops() == clock.ms() // 10
    for _ in range(60):  # past 49.7 days
        ticks[0] = (ticks[0] + 86_400_000) % 2**30
        clock.tick()
    assert clock.ms() == 62 * 86_400_000 + 80


def test_wall_clock_uncertainty_grows_with_drift():
    ticks = [0]
    clock = Clock(lambda: ticks[0], lambda new, old: new - old)
    assert clock.wall() == (0, 0)
    assert clock.step_to(1_763_780_000_000) == 0
    clock.set_wall(1_763_780_000_000, 20, False)
    ticks[0] = 86_400_000
    clock.tick()
    assert clock.wall() == (1_763_780_000_000 + 86_400_000, 20 + 4320)
    assert clock.step_to(1_763_780_000_000 + 86_400_000 - 700) == -700


@pytest.mark.parametrize("name", ["sentinel", "guarded"])
def test_pump_fed_by_a_pin_held_high_is_a_latched_fault_at_start(name):
    """The series capacitor conducts: a hung chip with its pin high would leave the lid open."""
    with Bench(start=False) as bench:
        bench.board.short_pump(name)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        verdict = bench.last_record("selftest")
        assert (verdict.reason, verdict.a & SelfTestBit.STUCK_HIGH_SAFE) == ("failed", 0)
        assert bench.last_record("fault").reason == "pump-stuck"
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "pump-stuck")
        bench.press()
        bench.board.run_ms(500)
        assert max(bench.board.rails) < 300


def test_reversed_flyback_diode_ends_the_self_test_at_once_and_is_latched():
    """The driver shorts the coils' supply through two diodes, and the relay pulls all the same."""
    with Bench(start=False) as bench:
        bench.board.reverse_flyback("sentinel")
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        assert not bench.last_record("selftest").a & SelfTestBit.COIL_HOLDS
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "coil-sags")
        (pulled, _), (fell, _) = bench.board.events("sentinel_relay")
        assert fell - pulled < 250, "the board went on feeding it"


def test_mute_switch_thrown_during_the_self_test_is_no_fault_of_the_coil():
    with Bench(start=False) as bench:
        bench.board.start()
        bench.board.run_until(lambda: bench.board.relays[0], 7000)
        bench.board.mute(True)
        bench.board.run_ms(2000)
        assert bench.last_record("selftest").a & SelfTestBit.COIL_HOLDS
        assert bench.hello()["state"] == "muted"


def test_pump_fed_by_slow_edges_is_a_latched_fault_at_start():
    """It hardly leaks: a loop that crawls would keep the lid open."""
    with Bench(start=False, constants=dataclasses.replace(Constants(), pump_decay_us=3_000_000.0)) as bench:
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        assert not bench.last_record("selftest").a & SelfTestBit.SLOW_SAFE
        assert bench.hello()["why"] == "pump-stuck"
        bench.press()
        bench.board.run_ms(4000)
        assert not bench.guarded_live()


@pytest.mark.parametrize("channel", ["sentinel", "guarded"])
def test_drive_without_its_capacitor_is_a_latched_fault_at_start(channel):
    """C108 or C208 open: a clock that touches the pump pin would hold the lid open."""
    with Bench(start=False) as bench:
        bench.board.bare_drive(channel)
        bench.board.start()
        bench.board.run_ms(FIRST_HOP_MS)
        assert not bench.last_record("selftest").a & SelfTestBit.SLOW_SAFE
        assert bench.hello()["why"] == "pump-stuck"


@pytest.mark.parametrize("state", ["closed", "open", "muted"])
def test_counter_that_goes_back_is_recorded_and_time_goes_on(state):
    with Bench() as bench:
        if state == "open":
            bench.open_by_button()
        elif state == "muted":
            bench.board.mute(True)
            bench.board.run_ms(200)
        bench.board.step_clock(-5000)
        begun_ms = bench.board.now_ms
        bench.board.run_ms(100)
        fault = bench.last_record("fault")
        assert fault.reason == "clock-back"
        assert 4900 <= fault.a <= 5000
        bench.board.run_ms(3500)
        assert not bench.guarded_live(), "the window grew by the step"
        assert bench.hello()["state"] == ("muted" if state == "muted" else "closed")
        assert len(bench.board.resets) == 1, "the loop slept until the watchdog came"
        bench.board.mute(False)
        bench.board.run_ms(1000)
        bench.open_by_button()
        opened = bench.last_record("open")
        assert opened.ms > fault.ms
        assert opened.ms - fault.ms == pytest.approx(bench.board.now_ms - begun_ms, abs=400)


def test_counter_that_jumps_ahead_closes_the_lid():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.step_clock(70_000)
        assert bench.ms_until_closed(250) <= 250
        bench.board.run_ms(200)
        assert bench.last_record("close").reason == "timeout"


def test_fault_table_has_a_test_for_every_reason():
    table = (FIRMWARE / "README.md").read_text().partition("## Faults")[2].partition("The guarded microphone is never")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and not row.startswith(("| fault", "| ---"))]
    reasons = {word for row in rows for cell in re.findall(r"`([^`]+)`", row) for word in cell.split() if word in record.REASONS}
    modules = ("faults", "starts", "memory", "invariants", "receipt")
    tests = "".join((Path(__file__).parent / f"test_{name}.py").read_text() for name in modules)
    assert len(rows) >= 17
    assert {reason for reason in reasons if f'"{reason}"' not in tests} == set()
