# SPDX-License-Identifier: MIT
"""What runs on a dev board of the tests, made of the bytes of its flash: Earlid on a virtual board, or nothing."""

from __future__ import annotations

from earlid.errors import UserError
from earlid.flash import one_file
from earlid.flash.this_processor import for_this_processor
from earlid.virtual.board import VirtualBoard

from tests.flash.harness import board_end
from tests.web.dev_board import Program, no_program

QUIET_ROOM_DBFS = -60


class Earlid:
    """Real MicroPython on the file system of a flash, as fast as the processor goes; native code is this computer's.

    Attributes:
        board: the virtual board.
    """

    def __init__(self, flash: bytes) -> None:
        found = one_file.inspect(flash)
        self._offset = found.layout.file_system.offset
        self._flash = flash
        self.board = VirtualBoard(file_system=_runnable(found.file_system))
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


def _runnable(file_system: bytes) -> bytes:
    try:
        return for_this_processor(file_system)
    except ValueError:  # it has run here before
        return file_system
