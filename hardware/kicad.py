# SPDX-License-Identifier: MIT
"""A KiCad 6 schematic: a box a part, a local label a pin. Electrically complete; the drawing for people is another file.

Its symbols are also written as a library with a table that names it, so that KiCad finds where they come from.
"""

from __future__ import annotations

import re
import uuid

from hardware.bom import item
from hardware.parts import CABLE_SUPPLIES, PINS, Netlist, Part

VERSION = 20211123
LIBRARY_VERSION = 20211014
SPACE = uuid.UUID("6a1d0c5e-4a0e-5b7a-9c39-ea411d000007")
GRID = 2.54
PIN_LENGTH = 2.54
BOX_WIDTH = 7.62
COLUMN_MM, ROWS_MM = 45.72, 270.0


def _id(*parts: object) -> str:
    return str(uuid.uuid5(SPACE, "/".join(map(str, parts))))


def _font(size: float = 1.27, extra: str = "") -> str:
    return f"(effects (font (size {size} {size})){extra})"


def _kinds(board: Netlist) -> dict[str, tuple[str, ...]]:
    kinds = {part.kind: PINS[part.kind] for part in board.parts}
    kinds[_devkit_kind(board)] = tuple(pin for pin, _net in devkit_pins(board))
    return kinds


def _devkit_kind(board: Netlist) -> str:
    return board.name.replace("earlid", "DEVKIT")


def devkit_pins(board: Netlist) -> list[tuple[str, str]]:
    """(pin, net) of the DevKit."""
    supplies = [net for net in board.supplies if net not in CABLE_SUPPLIES]
    return [(f"IO{n}", net) for n, (net, _role) in sorted(board.gpio.items())] + [(net, net) for net in supplies]


def _pin_at(index: int, count: int) -> tuple[float, float]:
    """Left side first half, right side second half; KiCad symbols count y upwards."""
    left = (count + 1) // 2
    row = index if index < left else index - left
    x = BOX_WIDTH / 2 + PIN_LENGTH
    return (-x if index < left else x), -GRID * row


def _symbol(kind: str, pins: tuple[str, ...], nickname: str = "earlid:") -> list[str]:
    rows = (len(pins) + 1) // 2
    half = BOX_WIDTH / 2
    lines = [
        f'    (symbol "{nickname}{kind}" (in_bom yes) (on_board yes)',
        f'      (property "Reference" "{kind[0]}" (id 0) (at 0 3.81 0) {_font()})',
        f'      (property "Value" "{kind}" (id 1) (at 0 {-GRID * rows:.2f} 0) {_font()})',
        f'      (symbol "{kind}_0_1" (rectangle (start {-half:.2f} {GRID:.2f}) (end {half:.2f} {-GRID * rows:.2f})'
        " (stroke (width 0.15) (type default) (color 0 0 0 0)) (fill (type none))))",
        f'      (symbol "{kind}_1_1"',
    ]
    for i, pin in enumerate(pins):
        x, y = _pin_at(i, len(pins))
        lines.append(
            f"        (pin passive line (at {x:.2f} {y:.2f} {0 if x < 0 else 180}) (length {PIN_LENGTH})"
            f' (name "{pin}" {_font(1.0)}) (number "{i + 1}" {_font(0.8)}))'
        )
    return [*lines, "      )", "    )"]


def _place(board: Netlist, ref: str, kind: str, value: str, mpn: str, nets: list[str], x: float, y: float) -> list[str]:
    at = f"(at {x:.2f} {y:.2f} 0)"
    count = len(nets)
    bottom = y + GRID * ((count + 1) // 2) + 1.27
    lines = [
        f'  (symbol (lib_id "earlid:{kind}") {at} (unit 1) (in_bom yes) (on_board yes) (uuid {_id(board.name, ref)})',
        f'    (property "Reference" "{ref}" (id 0) (at {x:.2f} {y - 3.81:.2f} 0) {_font()})',
        f'    (property "Value" "{value}" (id 1) (at {x:.2f} {bottom:.2f} 0) {_font()})',
        f'    (property "Footprint" "" (id 2) {at} {_font(1.27, " hide")})',
        f'    (property "Datasheet" "" (id 3) {at} {_font(1.27, " hide")})',
        f'    (property "MPN" "{mpn}" (id 4) {at} {_font(1.27, " hide")})',
    ]
    lines += [f'    (pin "{i + 1}" (uuid {_id(board.name, ref, i)}))' for i in range(count)]
    lines.append("  )")
    for i, net in enumerate(nets):
        dx, dy = _pin_at(i, count)
        px, py = x + dx, y - dy
        if net:
            turn, side = (180, "right") if dx < 0 else (0, "left")
            lines.append(
                f'  (label "{net}" (at {px:.2f} {py:.2f} {turn}) {_font(1.27, f" (justify {side} bottom)")}'
                f" (uuid {_id(board.name, ref, i, 'label')}))"
            )
        else:
            lines.append(f"  (no_connect (at {px:.2f} {py:.2f}) (uuid {_id(board.name, ref, i, 'nc')}))")
    return lines


def _entries(board: Netlist) -> list[tuple[str, str, str, str, list[str]]]:
    def entry(part: Part) -> tuple[str, str, str, str, list[str]]:
        return part.ref, part.kind, part.value, item(part).mpn, list(part.pins.values())

    devkit = (
        "A1",
        _devkit_kind(board),
        "ESP32-DevKitC and cables",
        "ESP32-DevKitC-32E",
        [net for _pin, net in devkit_pins(board)],
    )
    return [devkit, *map(entry, board.parts)]


def schematic(board: Netlist) -> str:
    """Text of a `.kicad_sch` file in KiCad 6's format."""
    root = _id(board.name)
    lines = [
        f"(kicad_sch (version {VERSION}) (generator earlid)",
        "",
        f"  (uuid {root})",
        "",
        '  (paper "A2")',
        "",
        "  (lib_symbols",
    ]
    for kind, pins in sorted(_kinds(board).items()):
        lines += _symbol(kind, pins)
    lines += ["  )", ""]
    x, y = 38.1, 25.4
    instances = []
    for ref, kind, value, mpn, nets in _entries(board):
        lines += _place(board, ref, kind, value, mpn, nets, x, y)
        instances.append(f'    (path "/{_id(board.name, ref)}" (reference "{ref}") (unit 1) (value "{value}") (footprint ""))')
        y += GRID * (((len(nets) + 1) // 2) + 6)
        if y > ROWS_MM:
            x, y = x + COLUMN_MM, 25.4
    lines += ["", '  (sheet_instances (path "/" (page "1")))', "  (symbol_instances", *instances, "  )", ")"]
    return "\n".join(lines) + "\n"


def library(boards: list[Netlist]) -> str:
    """Text of a `.kicad_sym` library with every symbol of these boards."""
    kinds = {kind: pins for board in boards for kind, pins in _kinds(board).items()}
    lines = [f"(kicad_symbol_lib (version {LIBRARY_VERSION}) (generator earlid)"]
    for kind, pins in sorted(kinds.items()):
        lines += _symbol(kind, pins, "")
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
    """The same of our own netlist, with the pin numbers of the symbols."""
    pins_by_net: dict[str, set[tuple[str, str]]] = {}
    for ref, _kind, _value, _mpn, nets in _entries(board):
        for number, net in enumerate(nets, start=1):
            if net:
                pins_by_net.setdefault(net, set()).add((ref, str(number)))
    return pins_by_net
