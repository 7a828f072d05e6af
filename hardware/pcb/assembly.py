# SPDX-License-Identifier: MIT
"""A page that shows where each part of a circuit board goes, made by InteractiveHtmlBom out of the board's zip."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hardware.pcb import archive
from hardware.pcb.make import PYTHON

LIBRARY = Path(__file__).resolve().parents[2] / "build" / "ibom"  # laid there by the Makefile: it runs in KiCad's Python
MODULE = "InteractiveHtmlBom.generate_interactive_bom"
FIELDS = "Value,Footprint"


def page(packed: Path) -> bytes:
    """The HTML page of BOARD-pcb.zip.

    Raises ValueError with what the program said when it fails, OSError when there is no such zip.
    """
    with tempfile.TemporaryDirectory(prefix="earlid-assembly-") as scratch:
        file = Path(scratch, packed.stem.removesuffix("-pcb") + ".kicad_pcb")
        file.write_bytes(archive.unpack(packed)[file.name])
        os.utime(file, (0, 0))  # the page names a day, else today's
        options = ["--no-browser", "--dest-dir", scratch, "--name-format", "page", "--group-fields", FIELDS]
        surroundings = {"PATH": "/usr/bin:/bin", "HOME": scratch, "TZ": "UTC", "PYTHONPATH": str(LIBRARY)}
        done = subprocess.run(
            [PYTHON, "-m", MODULE, *options, str(file)],
            env=surroundings | {"INTERACTIVE_HTML_BOM_NO_DISPLAY": "1"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode:
            raise ValueError(f"no assembly page of {file.stem}: {done.stderr.strip()[-500:]}")
        return Path(scratch, "page.html").read_bytes()
