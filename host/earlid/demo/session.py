# SPDX-License-Identifier: MIT
"""Demo session: one virtual board with a ledger in a temporary folder, from power-on to the receipts."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from earlid import filesystem, firmware
from earlid.demo import narrator
from earlid.demo.interactive import run_interactive
from earlid.demo.scenes import QUIET_ROOM_DBFS, WORD
from earlid.errors import UserError
from earlid.flash import content, firmware_build, image, one_file, transfer
from earlid.flash.this_processor import for_this_processor
from earlid.gate.models import Model
from earlid.ledger.location import Location
from earlid.virtual.board import VirtualBoard
from earlid.virtual.nor_flash import FLASH_BYTES
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
        file_system, origin = _flash_content(recipe, model.blob)
        board = VirtualBoard(file_system=file_system, recipe=recipe, entropy=secrets.randbits(64))
        board.noise(QUIET_ROOM_DBFS)
        word = escape(model.manifest.wake_word)
        out.print(
            f'[bold]Earlid demo[/]: a virtual board that listens for "{word}". The firmware, MicroPython, '
            "the network and the serial port are real; the circuit, the relay and the microphone are computed."
        )
        out.print(f"{origin}\n", markup=False)
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


def _flash_content(recipe: str, word: bytes) -> tuple[bytes, str]:
    """What the board starts from, and a sentence that says what it is."""
    build = firmware_build.build(firmware.root(), firmware_build.ESP32_ARCH, recipe)
    files = content.files(build, word)
    micropython = None
    with suppress(UserError, OSError):  # no home folder, or one that cannot be read
        micropython = image.cached()
    if micropython:
        data = one_file.make(micropython, files)
        file_system = one_file.inspect(data).file_system
        text = f"It starts from the one file that `earlid image` makes (SHA-256 {transfer.sha256(data)[:16]}...)"
    else:
        file_system = filesystem.build(files, FLASH_BYTES)
        text = "It starts from the file system of the one file that `earlid image` makes (MicroPython's release is not here)"
    return for_this_processor(file_system), f"{text}, byte for byte but for the ESP32's machine code, which a PC cannot run."


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
