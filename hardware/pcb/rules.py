# SPDX-License-Identifier: MIT
"""Design rules of the circuit boards for KiCad's own check: what common factories make, and what this product demands.

The text of a project (.kicad_pro: sizes a factory can make, severities) and of custom rules (.kicad_dru: what must lie apart).
"""

from __future__ import annotations

import json

from hardware.parts import Netlist
from hardware.pcb import nets, routing

MAX_ERROR_MM = 0.05  # of an arc in a pour: a file of reasonable size
MINIMUMS_MM = {
    "min_clearance": 0.15,
    "min_copper_edge_clearance": 0.4,
    "min_hole_clearance": 0.25,
    "min_hole_to_hole": 0.3,
    "min_through_hole_diameter": 0.3,
    "min_track_width": 0.25,
    "min_via_annular_width": 0.1,
    "min_via_diameter": 0.5,
}  # two-layer boards of common factories: 0.15 mm track and gap, 0.3 mm drill, 0.5 mm via; from memory
SILK = {"silk_over_copper": "ignore", "silk_overlap": "ignore"}  # print on copper is cut off when plotted, and print may touch


def project(name: str) -> str:
    """Text of a .kicad_pro: everything else keeps KiCad's defaults."""
    classes = [
        {
            "name": "Default", "clearance": 0.15, "track_width": routing.WIDTH, "via_diameter": routing.VIA,
            "via_drill": routing.VIA_DRILL, "microvia_diameter": 0.3, "microvia_drill": 0.1, "diff_pair_gap": 0.25,
            "diff_pair_via_gap": 0.25, "diff_pair_width": 0.2, "bus_width": 12.0, "line_style": 0, "wire_width": 6.0,
            "pcb_color": "rgba(0, 0, 0, 0.000)", "schematic_color": "rgba(0, 0, 0, 0.000)",
        }
    ]  # fmt: skip
    settings = {"rules": {**MINIMUMS_MM, "max_error": MAX_ERROR_MM}, "rule_severities": SILK}
    page = {
        "board": {"design_settings": settings},
        "meta": {"filename": f"{name}.kicad_pro", "version": 1},
        "net_settings": {"classes": classes, "meta": {"version": 2}},
    }
    return json.dumps(page, indent=2, sort_keys=True) + "\n"


def _either(names: list[str], side: str) -> str:
    return "(" + " || ".join(f"{side}.NetName == '{name}'" for name in names) + ")"


def custom(board: Netlist) -> str:
    """Text of a .kicad_dru."""
    found = sorted(board.nets())
    mic = [net for net in found if nets.is_mic_side(net)]
    supply = [net for net in found if net in nets.supplies(board)]
    coils = [net for net in found if net in nets.COIL_SIDE]
    contacts = [net for net in found if nets.is_contact(net)]
    out = ["(version 1)", "# In MUTE the clamps hang on the rails: a supply that touches either feeds a microphone."]
    out += [
        '(rule "a supply keeps away from the microphone\'s side"',
        f'  (condition "{_either(mic, "A")} && {_either(supply, "B")}")',
        f"  (constraint clearance (min {routing.APART}mm)))",
    ]
    out += [
        '(rule "coils keep away from contacts"',
        f'  (condition "{_either(coils, "A")} && {_either(contacts, "B")}")',
        f"  (constraint clearance (min {routing.COIL_APART}mm)))",
    ]
    return "\n".join(out) + "\n"
