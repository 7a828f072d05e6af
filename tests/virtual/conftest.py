# SPDX-License-Identifier: MIT
"""Boards with the small firmwares of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from earlid.virtual.board import VirtualBoard

FIRMWARE = Path(__file__).parent / "firmware"


@pytest.fixture
def make_board() -> Iterator[Callable[..., VirtualBoard]]:
    """make_board("loop", ...) gives a started board with firmware/loop on it; all are stopped at the end."""
    boards: list[VirtualBoard] = []

    def make(firmware: str | None, **options: object) -> VirtualBoard:
        board = VirtualBoard(firmware=FIRMWARE / firmware if firmware else None, **options)  # type: ignore[arg-type]
        boards.append(board)
        board.start()
        return board

    yield make
    for board in boards:
        board.stop()
