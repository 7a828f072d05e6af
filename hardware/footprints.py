# SPDX-License-Identifier: MIT
"""The body of every part: KiCad footprint, pad number and electrical type of each pin. KiCad, the PCB and the BOM read it here.

Pad numbers are those of KiCad's own footprints and symbols; tests compare them where KiCad is installed. Two bodies that its
libraries lack, the DevKit and nothing else, are written by `library`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hardware.parts import PINS, Netlist, Part

LIBRARY = "earlid"
PITCH_MM = 2.54
DEVKIT_REF = "A1"
DEVKIT_ROWS_MM = 25.4  # between its two rows: 25.44 in Wokwi's drawing of the ESP32-DevKitC V4, a multiple of 2.54 on the board
DEVKIT_LEFT = ("3V3", "EN", "36", "39", "34", "35", "32", "33", "25", "26", "27", "14", "12", "GND", "13", "9", "10", "11", "5V")
DEVKIT_RIGHT = ("GND", "23", "22", "TX", "RX", "21", "GND", "19", "18", "5", "17", "16", "4", "0", "2", "15", "8", "7", "6")
# pad -> name printed on the board: 1 to 19 down the left row, 20 to 38 up the right one, the antenna on top, USB below
DEVKIT = {str(i + 1): name for i, name in enumerate(DEVKIT_LEFT)} | {str(38 - i): name for i, name in enumerate(DEVKIT_RIGHT)}
SUPPLY_PINS = {"3V3": "V3V3", "5V": "V5", "GND": "GND"}
ROLE_TYPES = {
    "pump": "output", "adc": "input", "i2s_out": "output", "i2s_in": "input", "lamp": "output", "button": "input",
}  # fmt: skip
POWER_TYPES = {"3V3": "power_out", "5V": "power_out", "GND": "power_in", "EN": "input"}


@dataclass(frozen=True)
class Body:
    """`footprint` as library:name, `pads` pin -> pad number, `symbol` the KiCad symbol with the same pad numbers, if any.

    `types` names the pins that are not passive. `source` says whence the order of the pins is known.
    """

    footprint: str
    pads: dict[str, str]
    symbol: str = ""
    types: dict[str, str] = field(default_factory=dict)
    source: str = "KiCad symbol"

    def type_of(self, pin: str) -> str:
        return self.types.get(pin, "passive")


def _in_order(kind: str) -> dict[str, str]:
    return {pin: str(i) for i, pin in enumerate(PINS[kind], start=1)}


def _axial(symbol: str) -> Body:
    return Body("Diode_THT:D_DO-35_SOD27_P7.62mm_Horizontal", {"K": "1", "A": "2"}, symbol)


def _header(count: int, pads: dict[str, str], source: str, types: dict[str, str] | None = None) -> Body:
    return Body(f"Connector_PinHeader_2.54mm:PinHeader_1x{count:02d}_P2.54mm_Vertical", pads, "", types or {}, source)


FILM_WIDTHS_MM = ((0.1e-6, "2.5"), (0.33e-6, "3.5"), (0.47e-6, "4.5"), (1.0e-6, "5.5"))  # up to that much at 63 V
MIC_PADS = {pin: str(i) for i, pin in enumerate(("SCK", "WS", "SD", "LR", "GND", "VDD"), start=1)}

# by kind; a capacitor and a resistor have several bodies: see `of`
BODIES: dict[str, Body] = {
    "R": Body("Resistor_THT:R_Axial_DIN0207_L6.3mm_D2.5mm_P10.16mm_Horizontal", _in_order("R"), "Device:R"),
    "R1W": Body("Resistor_THT:R_Axial_DIN0411_L9.9mm_D3.6mm_P15.24mm_Horizontal", _in_order("R"), "Device:R"),
    **{
        f"C{width}": Body(f"Capacitor_THT:C_Rect_L7.2mm_W{width}mm_P5.00mm_FKS2_FKP2_MKS2_MKP2", _in_order("C"), "Device:C")
        for _most, width in FILM_WIDTHS_MM
    },
    "D": _axial("Device:D"),
    "Z": _axial("Device:D_Zener"),
    "LED": Body("LED_THT:LED_D5.0mm", {"K": "1", "A": "2"}, "Device:LED"),
    "NMOS": Body(
        "Package_TO_SOT_THT:TO-92_Inline_Wide", {"S": "1", "G": "2", "D": "3"}, "Device:Q_NMOS_SGD", {"G": "input"},
        "Supertex TN0702 datasheet: S G D",
    ),
    "PMOS": Body(
        "Package_TO_SOT_THT:TO-220-3_Vertical", {"G": "1", "D": "2", "S": "3"}, "Device:Q_PMOS_GDS", {"G": "input"},
        "TO-220 of power MOSFETs: G D S",
    ),
    "PTC": Body("Fuse:Fuse_Bourns_MF-RG300", _in_order("PTC"), "Device:Polyfuse"),
    "CMP": Body(
        "Package_DIP:DIP-8_W7.62mm_Socket_LongPads", _in_order("CMP"), "Comparator:LM2903",
        {"OUT1": "open_collector", "OUT2": "open_collector", "GND": "power_in", "V+": "power_in",
         **dict.fromkeys(("IN1-", "IN1+", "IN2-", "IN2+"), "input")},
    ),
    "RELAY": Body(
        "Relay_THT:Relay_DPDT_Omron_G5V-2",
        {"CA": "1", "COM1": "4", "NC1": "6", "NO1": "8", "NO2": "9", "NC2": "11", "COM2": "13", "CB": "16"}, "Relay:G5V-2",
    ),
    "SW3": _header(9, _in_order("SW3"), "pads are named here: leads to the switch in the panel, pole by pole, ARM COM MUTE"),
    "SW2": _header(6, _in_order("SW2"), "pads are named here: leads to the switch in the panel, pole by pole, ARM COM MUTE"),
    "BUTTON": Body("Button_Switch_THT:SW_PUSH-12mm", _in_order("BUTTON"), "Switch:SW_Push"),
    "BUZZER": Body("Buzzer_Beeper:Buzzer_12x9.5RM7.6", _in_order("BUZZER"), "", {}, "KiCad footprint: + at pad 1"),
    "MIC": _header(
        6, MIC_PADS, "pads are named here: modules differ in the order of their pins, six leads go by name",
        {"VDD": "power_in", "GND": "power_in", "SD": "tri_state", "WS": "input", "SCK": "input", "LR": "input"},
    ),
    "CONN2": Body(
        "TerminalBlock_Phoenix:TerminalBlock_Phoenix_PT-1,5-2-5.0-H_1x02_P5.00mm_Horizontal", _in_order("CONN2"),
        "Connector:Screw_Terminal_01x02",
    ),
    "CONN3": Body(
        "TerminalBlock_Phoenix:TerminalBlock_Phoenix_PT-1,5-3-5.0-H_1x03_P5.00mm_Horizontal", _in_order("CONN3"),
        "Connector:Screw_Terminal_01x03",
    ),
}  # fmt: skip


def of(part: Part) -> Body:
    """The body of a part; capacitors are film ones. Raises KeyError for an unknown kind, StopIteration over 1 uF."""
    if part.kind == "R" and part.watts > 0.25:
        return BODIES["R1W"]
    if part.kind == "C":
        return BODIES[f"C{next(width for most, width in FILM_WIDTHS_MM if part.value_si <= most)}"]
    return BODIES[part.kind]


def pads_of(part: Part) -> dict[str, str]:
    """Pad number -> net of a part; '' where the pad is not connected."""
    return {of(part).pads[pin]: net for pin, net in part.pins.items()}


def devkit(board: Netlist) -> Body:
    """The DevKit as a part: a pin is named by its pad's number and its print, as in '30-18'."""
    types = {}
    for pad, name in DEVKIT.items():
        role = board.gpio.get(int(name), ("", ""))[1] if name.isdigit() else ""
        types[f"{pad}-{name}"] = POWER_TYPES.get(name) or ROLE_TYPES.get(role, "bidirectional")
    return Body(
        f"{LIBRARY}:ESP32-DevKitC", {f"{pad}-{name}": pad for pad, name in DEVKIT.items()}, "", types,
        "Espressif, ESP32-DevKitC V4 user guide, headers J2 and J3",
    )  # fmt: skip


def devkit_nets(board: Netlist) -> dict[str, str]:
    """Pad number of the DevKit -> net; '' where nothing is connected."""
    nets = SUPPLY_PINS | {str(number): net for number, (net, _role) in board.gpio.items()}
    return {pad: nets.get(name, "") for pad, name in DEVKIT.items()}


def _line(x1: float, y1: float, x2: float, y2: float, layer: str, width: float) -> str:
    return f'  (fp_line (start {x1:g} {y1:g}) (end {x2:g} {y2:g}) (layer "{layer}") (width {width:g}))'


def _box(left: float, top: float, right: float, bottom: float, layer: str, width: float) -> list[str]:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    return [_line(*a, *b, layer, width) for a, b in itertools.pairwise(corners)]


def _text(kind: str, text: str, x: float, y: float, layer: str, size: float = 1.0) -> str:
    font = f"(effects (font (size {size:g} {size:g}) (thickness {0.15 * size:g})))"
    return f'  (fp_text {kind} "{text}" (at {x:g} {y:g}) (layer "{layer}") {font})'


def _devkit_footprint() -> str:
    """Two socket strips of 19 and the outline of the board that stands in them (56.6 x 27.9 mm with its USB socket)."""
    left, top, right, bottom = -1.27, -7.62, DEVKIT_ROWS_MM + 1.27, 49.0
    middle = DEVKIT_ROWS_MM / 2
    lines = [
        '(footprint "ESP32-DevKitC" (version 20211014) (generator earlid)',
        '  (layer "F.Cu")',
        '  (descr "ESP32-DevKitC V4 in two 1x19 sockets, 2.54 mm pitch, rows 25.4 mm apart, USB at the end of pads 19 and 20")',
        "  (attr through_hole)",
        _text("reference", "REF**", middle, top + 2.5, "F.SilkS"),
        _text("value", "ESP32-DevKitC", middle, 24, "F.Fab"),
        _text("user", "antenna", middle, -4, "F.Fab"),
        _text("user", "USB", middle, 46, "F.SilkS"),
        *_box(left, top, right, bottom, "F.SilkS", 0.12),
        *_box(left, top, right, bottom, "F.Fab", 0.1),
        *_box(left - 0.5, top - 0.25, right + 0.5, bottom + 0.25, "F.CrtYd", 0.05),
    ]
    for i in range(19):
        for pad, x in ((i + 1, 0.0), (38 - i, DEVKIT_ROWS_MM)):
            shape = "rect" if pad == 1 else "oval"
            lines.append(
                f'  (pad "{pad}" thru_hole {shape} (at {x:g} {i * PITCH_MM:g}) (size 1.7 1.7) (drill 1) (layers *.Cu *.Mask))'
            )
    return "\n".join([*lines, ")"]) + "\n"


def library() -> dict[str, str]:
    """File name -> text of every footprint of our own, for a folder `earlid.pretty`."""
    return {"ESP32-DevKitC.kicad_mod": _devkit_footprint()}


TABLE = """\
(fp_lib_table
  (lib (name "earlid")(type "KiCad")(uri "${KIPRJMOD}/earlid.pretty")(options "")(descr "Made by python -m hardware"))
)
"""
