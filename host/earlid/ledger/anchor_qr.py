# SPDX-License-Identifier: MIT
"""QR codes of anchor codes: of their text alone, 21 modules a side, so that a photograph can be read back."""

from __future__ import annotations

import io
from typing import TextIO

import segno


def _code(text: str) -> segno.QRCode:
    return segno.make_qr(text, error="m", boost_error=True)


def qr_modules(text: str) -> list[str]:
    """The modules of a code, a string of 0 and 1 (dark) a row, without the light border of 4 modules that it needs."""
    return ["".join(map(str, row)) for row in _code(text).matrix]


def qr_lines(text: str, out: TextIO) -> list[str]:
    """The same in half blocks for a terminal, 13 lines of 25 characters: light ones are drawn, as on a dark ground.

    None for a terminal that lacks the characters.
    """
    drawn = io.StringIO()
    _code(text).terminal(drawn, border=2, compact=True)
    try:
        drawn.getvalue().encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return []
    return drawn.getvalue().splitlines()
