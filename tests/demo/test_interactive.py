# SPDX-License-Identifier: MIT
"""`earlid demo --no-story` in a real terminal: keys speak to the board, press its buttons and pull its plug."""

from __future__ import annotations

import re

import pytest
from earlid.board.link import Link
from earlid.demo.key_actions import KeyActions
from earlid.virtual.board import VirtualBoard

from tests.terminal import Terminal


def test_keys_at_a_terminal_drive_the_board(tmp_path) -> None:
    with Terminal(["demo", "--no-story"], columns=60, environment={"EARLID_DATA_DIR": str(tmp_path)}) as person:
        person.expect("The board stays at ")
        person.expect("q end")
        port = re.search(r"stays at (\S+)\. ", person.text)
        assert port
        with Link(port[1]) as link:
            assert any(getattr(message, "event", "") == "selftest" for message in link.messages(60)), "no self-test in a minute"
            list(link.messages(3))  # a network that has just begun is not heard for a second
        person.keys("w")
        person.expect("The lid is open: the guarded microphone has power.")
        person.keys("m")
        person.expect("latched")
        person.expect("The lid is closed: no power.")
        person.keys("?q")  # two at once, the first of which means nothing
        person.expect("The board is gone.")
        assert person.end() == 0
        assert max(map(len, person.text.replace("\r", "\n").splitlines())) <= 60


def test_every_key_acts_on_the_board() -> None:
    with VirtualBoard() as board:
        board.noise(-60)
        actions = KeyActions(board, word=False)
        assert "w " not in actions.help()
        assert actions.press("w") == actions.press("") == actions.press("x") == ""
        board.run_until(lambda: '"selftest"' in board.console)
        assert actions.press("t") == "The talk button is held."
        board.run_until(lambda: board.relays[1])
        assert actions.press("t") == "The talk button is let go."
        assert actions.press("m").startswith("The mute switch is latched")
        board.run_ms(300)
        assert board.rails[1] < 300
        assert actions.press("m") == "The mute switch is off."
        resets = len(board.resets)
        actions.press("r")
        actions.press("u")
        assert board.rails[0] < 4000
        assert actions.press("u") == "Plugged in."
        board.run_ms(500)
        assert len(board.resets) >= resets + 2


@pytest.mark.parametrize("words", [("--wav", "x.wav"), ("--mic",)])
def test_no_story_with_a_sound_source_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    from earlid import cli

    assert cli.main(["demo", "--no-story", *words]) == 2
    assert "nothing to do" in capsys.readouterr().err
