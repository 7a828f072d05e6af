# SPDX-License-Identifier: MIT
"""What a factory is sent of a circuit board: Gerber files, drill files, places of parts, an IPC-D-356 netlist; free of dates."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from hardware.parts import Netlist
from hardware.pcb import archive, make, placement

_DATES = (
    (re.compile(r"(%TF\.CreationDate,|TF\.CreationDate,)[^*\n]*"), r"\g<1>2000-01-01T00:00:00+00:00"),
    (re.compile(r"(Created by KiCad [^\n]*?) date [^*\n]*"), r"\1"),
    (re.compile(r"(; DRILL file \{[^}]*\}) date [^\n]*"), r"\1"),
)


def undated(text: str) -> str:
    for pattern, instead in _DATES:
        text = pattern.sub(instead, text)
    return text


def positions(board: Netlist) -> str:
    """Places of parts as CSV, in KiCad's columns: millimetres from the lower left corner, upwards."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["Ref", "Val", "Package", "PosX", "PosY", "Rot", "Side"])
    height = placement.plan(board).height
    for place in sorted(placement.place(board), key=lambda place: place.ref):
        if place.footprint.name != placement.HOLE:
            package = place.footprint.name.partition(":")[2]
            where = [f"{place.x:.3f}", f"{height - place.y:.3f}", f"{place.turn:.0f}", "top"]
            writer.writerow([place.ref, place.value, package, *where])
    return out.getvalue()


def tested_nets(text: str) -> dict[str, set[tuple[str, str]]]:
    """Net -> {(ref, pad number)} of an IPC-D-356 file, less vias and pads that are not connected."""
    found: dict[str, set[tuple[str, str]]] = {}
    for line in text.splitlines():
        record = re.match(r"3[16]7(.{14})   (.{6})-(.{4})", line)
        if record and record[1].strip() != "N/C":
            found.setdefault(record[1].strip(), set()).add((record[2].strip(), record[3].strip()))
    return found


def files(board: Netlist, path: Path) -> dict[str, bytes]:
    """Everything of one board by name, from its made .kicad_pcb."""
    found = {path.with_suffix(f".{end}").name: path.with_suffix(f".{end}").read_bytes() for end in make.SUFFIXES}
    with tempfile.TemporaryDirectory() as folder:
        make.kicad("plot", str(path), folder)
        for made in sorted(Path(folder).iterdir()):
            if made.suffix in (".gbr", ".drl", ".d356"):
                name = made.name if made.name.startswith(board.name) else f"{board.name}.d356"
                found[f"factory/{name}"] = undated(made.read_text()).encode()
    found[f"factory/{board.name}-positions.csv"] = positions(board).encode()
    return found


def build(board: Netlist, say: Callable[[str], None] = lambda text: None) -> bytes:
    """A board made anew and packed: what hardware/made/<board>-pcb.zip holds. Raises ValueError as `make.make` does."""
    with tempfile.TemporaryDirectory() as folder:
        return archive.pack(files(board, make.make(board, Path(folder), say)))
