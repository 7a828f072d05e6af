# SPDX-License-Identifier: MIT
"""What runs on a dev board of the tests, made of the bytes of its flash: Earlid on a virtual board, or nothing."""

from __future__ import annotations

from functools import cache

from earlid import firmware
from earlid.errors import UserError
from earlid.flash import firmware_build, one_file
from earlid.virtual import littlefs_image
from earlid.virtual.board import VirtualBoard

from tests.flash.harness import board_end
from tests.web.dev_board import Program, no_program

QUIET_ROOM_DBFS = -60


class Earlid:
    """Real MicroPython on the file system of a flash, as fast as the processor goes.

    Attributes:
        board: the virtual board.
    """

    def __init__(self, flash: bytes) -> None:
        found = one_file.inspect(flash)
        self._offset = found.layout.file_system.offset
        self._flash = flash
        self.board = VirtualBoard(firmware=None, deploy=False)
        self.board.simulation.flash.load(_for_this_processor(found))
        self.board.noise(QUIET_ROOM_DBFS)
        self._end = board_end(self.board)
        self.fileno = self._end.fileno
        self.board.run_background()
        self.board.power_on()

    def stop(self) -> bytes:
        """Cut the supply; the flash as the board left it."""
        self.board.pause()
        self.board.power_cut()
        left = bytes(self.board.simulation.flash.data)
        self._end.close()
        self.board.stop()
        return self._flash[: self._offset] + left + self._flash[self._offset + len(left) :]


def start(flash: bytes) -> Program:
    """What a chip with this flash does: Earlid, if all of it is there."""
    try:
        return Earlid(flash)
    except UserError:
        return no_program(flash)


@cache
def _compiled_here() -> dict[str, bytes]:
    return firmware_build.build(firmware.root(), "x64").files


def _for_this_processor(found: one_file.Inspection) -> bytes:
    # A chip's native code does not run here: the same sources compiled for this processor stand in its place.
    directory = next(path.split("/")[1] for path in found.files if path.startswith("/lid-"))
    return littlefs_image.amend(found.file_system, {f"/{directory}/{path}": data for path, data in _compiled_here().items()})
