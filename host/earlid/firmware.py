# SPDX-License-Identifier: MIT
"""Where the board's own files are: boot.py, main.py and the package `lid`, with the manifest of their hashes."""

from __future__ import annotations

from pathlib import Path

RECIPES = ("digital", "usb", "electret", "1ch")  # of the copper; the first is the reference board's, `lid/circuit.py`
ONE_CHANNEL = "1ch"  # whose microphone is behind the lid: it cannot wait for a word
HOST_ONLY = ("lid/wire_schema.py",)  # part of the package, for hosts; never put on a board
MICROPYTHON = (1, 26, 1)  # the release that the firmware was measured on and that `flash` writes
_HERE = Path(__file__).parent


def circuit_path(recipe: str) -> str:
    """Where a recipe's `circuit.py` is, below `root`.

    Raises:
        ValueError: when there is no such recipe.
    """
    if recipe not in RECIPES:
        raise ValueError(f"no recipe '{recipe}': choose {', '.join(RECIPES)}")
    return "lid/circuit.py" if recipe == RECIPES[0] else f"circuits/{recipe}.py"


def root() -> Path:
    """The folder `firmware` of the checkout, or the copy of it that an installed package carries."""
    packaged = _HERE / "firmware_files"
    return packaged if packaged.is_dir() else _HERE.parents[1] / "firmware"
