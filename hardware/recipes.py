# SPDX-License-Identifier: MIT
"""What stands between a source and a microphone rail: the sentinel's rail, and three recipes for the guarded one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earlid.virtual import adc

from hardware.parts import Netlist

GND = "GND"


def _sense(board: Netlist, n: int, top: str, bottom: str) -> None:
    h, block = n * 100, f"rail{n}"
    board.add(f"R{h + 15}", "R", top, [f"RAIL{n}", f"SENSE{n}"], block)
    board.add(f"R{h + 16}", "R", bottom, [f"SENSE{n}", GND], block)
    board.add(f"C{h + 6}", "C", "100n", [f"SENSE{n}", GND], block)


def _live_light(board: Netlist, n: int, series: str) -> None:
    h, block = n * 100, f"rail{n}"
    board.add(f"R{h + 17}", "R", series, [f"RAIL{n}", f"LIVEA{n}"], block)
    board.add(f"LED{h + 1}", "LED", "amber", [f"LIVEA{n}", GND], block)


def _guarded_side(board: Netlist, *nets: str) -> None:
    """J2, where the cut cable of the guarded microphone ends: ground is pin 1, or stands between the supply and the rail."""
    board.add("J2", f"CONN{len(nets)}", "screw terminal", list(nets), "rail2")


def rail_3v3(board: Netlist, n: int) -> None:
    """3.3 V out of the DevKit through 33 ohms: a digital microphone, up to 5 mA and 10 uF of its own."""
    h, block = n * 100, f"rail{n}"
    board.add(f"R{h + 13}", "R", "33R", ["V3V3", f"SRC{n}"], block, watts=1.0, note="1 W: survives a shorted rail")
    board.add(f"R{h + 14}", "R", "680R", [f"RAIL{n}", GND], block)
    board.add(f"C{h + 5}", "C", "1u", [f"RAIL{n}", GND], block)
    _sense(board, n, "47k", "100k")
    _live_light(board, n, "1k5")
    if n == 2:
        _guarded_side(board, GND, f"RAIL{n}")


def rail_usb(board: Netlist, n: int) -> None:
    """VBUS of a USB microphone: 500 mA through a PTC, the contact, the pole, and a slow-start after them."""
    h, block = n * 100, f"rail{n}"
    board.supplies["VBUS"] = "VBUS of the host's cable"
    board.add(f"F{h + 1}", "PTC", "RUEF090", ["VBUS", f"SRC{n}"], block)
    board.add(f"R{h + 14}", "R", "470R", [f"RAIL{n}", GND], block)
    board.add(f"C{h + 5}", "C", "1u", [f"RAIL{n}", GND], block)
    _sense(board, n, "110k", "100k")
    _live_light(board, n, "3k3")
    board.add(f"Q{h + 2}", "PMOS", "NDP6020P", [f"RAIL{n}", f"SLOW{n}", f"MICBUS{n}"], block)
    board.add(f"C{h + 7}", "C", "100n", [f"SLOW{n}", f"RAIL{n}"], block)
    board.add(f"R{h + 18}", "R", "100k", [f"SLOW{n}", GND], block)
    board.add(f"R{h + 19}", "R", "470R", [f"MICBUS{n}", GND], block)
    board.add(f"D{h + 7}", "D", "1N4148", [f"SLOW{n}", f"RAIL{n}"], block)
    _guarded_side(board, "VBUS", GND, f"MICBUS{n}")


def rail_electret(board: Netlist, n: int) -> None:
    """The line of an electret capsule, biased by the host it belongs to: the lid breaks the line and shorts the capsule."""
    h, block = n * 100, f"rail{n}"
    board.supplies["LINE"] = "the host's microphone input, tip and ring"
    board.add(f"R{h + 13}", "R", "10R", ["LINE", f"SRC{n}"], block)
    board.add(f"R{h + 14}", "R", "100k", [f"RAIL{n}", GND], block)
    _sense(board, n, "100k", "220k")
    _guarded_side(board, "LINE", GND, f"RAIL{n}")


@dataclass(frozen=True)
class Recipe:
    """`good_mv`: a rail under it, while the lid is open, is sagging; `atten` of the ADC that reads it then.

    VBUS takes the pin above what every chip converts at 11 dB: its rail is read at 6 dB, where it may be full.
    """

    build: Callable[[Netlist, int], None]
    what: str
    source_v: float
    source_ohm: float
    load_ma: float
    load_uf: float
    good_mv: int
    atten: int = adc.DB_11


RECIPES = {
    "digital": Recipe(rail_3v3, "3.3 V supply of a digital microphone in a voice satellite", 3.3, 0.1, 5.0, 1.0, 2600),
    "usb": Recipe(rail_usb, "VBUS of a USB microphone, 500 mA", 5.0, 0.3, 500.0, 10.0, 3400, adc.DB_6),
    "electret": Recipe(rail_electret, "line of an analogue electret microphone", 2.5, 2200.0, 0.3, 0.0, 1000),
}
