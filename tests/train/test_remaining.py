# SPDX-License-Identifier: MIT
"""The remaining time that is shown covers what the rest then takes, and does not jump."""

from __future__ import annotations

import pytest
from earlid.train.remaining import Remaining, range_text

EXPECTED_S = {"sounds": 400.0, "speech": 800.0, "fit": 1000.0}


@pytest.mark.parametrize("pace", [0.8, 1.0, 1.3, 3.0])
def test_range_covers_the_time_that_is_left(pace: float) -> None:
    remaining, at_s = Remaining(EXPECTED_S), 0.0
    end_s = pace * sum(EXPECTED_S.values())
    before: tuple[float, float] | None = None
    covered = checked = 0
    for stage, expected_s in EXPECTED_S.items():
        remaining.begin(stage, at_s)
        for second in range(round(expected_s * pace)):
            remaining.advance(second / (expected_s * pace))
            least, most = remaining.range_s(at_s)
            assert 0 <= least <= most
            if before is not None and at_s > 60:
                assert abs((least + most) / 2 - sum(before) / 2) <= 0.02 * end_s + 2, "it jumps"
            before = least, most
            at_s += 1
            if at_s > 0.25 * end_s:
                checked += 1
                covered += least - 5 <= end_s - at_s <= most + 5
    assert covered >= 0.9 * checked
    assert most < 60


def test_stage_that_was_done_before_tells_nothing_of_this_computer() -> None:
    remaining = Remaining({"sounds": 400.0, "fit": 1000.0})
    remaining.begin("sounds", 0.0)
    remaining.advance(1.0)
    remaining.begin("fit", 0.1)
    assert remaining.range_s(0.1) == (600.0, 1400.0)


def test_stage_that_goes_on_is_measured_by_what_it_does_now() -> None:
    remaining = Remaining({"fit": 1000.0})
    remaining.begin("fit", 0.0)
    remaining.advance(0.5)
    for second in range(101):
        remaining.advance(0.5 + second / 400)  # a quarter in 100 s
        least, most = remaining.range_s(float(second))
    assert 80 < least < 100 < most < 140


@pytest.mark.parametrize(
    ("span_s", "text"),
    [((0, 59), "less than a minute"), ((100, 170), "about 3 min"), ((900, 1740), "15 to 29 min"), ((50, 70), "about 2 min")],
)
def test_range_is_text_for_people(span_s: tuple[float, float], text: str) -> None:
    assert range_text(*span_s) == text
