# SPDX-License-Identifier: MIT
"""Writes the picture of what `earlid demo` prints on a terminal: `python -m tests.house.record_demo`."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from tests.terminal import Terminal

PICTURE = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "recording.svg"
COLUMNS = 112
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)  # they would be fetched from a network


def record() -> str:
    """The SVG of one run of the story."""
    with Terminal(["demo"], columns=COLUMNS) as terminal:
        code = terminal.end()
    if code:
        raise RuntimeError(f"earlid demo ended with {code}:\n{terminal.text}")
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    shown = Text.from_ansi(terminal.raw.replace("\r\n", "\n").strip())
    console.print(shown, "")
    return console.export_svg(title="make demo", code_format=FORMAT, unique_id="demo")


if __name__ == "__main__":
    PICTURE.write_text(record() + "\n", encoding="utf-8")
