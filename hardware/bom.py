# SPDX-License-Identifier: MIT
"""The bill of materials: one line a part number, with alternatives and an estimated price."""

from __future__ import annotations

import csv
import io

from hardware.parts import CATALOGUE, PRICE_DATE, Item, Netlist, Part

HEAD = ["refs", "count", "value", "tolerance", "mpn", "alternatives", "rating", "price_each_eur_estimate", "source"]


def item(part: Part) -> Item:
    """The catalogue's line, or a resistor or capacitor by its value."""
    if part.value in CATALOGUE:
        return CATALOGUE[part.value]
    if part.kind == "R" and part.watts > 0.25:
        return Item(f"FMP100JR-52-{part.value}", "any metal film, 1 W", 0.15, "1 W")
    if part.kind == "R":
        return Item(f"MFR-25FBF52-{part.value.upper()}", "any metal film, 1 %, 0.25 W", 0.05, "0.25 W, 250 V")
    if part.kind == "C":
        percent = f"{part.tolerance * 100:.0f} %"
        return Item(f"WIMA MKS2 {part.value} 63 V {percent}", f"any PET film, {percent}, 5 mm pitch", 0.40, "50 V or more")
    return Item(f"X7R {part.value} 50 V radial", "any X7R, 5 mm pitch", 0.10, "16 V or more")


def rows(board: Netlist) -> list[list[str]]:
    groups: dict[tuple[str, str], list[Part]] = {}
    for part in board.parts:
        groups.setdefault((item(part).mpn, f"{part.tolerance * 100:.0f} %" if part.tolerance else ""), []).append(part)
    groups_text = []
    for (mpn, tolerance), parts in groups.items():
        line = item(parts[0])
        refs = " ".join(part.ref for part in parts)
        groups_text.append(
            [
                refs,
                str(len(parts)),
                parts[0].value,
                tolerance,
                mpn,
                line.alternatives,
                line.rating,
                f"{line.price_eur:.2f}",
                line.source,
            ]
        )
    devkit = CATALOGUE["ESP32-DevKitC"]
    groups_text.append(
        ["A1", "1", "ESP32-DevKitC", "", devkit.mpn, devkit.alternatives, devkit.rating, f"{devkit.price_eur:.2f}", devkit.source]
    )
    return groups_text


def total_eur(board: Netlist) -> float:
    return sum(int(row[1]) * float(row[7]) for row in rows(board))


def as_csv(board: Netlist) -> str:
    """CSV text with a last line that dates the estimate."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    writer.writerows(rows(board))
    writer.writerow(
        [f"total (estimate of {PRICE_DATE}, nothing looked up)", "", "", "", "", "", "", f"{total_eur(board):.2f}", ""]
    )
    return out.getvalue()
