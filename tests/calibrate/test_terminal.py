# SPDX-License-Identifier: MIT
"""The guided session on a pseudo-terminal with real keys and a virtual board.

The board's time goes on only while the person waits for something to be shown: nobody is too late on a busy machine.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator

import numpy as np
import pytest
from earlid.board.level import METER_LOW_DBFS, meter
from earlid.board.link import Link
from earlid.virtual.board import VirtualBoard

from tests.calibrate.conftest import RATE_HZ, SPEED, START_MS, STEP_MS, pass_time, speech
from tests.terminal import Terminal

BEGIN = "Enter begins, s skips: "
QUICK = ("--room", "2s", "--voice", "3s", "--words", "3", "--noise", "60s")


@pytest.fixture
def board(model) -> Iterator[VirtualBoard]:
    with VirtualBoard(files={"model.bin": model.blob}, seed=5) as made:
        made.noise(-65.0)
        made.run_ms(START_MS)
        yield made


class Person(Terminal):
    """A terminal at whose side a board stands."""

    def __init__(self, board: VirtualBoard, own_data_dir, *words: str) -> None:
        self._board = board
        super().__init__(["calibrate", "-p", board.serial_port, *words], environment={"EARLID_DATA_DIR": str(own_data_dir)})

    def _read(self, patience_s: float) -> bool:
        end_s = time.monotonic() + patience_s
        while not select.select([self._fd], [], [], STEP_MS / 1000 / SPEED)[0]:
            if time.monotonic() > end_s:
                return False
            pass_time(self._board)
        return super()._read(0)


def config_of(board: VirtualBoard) -> dict[str, int]:
    board.run_background(SPEED)
    try:
        with Link(board.serial_port) as link:
            return dict(link.request("config-get")["config"])
    finally:
        board.pause()


def test_guided_session_on_a_terminal_completes(board, own_data_dir) -> None:
    talk = np.resize(speech("babble-awb", 0.5), 4 * RATE_HZ).astype(np.int16)
    with Person(board, own_data_dir, *QUICK) as person:
        person.expect("room")
        person.expect(BEGIN)
        person.keys("\r")
        person.expect("dBFS")
        person.expect("The room is at -89")
        person.expect("from where you will be")
        person.expect(BEGIN)
        person.keys("\r")  # and says nothing
        person.expect("Found: no speech")
        person.expect("Enter tries again, s skips: ")
        person.keys("\r")
        person.expect("dBFS")
        board.play(talk)
        person.expect("Your voice is at")
        person.expect("Say 'Alexa' 3 times")
        person.expect(BEGIN)
        person.keys("\r")
        for number, word in enumerate(("word-slt", None, "word-rms"), 1):
            person.expect(f"say it now ({number} of 3)")
            if word:
                board.play(speech(word))
            person.expect("wait for it")  # the sign goes out
            person.expect(f"  {number}: {'heard' if word else 'no sound'}, score")
        person.expect("Ctrl-C ends it early")
        person.expect(BEGIN)
        person.keys("\r")
        person.expect("listening")
        person.expect(" 0:0")  # how long it still takes
        person.keys("\x03")
        person.expect("heard; 0 false openings")
        person.expect("What each level does")
        person.expect("false openings per hour")
        person.expect("Which level, careful, balanced, eager? (Enter: none) ")
        person.keys("loud\r")
        person.expect("There is no 'loud'.")
        person.keys("b\r")
        person.expect("Settings that change:")
        person.expect("latch the mute switch, then hold the talk button for 3 seconds")
        person.expect("yes to this request only")
        person.expect(" s left, Ctrl-C withdraws it")
        board.mute(True)
        board.at(board.now_ms + 200, lambda: board.talk(True))  # once the latched switch is seen
        person.expect("Written and journaled")
        board.talk(False)
        board.mute(False)
        assert person.end() == 0
        shown = [line.rstrip() for line in person.text.replace("\r", "\n").splitlines()]
        assert not [line for line in shown if len(line) > 80]
    wanted = next(line for line in person.text.splitlines() if "cutoff_q8:" in line)
    assert config_of(board)["cutoff_q8"] == int(wanted.split("->")[1])


def test_ctrl_c_restores_the_terminal_and_keeps_the_session(board, own_data_dir) -> None:
    before = config_of(board)
    with Person(board, own_data_dir, *QUICK) as person:
        person.expect(BEGIN)
        person.keys("\r")
        person.expect("The room is at")
        person.expect(BEGIN)
        person.keys("s\r")
        person.expect("voice: skipped")
        person.expect(BEGIN)
        person.keys("\r")
        person.expect("  1: no sound")
        person.keys("\x03")
        person.expect("goes on from here")
        person.end_tidily(130)
    with Person(board, own_data_dir, *QUICK, "--skip", "voice,noise", "--no-write", "--level", "careful") as person:
        person.expect("going on with the session")
        person.expect("room: done before, kept")
        person.expect(BEGIN)
        person.keys("\r")
        person.expect("say it now (2 of 3)")
        person.expect("Settings that change:")
        assert person.end() == 0
    assert config_of(board) == before


def test_ctrl_d_at_a_question_ends_the_session(board, own_data_dir) -> None:
    with Person(board, own_data_dir) as person:
        person.expect(BEGIN)
        person.keys("\x04")
        person.end_tidily(130)
        assert "earlid: interrupted" in person.text


@pytest.mark.parametrize(
    ("level_dbfs", "filled"), [(METER_LOW_DBFS - 5, 0), (METER_LOW_DBFS, 0), (-45.0, 10), (0.0, 20), (6.0, 20)]
)
def test_level_meter_is_clamped_to_its_range(level_dbfs: float, filled: int) -> None:
    assert meter(level_dbfs) == "█" * filled + "·" * (20 - filled)
