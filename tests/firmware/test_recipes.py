# SPDX-License-Identifier: MIT
"""The firmware of every recipe, on a virtual board with that recipe's copper, at both ends of both calibrations of the ADC."""

from __future__ import annotations

import pytest
from earlid import firmware
from earlid.demo.scenes import SPEECH
from earlid.virtual.adc import CORNERS, TWO_POINT, Adc
from earlid.virtual.sound import load

from tests.firmware.kit import Bench

MUTED_STATE_MS = 100  # three hops of debouncing, and the filter of the read-back
IDS = {corner: f"{'two-point' if corner[0] == TWO_POINT else 'vref'}{corner[1]:+d}" for corner in CORNERS}


@pytest.mark.parametrize("corner", CORNERS, ids=IDS.get)
@pytest.mark.parametrize("recipe", firmware.RECIPES)
def test_recipe_starts_opens_closes_and_mutes(recipe: str, corner: tuple[int, int]) -> None:
    with Bench(word=True, recipe=recipe, adc=Adc(*corner)) as lid:
        board = lid.board
        assert lid.hello()["state"] == "closed"
        assert (lid.hello().get("channels") == 1) == (recipe == firmware.ONE_CHANNEL)
        assert not lid.guarded_live()
        heard_ms = board.play(load(SPEECH / "word-slt.flac"))
        board.run_until(lambda: lid.guarded_live() or board.now_ms > heard_ms + 600)
        by_word = recipe != firmware.ONE_CHANNEL  # whose microphone hears nothing while its lid is closed
        assert lid.guarded_live() == by_word
        if not by_word:
            lid.press()
        board.run_ms(300)
        assert lid.guarded_live()
        assert lid.hello()["state"] == "open"
        assert (lid.last_record("open").reason == "word") == by_word
        lid.press()
        assert lid.ms_until_closed(400) < 250
        board.run_ms(400)
        assert lid.hello()["state"] == "closed"
        assert lid.last_record("close").reason == "button"
        lid.press()
        board.run_ms(300)
        assert lid.guarded_live()
        board.mute(True)
        assert lid.ms_until_closed(20) < 20
        board.run_ms(MUTED_STATE_MS)
        assert lid.hello()["state"] == "muted"
        board.mute(False)
        board.run_ms(300)
        assert lid.hello()["state"] == "closed"
        assert [entry.reason for entry in lid.records("selftest")] == ["passed"]
        assert not lid.records("fault")
