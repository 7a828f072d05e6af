# SPDX-License-Identifier: MIT
"""Status light and buzzer: the pattern of each state, and the board's pins."""

import pytest
from lid import lights

from tests.firmware.kit import Bench


def lit(state: str, dim: int, hops: int = 400) -> list[bool]:
    return [lights.status_led(state, hop, dim) for hop in range(hops)]


def flashes(pattern: list[bool]) -> int:
    return sum(on and not before for before, on in zip([False, *pattern], pattern, strict=False))


@pytest.mark.parametrize(
    ("state", "count", "share"), [("closed", 1, 0.01), ("muted", 2, 0.02), ("fault", 8, 0.5), ("open", 1, 1.0), ("ask", 12, 0.24)]
)
def test_status_led_has_a_pattern_for_each_state(state, count, share):
    pattern = lit(state, 0)
    assert flashes(pattern) == count
    assert sum(pattern) / len(pattern) == pytest.approx(share)


@pytest.mark.parametrize("state", ["closed", "open", "muted", "ask"])
def test_dim_led_is_a_quarter_and_never_off(state):
    bright, dim = sum(lit(state, 0)), sum(lit(state, 1))
    assert 0 < dim <= bright * 0.3 + 2


def test_a_fault_is_not_dimmed():
    """One hop in four is 25 Hz: on a line that touches a pump pin it would open the lid that the fault keeps closed."""
    assert lit("fault", 1) == lit("fault", 0)


def test_buzzer_chirps_twice_in_fault_thrice_while_asking_and_never_else():
    for state, chirps in (("fault", 2), ("ask", 3)):
        assert flashes([lights.buzzer(state, hop) for hop in range(300)]) == chirps
    assert not any(lights.buzzer(state, hop) for state in ("closed", "open", "muted") for hop in range(600))


def test_pins_follow_the_state_and_the_red_light_the_switch():
    with Bench() as bench:
        bench.open_by_button()
        assert bench.board.leds["status"] == 1
        bench.board.mute(True)
        bench.board.run_ms(200)
        assert (bench.board.leds["red"], bench.board.leds["amber_guarded"], bench.board.leds["amber_sentinel"]) == (1, 0, 0)
        begun = bench.board.now_ms
        bench.board.run_ms(8000)
        blinks = [at for at, level in bench.board.events("status_led") if level and at > begun]
        assert 3 <= len(blinks) <= 5, "two blinks every 4 s"
        assert bench.board.leds["red"] == 1
