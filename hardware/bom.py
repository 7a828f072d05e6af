# SPDX-License-Identifier: MIT
"""The bill of materials: one line a part number, with alternatives, an estimated price and room for two order numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

from hardware.footprints import DEVKIT_REF
from hardware.layout import COLUMNS, ROWS
from hardware.parts import CATALOGUE, PRICE_DATE, Item, Netlist, Part

HEAD = [
    "refs", "count", "value", "tolerance", "mpn", "alternatives", "rating", "price_each_eur_estimate", "source", "for",
    "order_number_mouser", "order_number_reichelt",
]  # fmt: skip
NOT_LOOKED_UP = "not looked up"
BOTH, CIRCUIT_BOARD, PERFBOARD = "both", "circuit board", "perfboard"
TOLERANCE_LETTERS = {0.01: "F", 0.05: "J", 0.10: "K"}
WIMA_CODES = {"68n": "0268", "100n": "0310", "680n": "0368", "1u": "0410"}  # WIMA's code of a capacitance


@dataclass(frozen=True)
class Extra:
    """Something to buy that is no part of the netlist: `way` says for which way of building."""

    refs: str
    count: int
    item: Item
    way: str = BOTH


def item(part: Part) -> Item:
    """The catalogue's line, or a resistor or capacitor by its value. Raises KeyError for one that cannot be ordered so."""
    if part.value in CATALOGUE:
        return CATALOGUE[part.value]
    if part.kind.startswith("CONN"):
        count = part.kind[-1]
        return Item(
            f"Phoenix Contact PT 1,5/{count}-5,0-H", f"any screw terminal of {count}, 5.0 mm pitch", 0.60, "250 V, 13.5 A"
        )
    letter, percent = TOLERANCE_LETTERS[part.tolerance], f"{part.tolerance * 100:.0f} %"
    if part.kind == "R":
        series, price, watts = ("MFR1WS", 0.15, "1 W") if part.watts > 0.25 else ("MFR-25", 0.05, "0.25 W")
        packing = f"{letter}TE52" if part.watts > 0.25 else f"{letter}BF52"
        return Item(
            f"Yageo {series}{packing}-{part.value.upper()}",
            f"any metal film, {percent}, {watts}",
            price,
            f"{watts} at 70 C, {percent}",
            "Yageo MFR datasheet; the order code's form from memory",
        )
    return Item(
        f"WIMA MKS2C{WIMA_CODES[part.value]} {letter} ({part.value}, 63 V)",
        f"any PET film, {percent}, 5 mm pitch; no ceramic one",
        0.20 if part.value_si < 0.5e-6 else 0.45,
        f"PET film, {percent}, 50 V or more, 7.2 mm long",
        "WIMA MKS 2 datasheet; order code from memory, its size and packing letters are the maker's to add",
    )


CABLES = {
    "digital": Item("two-core cable, 0.5 m", "any", 0.50, "supply of the guarded microphone"),
    "usb": Item("USB 2.0 extension cable, A to A", "any that may be cut", 3.00, "VBUS is led through J2; D+ and D- stay whole"),
    "electret": Item("screened 3.5 mm cable, plug to socket", "any that may be cut", 3.00, "the line is led through J2"),
}
WIRE_COLOURS = "black red orange violet yellow brown green blue grey"


def extras(board: Netlist) -> list[Extra]:
    """Sockets, board, wire, screws, cables."""
    lugs = 3 * (board.channels + 1)
    screw_mm = 30 if any(part.kind == "PMOS" for part in board.parts) else 25  # a standing TO-220 makes the case higher
    lines = [
        Extra("A1", 2, Item("Samtec SSW-119-01-T-S", "any 1x19 socket strip, 2.54 mm", 1.80, "two rows, 25.4 mm apart")),
        Extra("A1", 1, Item("USB A to micro-B cable with data wires, 1 m", "any", 3.00, "0.5 A; a long one drops voltage")),
        Extra("U1", 1, Item("AMP 1-2199298-2", "any DIP-8 socket, 7.62 mm", 0.20, "DIP-8")),
        Extra("MIC1", 1, Item("Harwin M20-9990646", "any 1x6 pin header, 2.54 mm, gold", 0.30, "1x6")),
        Extra("MIC1", 6, Item("jumper lead, socket to socket, 10 cm", "any", 0.10, "SCK WS SD LR GND VDD, by name")),
        Extra(
            "SW1", lugs, Item("stranded wire 0.25 mm2, 20 cm", "any", 0.10, "soldered at both ends: no connector at microamperes")
        ),
        Extra("", 1, Item(f"circuit board {board.name}", "the perfboard", 8.00, "2 layers, 1.6 mm, 35 um"), CIRCUIT_BOARD),
        Extra("", 1, Item("PLA filament, 80 g, for the printed case", "any box", 3.00, "made/*-case.scad"), CIRCUIT_BOARD),
        Extra("", 4, Item(f"M3 x {screw_mm} mm screw", "any", 0.10, "through the lid into the case's posts"), CIRCUIT_BOARD),
        Extra(
            "",
            1,
            Item(f"perfboard, {COLUMNS} x {ROWS[board.channels]} holes, 2.54 mm", "the circuit board", 5.00, "single pads"),
            PERFBOARD,
        ),
        Extra("", 1, Item("insulated wire 0.6 mm, nine colours, 3 m each", "any", 6.00, WIRE_COLOURS), PERFBOARD),
        Extra("", 4, Item("M3 x 10 mm spacer, nylon, internal threads", "any", 0.20, "insulating"), PERFBOARD),
        Extra("", 8, Item("M3 x 6 mm screw", "any", 0.05, "nylon or steel"), PERFBOARD),
    ]
    return lines + ([Extra("J2", 1, CABLES[board.recipe])] if board.channels == 2 else [])


def _row(refs: str, count: int, value: str, tolerance: str, line: Item, way: str) -> list[str]:
    price = f"{line.price_eur:.2f}"
    own = [line.mpn, line.alternatives, line.rating, price, line.source, way]
    return [refs, str(count), value, tolerance, *own, NOT_LOOKED_UP, NOT_LOOKED_UP]


def rows(board: Netlist) -> list[list[str]]:
    """One row a part number, in the columns of HEAD; then what is no part of the netlist."""
    groups: dict[str, list[Part]] = {}
    for part in board.parts:
        groups.setdefault(item(part).mpn, []).append(part)
    found = []
    for parts in groups.values():
        tolerance = f"{parts[0].tolerance * 100:.0f} %" if parts[0].tolerance else ""
        refs = " ".join(part.ref for part in parts)
        found.append(_row(refs, len(parts), parts[0].value, tolerance, item(parts[0]), BOTH))
    found.append(_row(DEVKIT_REF, 1, "ESP32-DevKitC", "", CATALOGUE["ESP32-DevKitC"], BOTH))
    return found + [_row(extra.refs, extra.count, "", "", extra.item, extra.way) for extra in extras(board)]


def total_eur(board: Netlist, way: str = CIRCUIT_BOARD) -> float:
    return sum(int(row[1]) * float(row[7]) for row in rows(board) if row[9] in (BOTH, way))


def as_csv(board: Netlist) -> str:
    """CSV text with a last line a way of building that dates the estimate."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows(board))
    for way in (CIRCUIT_BOARD, PERFBOARD):
        what = f"total on a {way} (estimate of {PRICE_DATE}, nothing looked up)"
        writer.writerow([what, *[""] * 6, f"{total_eur(board, way):.2f}", *[""] * 4])
    return out.getvalue()
