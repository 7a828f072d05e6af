# SPDX-License-Identifier: MIT
"""The model of the ESP32's ADC, and that the virtual chip reads by it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from earlid.virtual.adc import CORNERS, DB_0, DB_11, ERROR_MV, HIGH, NOMINAL, TWO_POINT, USABLE_MV, VREF, Adc
from earlid.virtual.board import VirtualBoard

ATTENUATIONS = range(4)
READ_ALL = b"""
from machine import ADC, Pin
adc = ADC(Pin(34))
print("read", *[(adc.atten(atten), adc.read_uv() // 1000)[1] for atten in range(4)])
"""


@pytest.mark.parametrize("corner", [*CORNERS, (VREF, NOMINAL), (TWO_POINT, NOMINAL)])
@pytest.mark.parametrize("atten", ATTENUATIONS)
def test_reading_in_the_usable_range_is_within_the_error(corner: tuple[int, int], atten: int) -> None:
    adc = Adc(*corner)
    low, high = USABLE_MV[atten]
    for pin_mv in range(max(low, adc.floor_mv(atten)), min(high, adc.linear_mv(atten) - ERROR_MV[atten])):
        assert abs(adc.reading_mv(atten, pin_mv) - pin_mv) <= ERROR_MV[atten]


def test_nothing_reads_as_the_drivers_offset() -> None:
    assert [Adc().reading_mv(atten, 0) for atten in ATTENUATIONS] == [75, 78, 107, 142]
    assert [Adc(TWO_POINT).reading_mv(atten, 0) for atten in ATTENUATIONS] == [85, 86, 112, 139]
    assert max(Adc(*corner).floor_mv(DB_0) for corner in CORNERS) == 108


def test_full_scale_is_that_of_the_drivers_slope_and_table() -> None:
    """1100 mV: 4095 steps of 57431 (76236, 105481) / 65536 * 1100 / 4096, and the offset; at 11 dB the mean of its tables."""
    assert [Adc().ceiling_mv(atten) for atten in ATTENUATIONS] == [1038, 1357, 1877, 3135]


def test_two_point_chip_tells_nothing_where_its_table_has_no_reference() -> None:
    for end in (NOMINAL, HIGH):
        adc = Adc(TWO_POINT, end)
        assert adc.reading_mv(DB_11, adc.linear_mv(DB_11) + 1) < 300
    assert Adc(VREF).reading_mv(DB_11, 3000) == 3000


@pytest.mark.parametrize(("level", "pin_mv"), [(0, 0), (1, 3300)])
@pytest.mark.parametrize("corner", CORNERS)
def test_virtual_chip_reads_as_the_model(
    make_board: Callable[..., VirtualBoard], corner: tuple[int, int], level: int, pin_mv: int
) -> None:
    adc = Adc(*corner)
    board = make_board(None, files={"main.py": b"import time\ntime.sleep_ms(50)\n" + READ_ALL}, adc=adc)
    board.stuck_pin(34, level)
    board.wait_for(r"read ", 2000)
    board.run_ms(100)
    found = [int(mv) for mv in re.findall(r"read (\d+) (\d+) (\d+) (\d+)", board.console)[0]]
    assert found == [adc.reading_mv(atten, pin_mv) for atten in ATTENUATIONS]
