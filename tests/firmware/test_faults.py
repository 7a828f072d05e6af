"""One test for each row of the fault table in firmware/README.md. Behind them: every failure ends with the lid closed."""

import dataclasses
from pathlib import Path

import lid
import pytest
from lid import circuit, selftest
from lid.clock import Clock

from tests.firmware.kit import Bench

FIRMWARE = Path(lid.__file__).parent.parent
GUARDED_PUMP = circuit.GUARDED_PUMP_PIN
SENTINEL_PUMP = circuit.SENTINEL_PUMP_PIN


def test_a_healthy_start_is_closed_and_says_so():
    with Bench() as bench:
        assert bench.told()[0] == ("boot", "power-on")
        assert ("selftest", "passed") in bench.told()
        assert bench.hello()["state"] == "closed"
        assert bench.last("selftest").a == selftest.ALL
        assert not bench.board.events("guarded_relay"), "the self-test touched the guarded microphone"


def test_a_welded_contact_is_found_at_closing():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.weld("guarded")
        bench.press()
        bench.board.run_ms(600)
        assert bench.last("fault").reason == "welded"
        assert bench.last("fault").a > circuit.RAIL_LIVE_MV
        hello = bench.hello()
        assert (hello["state"], hello["why"]) == ("fault", "welded")
        assert ("close", "button") in bench.told(), "the receipt of the opening is missing"
        assert bench.board.rails[0] < 300, "the sentinel is still fed in fault"


def test_a_welded_contact_is_found_at_start():
    with Bench(start=False) as bench:
        bench.board.weld("guarded")
        bench.board.start()
        bench.board.run_ms(7000)
        assert ("selftest", "failed") in bench.told()
        assert bench.hello()["why"] == "welded"
        bench.press()
        assert bench.hello()["state"] == "fault"


@pytest.mark.parametrize("pin", [GUARDED_PUMP, SENTINEL_PUMP])
@pytest.mark.parametrize("level", [0, 1])
def test_a_stuck_pump_pin_never_feeds_a_microphone(pin, level):
    with Bench() as bench:
        bench.open_by_button()
        bench.board.stuck_pin(pin, level)
        rail = 1 if pin == GUARDED_PUMP else 0
        bench.board.run_ms(250)
        assert bench.board.rails[rail] < 300


def test_a_relay_that_does_not_close_is_told_and_the_lid_listens_on():
    with Bench() as bench:
        bench.board.relay_open("guarded")
        bench.press()
        bench.board.run_ms(500)
        assert ("fault", "no-close") in bench.told()
        assert bench.last("close").reason == "fault"
        assert bench.hello()["state"] == "closed"
        bench.board.relay_open("guarded", False)
        bench.open_by_button()


def test_a_sagging_rail_ends_the_opening():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.rail_sag(2000)
        bench.board.run_ms(600)
        assert ("fault", "sagging") in bench.told()
        assert bench.last("close").reason == "fault"
        assert not bench.guarded_live()


@pytest.mark.parametrize("level", [0, 1])
def test_mute_poles_that_disagree_are_a_fault(level):
    """Both throws' sense lines say the same: one of them lies."""
    with Bench() as bench:
        bench.open_by_button()
        bench.board.stuck_pin(circuit.MUTE_SENSE_PIN if level else circuit.ARM_SENSE_PIN, level)
        assert bench.closes_within(250) <= 250
        bench.board.run_ms(400)
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "mute-poles")
        assert bench.last("fault").reason == "mute-poles"


@pytest.mark.parametrize(("mode", "reason"), [("dead", "mic-dead"), ("stuck", "mic-stuck"), ("clipped", "mic-clipped")])
def test_a_broken_microphone_is_named_and_its_recovery_too(mode, reason):
    with Bench() as bench:
        bench.board.noise(-20)
        bench.board.run_ms(500)
        bench.board.microphone = mode
        bench.board.run_ms(4000)
        assert bench.last("fault").reason == reason
        bench.board.microphone = "ok"
        bench.board.run_ms(4000)
        assert bench.last("fault").reason == "recovered"
        bench.open_by_button()


@pytest.mark.parametrize("when", ["closed", "open"])
def test_a_hang_closes_the_lid_and_the_watchdog_starts_again(when):
    with Bench() as bench:
        if when == "open":
            bench.open_by_button()
        bench.board.hang()
        assert bench.closes_within(250) <= 250
        bench.board.run_ms(7000)
        assert bench.board.resets[-1][1] == 3
        assert ("boot", "watchdog") in bench.told()
        assert bench.hello()["state"] == "closed"


def test_three_quick_unclean_starts_stay_closed_and_say_why():
    with Bench() as bench:
        for _ in range(3):
            bench.board.hang()
            bench.board.run_ms(7000)
        hello = bench.hello()
        assert (hello["state"], hello["why"]) == ("fault", "boot-loop")
        bench.press()
        assert not bench.guarded_live()
        assert bench.last("fault").reason == "boot-loop"
        # A good minute would have been forgotten by now; only a power cycle and then a good minute helps.
        bench.board.power_cut()
        bench.board.power_on()
        bench.board.run_ms(7000)
        assert bench.hello()["why"] == "boot-loop"


def test_a_good_minute_forgets_the_starts_before_it():
    with Bench() as bench:
        for _ in range(2):
            bench.board.hang()
            bench.board.run_ms(7000)
        bench.board.run_ms(65000)
        bench.board.hang()
        bench.board.run_ms(7000)
        assert bench.hello()["state"] == "closed"


def test_a_brown_out_closes_and_starts_again():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.brown_out()
        assert bench.closes_within(250) <= 250
        bench.board.run_ms(7000)
        assert (bench.last("boot").boot, bench.last("boot").reason) == (2, "brown-out")
        assert bench.hello()["state"] == "closed"


def test_failing_flash_means_no_opening():
    with Bench() as bench:
        bench.board.flash_error()
        bench.press()
        bench.board.run_ms(500)
        assert not bench.board.events("guarded_relay"), "opened without a receipt"
        assert (bench.hello()["state"], bench.hello()["why"]) == ("fault", "flash-error")


def test_a_full_flash_at_first_start_means_no_opening():
    with Bench(start=False) as bench:
        bench.board.flash_full()
        bench.board.start()
        bench.board.run_ms(4000)
        bench.press()
        bench.board.run_ms(500)
        assert not bench.board.events("guarded_relay"), "opened without a receipt"


def test_a_damaged_configuration_means_safe_defaults_and_a_record():
    with Bench(files={"config.json": b'{"open_ms": 60000}\n00000000\n'}) as bench:
        assert ("fault", "config-damaged") in bench.told()
        assert bench.ask("config-get")["config"]["open_ms"] == 8000


def test_pulling_the_plug_of_the_port_changes_nothing():
    with Bench() as bench:
        bench.open_by_button()
        bench.board.unplug()
        bench.board.run_ms(1000)
        assert bench.guarded_live()
        bench.board.run_ms(9000)
        assert not bench.guarded_live()
        bench.board.replug()
        assert bench.hello()["state"] == "closed"


def test_a_loop_that_is_too_late_counts_what_the_driver_lost():
    """A hop that costs more than 10 ms: the I2S driver drops samples without a word."""
    source = (FIRMWARE / "lid" / "lights.py").read_text()
    slow = source.replace(
        "    period, lit", "    import time\n\n    time.sleep_ms(13 if 9000 < time.ticks_ms() < 11000 else 0)\n    period, lit", 1
    )
    assert slow != source
    with Bench(files={"lid/lights.py": slow.encode()}) as bench:
        bench.board.run_ms(7000)
        assert bench.last("fault").reason == "overrun"
        assert bench.last("fault").a > 0
        lost_ms = bench.board.engine.lost_frames / 16
        assert abs(bench.hello()["overruns"] * 10 - lost_ms) <= max(60, lost_ms * 0.1), (bench.hello()["overruns"], lost_ms)
        assert len([note for note in bench.notes("fault") if note.reason == "overrun"]) == 1, "one record a minute"


def test_a_relay_that_drops_more_slowly_than_it_used_to_is_told():
    with Bench() as bench:
        first = bench.last("selftest").b
        channel = bench.board.engine.circuit.sentinel
        channel.constants = dataclasses.replace(channel.constants, pump_decay_us=channel.constants.pump_decay_us * 1.6)
        reply = bench.ask("selftest", limit_ms=8000)
        assert reply["drop_ms"] > first * 1.4
        assert not reply["bits"] & selftest.DROP_AS_EVER
        bench.board.run_ms(300)
        fault = bench.last("fault")
        assert (fault.reason, fault.b) == ("drop-time", first)
        assert bench.hello()["state"] == "closed"


def test_a_self_test_on_request_needs_a_closed_lid_and_leaves_it_listening():
    with Bench() as bench:
        assert bench.ask("selftest", limit_ms=8000)["bits"] == selftest.ALL
        bench.board.mute(True)
        bench.board.run_ms(500)
        assert bench.ask("selftest")["err"] == "state"
        bench.board.mute(False)
        bench.board.run_ms(1000)
        assert bench.board.rails[0] > 2500
        assert not bench.board.events("guarded_relay")


def test_time_never_goes_back_and_never_wraps():
    """The port's counter wraps at 2 ** 30 ms; a step back is told, and time goes on from there."""
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


def test_the_wall_clock_keeps_what_is_not_known_about_it():
    ticks = [0]
    clock = Clock(lambda: ticks[0], lambda new, old: new - old)
    assert clock.wall() == (0, 0)
    assert clock.set_wall(1_763_780_000_000, 20) == 0
    ticks[0] = 86_400_000
    clock.tick()
    assert clock.wall() == (1_763_780_000_000 + 86_400_000, 20 + 4320)
    assert clock.set_wall(1_763_780_000_000 + 86_400_000 - 700, 30) == -700
