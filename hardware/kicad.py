# SPDX-License-Identifier: MIT
"""A KiCad 6 schematic: a box a part, a local label a pin. Electrically complete; the drawing for people is another file.

Pins have the numbers of the footprints' pads and electrical types, so that KiCad's own rules check means something. Symbols are
also written as a library with a table that names it, so that KiCad finds where they come from.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from hardware import footprints
from hardware.bom import item
from hardware.footprints import Body
from hardware.parts import Netlist, Part

VERSION = 20211123
LIBRARY_VERSION = 20211014
SPACE = uuid.UUID("6a1d0c5e-4a0e-5b7a-9c39-ea411d000007")
GRID = 2.54
PIN_LENGTH = 2.54
NARROW, WIDE = 7.62, 15.24  # boxes: of pins with names up to three letters, and of others
COLUMN_MM, ROWS_MM = 45.72, 235.0
PREFIX = {"Z": "D", "NMOS": "Q", "PMOS": "Q", "PTC": "F", "CMP": "U", "RELAY": "K", "SW3": "SW", "SW2": "SW", "BUTTON": "SW",
          "BUZZER": "BZ", "CONN2": "J", "CONN3": "J", "PWR_FLAG": "#FLG"}  # fmt: skip
FLAGGED = ("GND", "RAIL1")  # fed by what KiCad cannot know: the DevKit's ground, and contact and pole in series
FLAG = Body("", {"pwr": "1"}, "power:PWR_FLAG", {"pwr": "power_out"})


def _id(*parts: object) -> str:
    return str(uuid.uuid5(SPACE, "/".join(map(str, parts))))


def _font(size: float = 1.27, extra: str = "") -> str:
    return f"(effects (font (size {size} {size})){extra})"


@dataclass(frozen=True)
class _Placed:
    """One symbol on the sheet: `kind` names its symbol, `nets` pin -> net ('' = not connected)."""

    ref: str
    kind: str
    value: str
    mpn: str
    body: Body
    nets: dict[str, str]


def _entries(board: Netlist) -> list[_Placed]:
    def entry(part: Part) -> _Placed:
        return _Placed(part.ref, part.kind, part.value, item(part).mpn, footprints.of(part), part.pins)

    body, nets = footprints.devkit(board), footprints.devkit_nets(board)
    kind = board.name.replace("earlid", "DEVKIT")
    a1 = _Placed(
        footprints.DEVKIT_REF,
        kind,
        "ESP32-DevKitC",
        "ESP32-DevKitC-32E",
        body,
        {pin: nets[pad] for pin, pad in body.pads.items()},
    )
    flags = [_Placed(f"#FLG{i}", "PWR_FLAG", "PWR_FLAG", "", FLAG, {"pwr": net}) for i, net in enumerate(FLAGGED, start=1)]
    return [a1, *map(entry, board.parts), *flags]


def _symbols(board: Netlist) -> dict[str, Body]:
    return {placed.kind: placed.body for placed in _entries(board)}


def _half_width(body: Body) -> float:
    return (NARROW if max(map(len, body.pads)) <= 3 else WIDE) / 2


def _pin_at(body: Body, index: int) -> tuple[float, float]:
    """Left side first half, right side second half; KiCad symbols count y upwards."""
    left = (len(body.pads) + 1) // 2
    row = index if index < left else index - left
    x = _half_width(body) + PIN_LENGTH
    return (-x if index < left else x), -GRID * row


def _symbol(kind: str, body: Body, nickname: str = "earlid:") -> list[str]:
    rows = (len(body.pads) + 1) // 2
    half = _half_width(body)
    prefix = "A" if kind.startswith("DEVKIT") else PREFIX.get(kind, kind)
    power = " (power)" if kind == "PWR_FLAG" else ""
    lines = [
        f'    (symbol "{nickname}{kind}"{power} (in_bom {"no" if power else "yes"}) (on_board {"no" if power else "yes"})',
        f'      (property "Reference" "{prefix}" (id 0) (at 0 3.81 0) {_font()})',
        f'      (property "Value" "{kind}" (id 1) (at 0 {-GRID * rows:.2f} 0) {_font()})',
        f'      (symbol "{kind}_0_1" (rectangle (start {-half:.2f} {GRID:.2f}) (end {half:.2f} {-GRID * rows:.2f})'
        " (stroke (width 0.15) (type default) (color 0 0 0 0)) (fill (type none))))",
        f'      (symbol "{kind}_1_1"',
    ]
    for i, (pin, pad) in enumerate(body.pads.items()):
        x, y = _pin_at(body, i)
        lines.append(
            f"        (pin {body.type_of(pin)} line (at {x:.2f} {y:.2f} {0 if x < 0 else 180}) (length {PIN_LENGTH})"
            f' (name "{pin}" {_font(1.0)}) (number "{pad}" {_font(0.8)}))'
        )
    return [*lines, "      )", "    )"]


def _place(board: Netlist, placed: _Placed, x: float, y: float) -> list[str]:
    at = f"(at {x:.2f} {y:.2f} 0)"
    ref, count = placed.ref, len(placed.body.pads)
    bottom = y + GRID * ((count + 1) // 2) + 1.27
    in_bom = "no" if placed.kind == "PWR_FLAG" else "yes"
    lines = [
        f'  (symbol (lib_id "earlid:{placed.kind}") {at} (unit 1) (in_bom {in_bom}) (on_board {in_bom})'
        f" (uuid {_id(board.name, ref)})",
        f'    (property "Reference" "{ref}" (id 0) (at {x:.2f} {y - 3.81:.2f} 0) {_font()})',
        f'    (property "Value" "{placed.value}" (id 1) (at {x:.2f} {bottom:.2f} 0) {_font()})',
        f'    (property "Footprint" "{placed.body.footprint}" (id 2) {at} {_font(1.27, " hide")})',
        f'    (property "Datasheet" "" (id 3) {at} {_font(1.27, " hide")})',
        f'    (property "MPN" "{placed.mpn}" (id 4) {at} {_font(1.27, " hide")})',
    ]
    lines += [f'    (pin "{pad}" (uuid {_id(board.name, ref, pad)}))' for pad in placed.body.pads.values()]
    lines.append("  )")
    for i, (pin, pad) in enumerate(placed.body.pads.items()):
        dx, dy = _pin_at(placed.body, i)
        px, py = x + dx, y - dy
        if net := placed.nets[pin]:
            turn, side = (180, "right") if dx < 0 else (0, "left")
            lines.append(
                f'  (label "{net}" (at {px:.2f} {py:.2f} {turn}) {_font(1.27, f" (justify {side} bottom)")}'
                f" (uuid {_id(board.name, ref, pad, 'label')}))"
            )
        else:
            lines.append(f"  (no_connect (at {px:.2f} {py:.2f}) (uuid {_id(board.name, ref, pad, 'nc')}))")
    return lines


def schematic(board: Netlist) -> str:
    """Text of a `.kicad_sch` file in KiCad 6's format."""
    root = _id(board.name)
    lines = [
        f"(kicad_sch (version {VERSION}) (generator earlid)",
        "",
        f"  (uuid {root})",
        "",
        '  (paper "A3")',
        f'  (title_block (title "{board.name}"))',
        "",
        "  (lib_symbols",
    ]
    for kind, body in sorted(_symbols(board).items()):
        lines += _symbol(kind, body)
    lines += ["  )", ""]
    x, y = 38.1, 25.4
    instances = []
    for placed in _entries(board):
        lines += _place(board, placed, x, y)
        instances.append(
            f'    (path "/{_id(board.name, placed.ref)}" (reference "{placed.ref}") (unit 1) (value "{placed.value}")'
            f' (footprint "{placed.body.footprint}"))'
        )
        y += GRID * (((len(placed.body.pads) + 1) // 2) + 5)
        if y > ROWS_MM:
            x, y = x + COLUMN_MM, 25.4
    lines += ["", '  (sheet_instances (path "/" (page "1")))', "  (symbol_instances", *instances, "  )", ")"]
    return "\n".join(lines) + "\n"


def library(boards: list[Netlist]) -> str:
    """Text of a `.kicad_sym` library with every symbol of these boards."""
    symbols = {kind: body for board in boards for kind, body in _symbols(board).items()}
    lines = [f"(kicad_symbol_lib (version {LIBRARY_VERSION}) (generator earlid)"]
    for kind, body in sorted(symbols.items()):
        lines += _symbol(kind, body, "")
    return "\n".join([*lines, ")"]) + "\n"


TABLE = """\
(sym_lib_table
  (lib (name "earlid")(type "KiCad")(uri "${KIPRJMOD}/earlid.kicad_sym")(options "")(descr "Made by python -m hardware"))
)
"""


def nets_of(text: str) -> dict[str, set[tuple[str, str]]]:
    """Net name -> {(reference, pin number)} of a netlist that KiCad exported, less the pins that are not connected."""
    pins_by_net = {}
    for part in re.split(r"\(net\s+\(code", text[text.index("(nets") :])[1:]:
        name = re.search(r'\(name\s+"([^"]*)"\)', part)
        if name and not name[1].startswith("unconnected-"):
            pins_by_net[name[1].lstrip("/")] = set(re.findall(r'\(node\s+\(ref\s+"([^"]+)"\)\s+\(pin\s+"([^"]+)"\)', part))
    return pins_by_net


def numbered_nets(board: Netlist) -> dict[str, set[tuple[str, str]]]:
    """The same of our own netlist, with the pad numbers of the footprints."""
    pins_by_net: dict[str, set[tuple[str, str]]] = {}
    for placed in _entries(board):
        for pin, net in placed.nets.items():
            if net and not placed.ref.startswith("#"):
                pins_by_net.setdefault(net, set()).add((placed.ref, placed.body.pads[pin]))
    return pins_by_net
