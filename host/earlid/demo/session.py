# SPDX-License-Identifier: MIT
"""Demo session: one virtual board with a ledger in a temporary folder, from power-on to the receipts."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from earlid import firmware
from earlid.demo import narrator
from earlid.demo.interactive import run_interactive
from earlid.demo.scenes import QUIET_ROOM_DBFS, WORD
from earlid.flash import content, firmware_build
from earlid.gate.models import Model
from earlid.ledger.location import Location
from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import Samples

DATA_DIR = "EARLID_DATA_DIR"
PIPE_COLUMNS = 130  # the width where standard output is no terminal


def run_session(
    model: Model, *, recipe: str = firmware.RECIPES[0], speed: float, sound: Samples | None = None, microphone: bool = False,
    story: bool = True, stay: bool = False,
) -> bool:  # fmt: skip
    """Run the demo; returns whether all came out as it must.

    Args:
        model: the network that the board runs.
        recipe: of the board's copper, one of `firmware.RECIPES`.
        speed: of the board's time, in multiples of the wall clock's.
        sound: a recording to play instead of the scenes, int16 at 16 kHz.
        microphone: listen to this PC's microphone instead.
        story: play something at all; else only the interactive board.
        stay: keep the board interactive afterwards.
    """
    out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    as_expected = True
    key: bytes | None = None
    with _own_data_dir() as folder:
        location = Location(folder / "ledger.sqlite", "")
        files = content.deployed(firmware_build.build(firmware.root(), "x64", recipe), model.blob)
        board = VirtualBoard(firmware=None, files=files, recipe=recipe, entropy=secrets.randbits(64))
        board.noise(QUIET_ROOM_DBFS)
        word = escape(model.manifest.wake_word)
        out.print(
            f'[bold]Earlid demo[/]: a virtual board that listens for "{word}". The firmware, MicroPython, '
            "the network and the serial port are real; the circuit, the relay and the microphone are computed.\n"
        )
        board.start()
        try:
            if story:
                board.run_background(speed=speed)
                if sound is not None or microphone:
                    narrator.listen_along(board, location, out, sound)
                else:
                    as_expected, key = narrator.play_story(board, location, out)
                narrator.show_receipts(location, out, key)
            if stay or not story:
                run_interactive(board, out, folder, word=model.name == WORD)
        finally:
            board.stop()
    return as_expected


@contextmanager
def _own_data_dir() -> Iterator[Path]:
    """A folder for ledger and keys that lasts as long as the demo, and that this process takes for the user's meanwhile."""
    before = os.environ.get(DATA_DIR)
    with tempfile.TemporaryDirectory(prefix="earlid-demo-") as folder:
        os.environ[DATA_DIR] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ[DATA_DIR]
            else:
                os.environ[DATA_DIR] = before
