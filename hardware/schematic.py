# SPDX-License-Identifier: MIT
"""The schematic, hand-placed with schemdraw; every value is read from the netlist, and a part that is not drawn is an error."""

from __future__ import annotations

import io
import itertools
import re

import schemdraw
import schemdraw.elements as elm
from reportlab.graphics import renderPDF
from reportlab.lib.pagesizes import A3
from reportlab.lib.units import mm
from schemdraw import Drawing
from svglib.svglib import svg2rlg

from hardware.pages import document
from hardware.parts import Netlist

schemdraw.use("svg")
schemdraw.svgconfig.text = "text"
Point = tuple[float, float]


class Sheet:
    """A drawing that remembers which references it has drawn."""

    def __init__(self, board: Netlist, unit: float = 2.2, font: float = 10) -> None:
        self.board = board
        self.have = {part.ref: part for part in board.parts}
        self.used: set[str] = set()
        self.d = Drawing(show=False)
        self.d.config(unit=unit, fontsize=font, font="sans-serif", lw=1.4, margin=0.4)

    def name(self, ref: str, value: bool = True) -> str:
        """'R101/R201' and the value; a twin in channel 2 with the same job and value counts as drawn."""
        part = self.have[ref]
        self.used.add(ref)
        twin = re.sub(r"^([A-Z]+)1(\d\d)$", r"\g<1>2\2", ref)
        text = ref
        if twin != ref and twin in self.have and self.have[twin].value == part.value:
            self.used.add(twin)
            text = f"{ref}, {twin}"
        return f"{text}\n{part.value}" if value else text

    def two(self, kind: type, ref: str, start: Point, end: Point, loc: str = "top", **more: object) -> None:
        self.d.add(kind(**more).at(start).to(end).label(self.name(ref), loc=loc, fontsize=9))

    def line(self, *points: Point) -> None:
        for a, b in itertools.pairwise(points):
            self.d.add(elm.Line().at(a).to(b))

    def dot(self, at: Point) -> None:
        self.d.add(elm.Dot(radius=0.08).at(at))

    def ground(self, at: Point) -> None:
        self.d.add(elm.Ground().at(at))

    def net(self, at: Point, text: str, side: str = "right") -> None:
        """A named end of a wire."""
        align = ("left", "center") if side == "right" else ("right", "center")
        if side in ("top", "bottom"):
            align = ("center", "bottom" if side == "top" else "top")
        shift = {"right": (0.28, 0), "left": (-0.28, 0), "top": (0, 0.28), "bottom": (0, -0.28)}[side]
        self.d.add(elm.Dot(open=True, radius=0.09).at(at))
        self.d.add(
            elm.Label()
            .at((at[0] + shift[0], at[1] + shift[1]))
            .label(text, fontsize=10, color="#0a3d91", halign=align[0], valign=align[1])
        )

    def title(self, at: Point, text: str, size: float = 12) -> None:
        self.d.add(elm.Label().at(at).label(text, fontsize=size, color="#7a1f1f", halign="left", valign="center"))

    def note(self, at: Point, text: str) -> None:
        self.d.add(elm.Label().at(at).label(text, fontsize=9, color="#444444", halign="left", valign="center"))

    def svg(self) -> str:
        """Drawing as SVG text. Raises ValueError for a part that nobody drew."""
        missing = sorted(set(self.have) - self.used)
        if missing:
            raise ValueError(f"not drawn: {', '.join(missing)}")
        return re.sub(r"\s+\n", "\n", self.d.get_imagedata("svg").decode()) + "\n"


def dead_man(s: Sheet, x: float, y: float) -> None:
    """Both pumps, the comparator's half, the transistor and the coil of one channel; `y` is the power pump's wire."""
    two = s.board.channels == 2
    same = " (channel 1; channel 2 is the same)" if two else ""
    s.title((x - 1, y + 4.6), f"DEAD-MAN DRIVE: both pumps must run, or the coil lets go{same}")
    s.net((x, y), "PUMP1 (GPIO18)" + ("\nPUMP2 (GPIO19)" if two else ""), "left")
    s.line((x, y), (x + 0.6, y))
    s.dot((x + 0.6, y))
    s.two(elm.Resistor, "R101", (x + 0.6, y), (x + 0.6, y - 2.2), "bottom")
    s.ground((x + 0.6, y - 2.2))
    s.two(elm.Resistor, "R102", (x + 0.6, y), (x + 3.2, y))
    s.dot((x + 3.2, y))
    s.two(elm.Capacitor, "C101", (x + 3.2, y), (x + 5.6, y))
    s.dot((x + 5.6, y))
    s.two(elm.Schottky, "D101", (x + 5.6, y - 2.2), (x + 5.6, y), "bottom")
    s.ground((x + 5.6, y - 2.2))
    s.two(elm.Schottky, "D102", (x + 5.6, y), (x + 8.4, y))
    s.dot((x + 8.4, y))
    s.two(elm.Capacitor, "C102", (x + 8.4, y), (x + 8.4, y - 2.2), "bottom")
    s.ground((x + 8.4, y - 2.2))
    s.line((x + 8.4, y), (x + 11.2, y))
    s.dot((x + 11.2, y))
    s.two(elm.Resistor, "R103", (x + 11.2, y), (x + 11.2, y - 2.2), "bottom")
    s.ground((x + 11.2, y - 2.2))
    s.note((x + 8.2, y + 0.45), "POWER tank")
    s.two(elm.Resistor, "R105", (x + 11.2, y), (x + 14.4, y))
    s.line((x + 14.4, y), (x + 20.2, y))
    s.note((x + 14.6, y + 0.35), "GATE")
    q = s.d.add(elm.NFet(bulk=False).theta(0).reverse().anchor("gate").at((x + 20.2, y)))
    s.note((x + 22.1, y - 0.1), s.name("Q101"))
    drain, source = q.absanchors["drain"], q.absanchors["source"]
    s.ground((source[0], source[1]))
    top = drain[1] + 2.6
    s.dot((drain[0], drain[1] + 0.2))
    s.d.add(
        elm.Inductor2(loops=3)
        .at((drain[0], drain[1]))
        .to((drain[0], top))
        .label("K1, K2 coil\nG5V-2-H1 DC5" if "K2" in s.have else "K1 coil\nG5V-2-H1 DC5", loc="bottom", fontsize=9)
    )
    s.line((drain[0], top), (drain[0] - 2.2, top))
    s.two(elm.Zener, "D106", (drain[0] - 2.2, top), (drain[0] - 2.2, top - 1.25), "top")
    s.two(elm.Diode, "D105", (drain[0] - 2.2, drain[1] + 0.1), (drain[0] - 2.2, top - 1.25), "top")
    s.line((drain[0] - 2.2, drain[1] + 0.1), (drain[0], drain[1] + 0.1))
    s.net((drain[0], top), "VCOIL (no capacitor here: rule)", "top")
    y2 = y - 5.0
    s.line((x + 3.2, y), (x + 3.2, y2))
    s.dot((x + 3.2, y - 2.9))
    s.line((x + 3.2, y - 2.9), (x + 1.6, y - 2.9))
    s.two(elm.Capacitor, "C108", (x + 1.6, y - 2.9), (x + 1.6, y2), "top")
    s.ground((x + 1.6, y2))
    s.two(elm.Capacitor, "C103", (x + 3.2, y2), (x + 5.6, y2))
    s.dot((x + 5.6, y2))
    s.two(elm.Diode, "D103", (x + 5.6, y2 - 2.2), (x + 5.6, y2), "bottom")
    s.ground((x + 5.6, y2 - 2.2))
    s.two(elm.Diode, "D104", (x + 5.6, y2), (x + 8.4, y2))
    s.dot((x + 8.4, y2))
    s.two(elm.Capacitor, "C104", (x + 8.4, y2), (x + 8.4, y2 - 2.2), "bottom")
    s.ground((x + 8.4, y2 - 2.2))
    s.line((x + 8.4, y2), (x + 11.2, y2))
    s.dot((x + 11.2, y2))
    s.two(elm.Resistor, "R104", (x + 11.2, y2), (x + 11.2, y2 - 2.2), "bottom")
    s.ground((x + 11.2, y2 - 2.2))
    s.note((x + 8.2, y2 + 0.45), "RATE tank")
    s.two(elm.Resistor, "R107", (x + 11.2, y2), (x + 14.2, y2))
    s.dot((x + 14.2, y2))
    amp = s.d.add(elm.Opamp(leads=False).theta(0).anchor("in2").at((x + 15.2, y2)))
    minus, out = amp.absanchors["in1"], amp.absanchors["out"]
    s.line((x + 14.2, y2), (x + 15.2, y2))
    s.line((minus[0], minus[1]), (minus[0] - 0.5, minus[1]))
    s.net((minus[0] - 0.5, minus[1]), "REF", "left")
    right = out[0] + 0.5
    s.line((out[0], out[1]), (right, out[1]), (right, y))
    s.dot((right, y))
    s.dot((right, out[1]))
    s.line((x + 14.2, y2), (x + 14.2, y2 - 1.6))
    s.two(elm.Resistor, "R106", (x + 14.2, y2 - 1.6), (right, y2 - 1.6), "bottom")
    s.line((right, y2 - 1.6), (right, out[1]))
    s.note(
        (x + 14.0, y2 - 3.2),
        "U1 LM393, half a channel: open collector. It can only\npull GATE down (veto). R106, R107: hysteresis.",
    )
    s.used |= {"U1", "K1", "K2"} & set(s.have)


def reference_v(board: Netlist) -> float:
    top, bottom = board.part("R8").value_si, board.part("R9").value_si
    return 3.3 * bottom / (top + bottom)


def reference(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.0), "REFERENCE of the veto")
    s.net((x, y), "V3V3", "left")
    s.line((x, y), (x + 1.2, y))
    s.two(elm.Resistor, "R8", (x + 1.2, y), (x + 1.2, y - 2.2), "bottom")
    s.dot((x + 1.2, y - 2.2))
    s.line((x + 1.2, y - 2.2), (x + 2.2, y - 2.2))
    s.net((x + 2.2, y - 2.2), f"REF ({reference_v(s.board):.2f} V)")
    s.two(elm.Resistor, "R9", (x + 1.2, y - 2.2), (x + 1.2, y - 4.4), "bottom")
    s.ground((x + 1.2, y - 4.4))
    s.line((x + 1.2, y), (x + 5.4, y))
    s.dot((x + 1.2, y))
    s.two(elm.Capacitor, "C1", (x + 5.4, y), (x + 5.4, y - 1.8), "bottom")
    s.ground((x + 5.4, y - 1.8))
    s.note((x + 5.6, y + 0.1), "U1 V+")


def sense(s: Sheet, x: float, y: float, top: str, bottom: str, cap: str, pin: str) -> None:
    """A divider from the wire at (x, y) down to a pin."""
    s.two(elm.Resistor, top, (x, y), (x, y - 2.2), "bottom")
    s.dot((x, y - 2.2))
    s.two(elm.Resistor, bottom, (x, y - 2.2), (x, y - 4.4), "bottom")
    s.ground((x, y - 4.4))
    s.line((x, y - 2.2), (x + 3.2, y - 2.2))
    s.dot((x + 2.6, y - 2.2))
    s.two(elm.Capacitor, cap, (x + 2.6, y - 2.2), (x + 2.6, y - 4.4), "bottom")
    s.ground((x + 2.6, y - 4.4))
    s.net((x + 3.2, y - 2.2), pin)


def contact_and_pole(s: Sheet, x: float, y: float, n: int) -> None:
    """From SRC at (x, y): relay's working contact, switch pole, both clamps. The rail goes on at (x + 8.2, y)."""
    pole = "BC"[n - 1]
    s.d.add(
        elm.Switch()
        .at((x, y))
        .to((x + 2.4, y))
        .label(f"K{n} pole 1, NO" + (" (K2)" if n == 1 and "K2" in s.have else ""), fontsize=9)
    )
    s.note((x + 2.5, y + 0.3), f"FEED{n}")
    s.line((x + 2.4, y), (x + 3.6, y))
    s.d.add(
        elm.Switch()
        .at((x + 3.6, y))
        .to((x + 6.0, y))
        .label(f"SW1 {pole}, ARM" + (" (C)" if n == 1 and "K2" in s.have else ""), fontsize=9)
    )
    s.line((x + 6.0, y), (x + 9.6, y))
    s.dot((x + 6.6, y))
    s.dot((x + 9.6, y))
    for dx, text, ref in ((6.6, f"SW1 {pole},\nMUTE", f"R{n}12"), (9.6, f"K{n} pole 2,\nNC", f"R{n}11")):
        s.d.add(elm.Switch(nc=True).at((x + dx, y)).to((x + dx, y - 2.0)).label(text, loc="bottom", fontsize=9))
        s.two(elm.Resistor, ref, (x + dx, y - 2.0), (x + dx, y - 4.2), "bottom")
        s.ground((x + dx, y - 4.2))
    s.used |= {"SW1"}


def rail_3v3(s: Sheet, x: float, y: float) -> None:
    s.title(
        (x - 1, y + 1.6), "MICROPHONE FEED: two breaks in series, two clamps (sentinel; the digital guarded rail is the same)"
    )
    s.net((x, y), "V3V3", "left")
    s.two(elm.Resistor, "R113", (x, y), (x + 2.4, y))
    contact_and_pole(s, x + 2.4, y, 1)
    r = x + 12.0
    s.line((r, y), (r + 14.4, y))
    s.note((r + 0.3, y + 0.35), f"RAIL1 (RAIL2: {_terminal(s)})" if s.board.recipe == "digital" and "J2" in s.have else "RAIL1")
    for dx, kind, ref in ((2.4, elm.Resistor, "R114"), (5.2, elm.Capacitor, "C105")):
        s.dot((r + dx, y))
        s.two(kind, ref, (r + dx, y), (r + dx, y - 2.2), "bottom")
        s.ground((r + dx, y - 2.2))
    s.dot((r + 8.2, y))
    sense(s, r + 8.2, y, "R115", "R116", "C106", "GPIO34 (35)")
    s.dot((r + 14.4, y))
    live_light(s, r + 14.4, y, 1)


def live_light(s: Sheet, x: float, y: float, n: int) -> None:
    s.two(elm.Resistor, f"R{n}17", (x, y), (x, y - 2.2), "bottom")
    s.two(elm.LED, f"LED{n}01", (x, y - 2.2), (x, y - 4.2), "bottom")
    s.ground((x, y - 4.2))
    s.note((x - 0.5, y - 5.1), "amber: LIVE")


def mute(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.4), "MUTE SWITCH pole A: the coils' only supply, shorted in MUTE; commons on the load side")
    s.net((x, y), "V5", "left")
    s.two(elm.Fuse, "F1", (x, y), (x + 2.4, y))
    s.d.add(elm.Switch().at((x + 2.4, y)).to((x + 4.8, y)).label("SW1 A, ARM", fontsize=9))
    s.line((x + 4.8, y), (x + 10.6, y))
    s.dot((x + 5.4, y))
    s.d.add(elm.Switch(nc=True).at((x + 5.4, y)).to((x + 5.4, y - 2.0)).label("SW1 A,\nMUTE", loc="bottom", fontsize=9))
    s.two(elm.Resistor, "R1", (x + 5.4, y - 2.0), (x + 5.4, y - 4.2), "bottom")
    s.ground((x + 5.4, y - 4.2))
    s.dot((x + 7.6, y))
    sense(s, x + 7.6, y, "R4", "R5", "C2", "GPIO36")
    s.dot((x + 7.6, y))
    s.net((x + 10.6, y), "VCOIL")


def lamp(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.4), "RED LIGHT: lit only while VCOIL and both rails are dead; its node is read back")
    s.net((x, y), "V5", "left")
    s.two(elm.Resistor, "R2", (x, y), (x + 2.4, y))
    s.dot((x + 2.4, y))
    end = 3.6 + 3.4 * (s.board.channels + 1)
    s.line((x + 2.4, y), (x + end, y))
    s.two(elm.Resistor, "R3", (x + 2.4, y), (x + 2.4, y - 2.2), "bottom")
    s.two(elm.LED, "LED1", (x + 2.4, y - 2.2), (x + 2.4, y - 4.2), "bottom")
    s.ground((x + 2.4, y - 4.2))
    for i, net in enumerate(["VCOIL", "RAIL1", "RAIL2"][: s.board.channels + 1]):
        px = x + 6.8 + i * 3.4
        q = s.d.add(elm.NFet(bulk=False).theta(0).reverse().anchor("drain").at((px, y - 1.0)))
        s.note((px + 0.25, y - 1.9), s.name(f"Q{i + 1}", value=False))
        s.line((px, y), (px, y - 1.0))
        s.dot((px, y))
        source, gate = q.absanchors["source"], q.absanchors["gate"]
        s.ground((source[0], source[1]))
        s.two(elm.Resistor, f"R{11 + i}", (gate[0], gate[1] - 2.4), (gate[0], gate[1]), "top")
        s.net((gate[0], gate[1] - 2.4), net, "bottom")
    s.line((x + end, y), (x + end + 2.0, y))
    sense(s, x + end + 2.0, y, "R6", "R7", "C3", "GPIO39")


def microphone(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.4), "SENTINEL MICROPHONE: nothing under 1 k leads into it")
    s.line((x + 5, y + 0.6), (x + 7.6, y + 0.6), (x + 7.6, y - 3.9), (x + 5, y - 3.9), (x + 5, y + 0.6))
    s.d.add(elm.Label().at((x + 6.3, y - 3.2)).label("MIC1\nINMP441\nL/R, GND: GND", fontsize=9))
    s.used.add("MIC1")
    for i, (ref, pin, label) in enumerate((("R21", "SCK", "GPIO26"), ("R22", "WS", "GPIO25"), ("R23", "SD", "GPIO33"))):
        yy = y - i * 1.1
        s.d.add(elm.Resistor().at((x + 1.6, yy)).to((x + 4.2, yy)).label(s.name(ref), loc="top", fontsize=8))
        s.line((x + 4.2, yy), (x + 5, yy))
        s.line((x, yy), (x + 1.6, yy))
        s.net((x, yy), label, "left")
        s.note((x + 5.1, yy), pin)
    for ref, clock, yy in (("D21", "SCK", y - 1.4), ("D22", "WS", y - 2.9)):
        s.net((x + 9.4, yy), f"MIC1 {clock}", "left")
        s.two(elm.Schottky, ref, (x + 9.4, yy), (x + 11.4, yy))
    s.line((x + 11.4, y - 2.9), (x + 11.4, y - 1.4))
    s.dot((x + 11.4, y - 1.4))
    s.two(elm.Resistor, "R26", (x + 11.4, y - 1.4), (x + 13.2, y - 1.4))
    s.net((x + 13.2, y - 1.4), "RAIL1", "bottom")
    s.dot((x + 0.8, y - 2.2))
    s.two(elm.Resistor, "R24", (x + 0.8, y - 2.2), (x + 0.8, y - 4.4), "bottom")
    s.ground((x + 0.8, y - 4.4))
    s.line((x + 7.6, y), (x + 8.4, y))
    s.net((x + 8.4, y), "RAIL1 to VDD")


def controls(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.4), "CONTROLS")
    s.net((x, y), "GPIO27", "left")
    s.two(elm.Resistor, "R25", (x, y), (x + 2.4, y))
    s.two(elm.LED, "LED2", (x + 2.4, y), (x + 4.6, y))
    s.ground((x + 4.6, y))
    for i, (ref, pin, kind) in enumerate((("BZ1", "GPIO23", elm.Speaker), ("SW2", "GPIO32", elm.Button))):
        yy = y - 1.7 - i * 1.7
        s.net((x, yy), pin, "left")
        if kind is elm.Button:
            s.two(elm.Button, ref, (x, yy), (x + 2.4, yy))
            s.ground((x + 2.4, yy))
        else:
            s.d.add(elm.RBox().at((x, yy)).to((x + 2.4, yy)).label(s.name(ref), loc="top", fontsize=9))
            s.ground((x + 2.4, yy))


def _terminal(s: Sheet) -> str:
    """Where the guarded microphone is connected: the last pin of J2, and its ground."""
    pins = s.have["J2"].pins
    s.used.add("J2")
    return f"J2 {len(pins)}, ground J2 {next(pin for pin, net in pins.items() if net == 'GND')}"


def usb(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.6), "GUARDED RAIL, USB: VBUS through PTC, contact, pole, slow start; D+ and D- pass straight through")
    s.net((x, y), "VBUS (J2 1)", "left")
    s.two(elm.Fuse, "F201", (x, y), (x + 2.4, y))
    contact_and_pole(s, x + 2.4, y, 2)
    r = x + 12.0
    s.line((r, y), (r + 20.6, y))
    s.note((r + 0.1, y + 0.35), "RAIL2")
    for dx, kind, ref in ((2.8, elm.Resistor, "R214"), (4.6, elm.Capacitor, "C205")):
        s.dot((r + dx, y))
        s.two(kind, ref, (r + dx, y), (r + dx, y - 2.2), "bottom")
        s.ground((r + dx, y - 2.2))
    s.dot((r + 7.0, y))
    sense(s, r + 7.0, y, "R215", "R216", "C206", "GPIO35")
    s.dot((r + 12.4, y))
    live_light(s, r + 12.4, y, 2)
    s.dot((r + 15.6, y))
    s.two(elm.Capacitor, "C207", (r + 15.6, y), (r + 15.6, y - 2.0), "bottom")
    s.dot((r + 18.0, y))
    s.two(elm.Diode, "D207", (r + 18.0, y - 2.0), (r + 18.0, y), "bottom")
    s.line((r + 15.6, y - 2.0), (r + 21.8, y - 2.0), (r + 21.8, y - 0.25))
    s.dot((r + 18.0, y - 2.0))
    s.two(elm.Resistor, "R218", (r + 18.0, y - 2.0), (r + 18.0, y - 4.2), "bottom")
    s.ground((r + 18.0, y - 4.2))
    s.d.add(elm.RBox().at((r + 20.6, y)).to((r + 23.0, y)).label(s.name("Q202") + "\nsource left", loc="top", fontsize=9))
    s.note((r + 21.9, y - 1.0), "gate")
    s.line((r + 23.0, y), (r + 26.0, y))
    s.dot((r + 24.4, y))
    s.two(elm.Resistor, "R219", (r + 24.4, y), (r + 24.4, y - 2.2), "bottom")
    s.ground((r + 24.4, y - 2.2))
    s.net((r + 26.0, y), f"MICBUS2: VBUS of\nthe microphone,\n{_terminal(s)}")


def electret(s: Sheet, x: float, y: float) -> None:
    s.title((x - 1, y + 1.6), "GUARDED RAIL, ELECTRET: the biased line itself goes through contact and pole")
    s.net((x, y), "LINE (host's micro-\nphone input, J2 1)", "left")
    s.two(elm.Resistor, "R213", (x, y), (x + 2.4, y))
    contact_and_pole(s, x + 2.4, y, 2)
    r = x + 12.0
    s.line((r, y), (r + 11.6, y))
    s.dot((r + 2.6, y))
    s.two(elm.Resistor, "R214", (r + 2.6, y), (r + 2.6, y - 2.2), "bottom")
    s.ground((r + 2.6, y - 2.2))
    s.dot((r + 5.8, y))
    sense(s, r + 5.8, y, "R215", "R216", "C206", "GPIO35")
    s.net((r + 11.6, y), f"RAIL2: to the capsule,\n{_terminal(s)}")


def draw(board: Netlist) -> str:
    """The whole board as SVG."""
    s = Sheet(board)
    dead_man(s, 0, 0)
    reference(s, 28.5, 0)
    rail_3v3(s, 0, -11.5)
    y = -19.5
    if board.recipe in ("usb", "electret") and board.channels == 2:
        {"usb": usb, "electret": electret}[board.recipe](s, 0, y)
        y -= 8.0
    mute(s, 0, y)
    lamp(s, 17.0, y)
    y -= 8.0
    s.note((-1.0, y + 2.6), f"{board.name}: drawn with the relays at rest and the lever in MUTE")
    microphone(s, 1.0, y)
    controls(s, 19.0, y)
    return s.svg()


BASELINES = {"central": 0.35, "middle": 0.35, "hanging": 0.75, "ideographic": -0.2}  # in parts of the font's size


def _on_baselines(svg: str) -> str:
    """The SVG with every text moved to its baseline, which svglib takes every `y` for."""

    def moved(found: re.Match[str]) -> str:
        y, name, more, size = found.groups()
        return f'y="{float(y) + BASELINES.get(name, 0.0) * float(size):.2f}" {more}font-size="{size}"'

    return re.sub(r'y="([-\d.]+)" dominant-baseline="(\w+)" ([^>]*?)font-size="([\d.]+)"', moved, svg)


def pdf(board: Netlist) -> bytes:
    """The drawing on one page of A3. Raises ValueError when a part is not drawn or the drawing is not read."""
    drawing = svg2rlg(io.BytesIO(_on_baselines(draw(board)).encode()))
    if drawing is None:
        raise ValueError(f"{board.name}: svglib cannot read the schematic")
    wide = drawing.width > drawing.height
    page, margin = (A3[::-1] if wide else A3), 28.0
    scale = min((page[0] - 2 * margin) / drawing.width, (page[1] - 2 * margin) / drawing.height)
    drawing.scale(scale, scale)
    canvas, out = document((page[0] / mm, page[1] / mm), f"{board.name}: schematic")
    renderPDF.draw(drawing, canvas, (page[0] - scale * drawing.width) / 2, (page[1] - scale * drawing.height) / 2)
    canvas.save()
    return out.getvalue()
