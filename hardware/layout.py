# SPDX-License-Identifier: MIT
"""Where every pad sits on the perfboard, the numbered wires between them, and which nets lie close enough to be bridged.

Holes are named like a map: row letter (A to Z, AA...) and column number, seen from the component side. Ground and every net that
a microphone hangs on are closed loops: no single wire of them, opened, takes a clamp from its microphone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hardware.footprints import DEVKIT_LEFT, DEVKIT_RIGHT
from hardware.parts import Netlist, Part

COLUMNS = 58
ROWS = {1: 28, 2: 36}  # by channels
HOLE_MM = 2.54  # from hole to hole
NEAR_HOLES = 2  # pads this close, along a row or a column, count as neighbours
RELAY_X = {"CA": 0, "COM1": 3, "NC1": 5, "NO1": 7, "CB": 0, "COM2": 3, "NC2": 5, "NO2": 7}
COLOURS = {
    "GND": "black", "V5": "red", "VARM": "red", "VBUS": "red", "V3V3": "orange", "VCOIL": "violet", "RAIL": "yellow",
    "MICBUS": "yellow", "FEED": "brown", "SRC": "brown", "LINE": "brown", "PUMP": "green", "GATE": "green", "SENSE": "blue",
    "ARMS": "blue", "MUTES": "blue",
}  # fmt: skip
SPAN = {"R": 4, "R1W": 6, "D": 4, "Z": 4, "C": 2, "LED": 2, "PTC": 2, "BUTTON": 2, "BUZZER": 3}


@dataclass(frozen=True)
class Pad:
    ref: str
    pin: str
    net: str
    x: int
    y: int

    @property
    def hole(self) -> str:
        row = self.y - 1
        return ("A" if row >= 26 else "") + chr(65 + row % 26) + str(self.x)


End = tuple[str, str]  # reference and pin; the pins of the DevKit that are one inside it are ("A1", net)


@dataclass(frozen=True)
class Wire:
    """`number` is printed on both ends in the drawing and in the list."""

    number: int
    net: str
    start: Pad
    end: Pad

    @property
    def colour(self) -> str:
        return colour(self.net)


def colour(net: str) -> str:
    """Wire colour by what the net carries."""
    for start, name in COLOURS.items():
        if net.startswith(start):
            return name
    return "grey"


def _column(part: Part, x: int, y: int) -> list[Pad]:
    """A part standing in one column: its pins downwards."""
    if part.kind in ("NMOS", "PMOS"):  # as the legs of a TO-92 (S G D) and of a TO-220 (G D S) come
        legs = "SGD" if part.kind == "NMOS" else "GDS"
        return [Pad(part.ref, pin, part.pins[pin], x, y + 2 * i) for i, pin in enumerate(legs)]
    first, second = part.pins.items()
    span = SPAN["R1W" if part.kind == "R" and part.watts > 0.25 else part.kind]
    return [Pad(part.ref, first[0], first[1], x, y), Pad(part.ref, second[0], second[1], x, y + span)]


def _strip(board: Netlist, refs: str, x: int, y: int, step: int = 2) -> list[Pad]:
    pads: list[Pad] = []
    have = {part.ref: part for part in board.parts}
    for i, ref in enumerate(refs.split()):
        if ref in have:
            pads += _column(have[ref], x + i * step, y)
    return pads


def _relay(part: Part, x: int, y: int) -> list[Pad]:
    return [
        Pad(part.ref, pin, part.pins[pin], x + dx, y + (3 if pin in ("CB", "COM2", "NC2", "NO2") else 0))
        for pin, dx in RELAY_X.items()
    ]


def _dip8(part: Part, x: int, y: int) -> list[Pad]:
    pins = list(part.pins.items())
    return [Pad(part.ref, pin, net, x + (i if i < 4 else 7 - i), y + (3 if i < 4 else 0)) for i, (pin, net) in enumerate(pins)]


def _devkit(board: Netlist, x: int, y: int) -> list[Pad]:
    nets = {"3V3": "V3V3", "5V": "V5", "GND": "GND"} | {str(n): net for n, (net, _role) in board.gpio.items()}
    return [
        Pad("A1", pin, nets.get(pin, ""), x + i, row)
        for row, pins in ((y + 10, DEVKIT_LEFT), (y, DEVKIT_RIGHT))
        for i, pin in enumerate(pins)
    ]


def _header(part: Part, x: int, y: int, pins: list[str] | None = None) -> list[Pad]:
    return [Pad(part.ref, pin, part.pins[pin], x + 2 * i, y) for i, pin in enumerate(pins or list(part.pins))]


CHANNEL = (
    "R{0}01 R{0}02 C{0}08 C{0}01 D{0}01 D{0}02 C{0}02 R{0}03 R{0}05 R{0}06 Q{0}01 "
    "C{0}03 D{0}03 D{0}04 C{0}04 R{0}04 R{0}07 D{0}05 D{0}06"
)
RAIL = "R{0}11 R{0}12 C{0}05 R{0}14 R{0}15 R{0}16 C{0}06 R{0}17 LED{0}01"
STRIPS = (  # references, column, row, step
    ("C3 R7 R6 R2 R3 LED1 Q1 Q2 Q3 R12 R13", 1, 2, 2),
    ("C2 R5 R4 R11 F1", 1, 8, 2), ("R1", 12, 14, 2),
    ("R8 R9 C1", 19, 8, 2),
    ("D21 D22 R26 R24 R23 R22 R21", 25, 2, 2),
    ("Q202 C207 R218 R219 D207", 30, 14, 2),
    ("R25", 42, 14, 2), ("LED2", 45, 14, 2), ("BZ1", 49, 14, 2), ("SW2", 53, 14, 2),
    (CHANNEL.format(1), 1, 21, 2), ("R113", 39, 21, 2), (RAIL.format(1), 42, 21, 2),
    (CHANNEL.format(2), 1, 29, 2), ("R213", 39, 29, 2), ("F201", 39, 29, 2), (RAIL.format(2), 42, 29, 2),
)  # fmt: skip
RELAYS = {"K1": (3, 15), "K2": (20, 15)}


def place(board: Netlist) -> list[Pad]:
    """All pads of the board. Raises ValueError when two share a hole, one lies outside or a part is forgotten."""
    have = {part.ref: part for part in board.parts}
    pads = _devkit(board, 40, 1)  # its USB stands out over the right edge
    for refs, x, y, step in STRIPS:
        pads += _strip(board, refs, x, y, step)
    pads += _header(have["MIC1"], 28, 10, ["VDD", "GND", "LR", "SD", "WS", "SCK"])
    pads += _header(have["SW1"], 1, 13)
    pads += _dip8(have["U1"], 14, 8)
    for ref, (x, y) in RELAYS.items():
        if ref in have:
            pads += _relay(have[ref], x, y)
    if "J2" in have:  # at the lower edge, behind the channel that it leads out
        pads += _header(have["J2"], 46, 36)
    _check(board, pads)
    return pads


def _check(board: Netlist, pads: list[Pad]) -> None:
    taken: dict[tuple[int, int], Pad] = {}
    for pad in pads:
        if not (1 <= pad.x <= COLUMNS and 1 <= pad.y <= ROWS[board.channels]):
            raise ValueError(f"{pad.ref} {pad.pin} lies outside the board at {pad.x}, {pad.y}")
        other = taken.setdefault((pad.x, pad.y), pad)
        if other is not pad:
            raise ValueError(f"{pad.ref} {pad.pin} and {other.ref} {other.pin} share hole {pad.hole}")
    missing = {part.ref for part in board.parts} - {pad.ref for pad in pads}
    if missing:
        raise ValueError(f"not placed: {', '.join(sorted(missing))}")


def _span(a: Pad, b: Pad) -> tuple[int, str, str]:
    return abs(a.x - b.x) + abs(a.y - b.y), a.hole, b.hole


def _tree(pads: list[Pad]) -> list[tuple[Pad, Pad]]:
    """A shortest tree (Prim's)."""
    first, *rest = pads
    tree, nearest = [], dict.fromkeys(rest, first)
    while nearest:
        end = min(nearest, key=lambda pad: _span(nearest[pad], pad))
        tree.append((nearest.pop(end), end))
        for pad, so_far in nearest.items():
            if _span(end, pad) < _span(so_far, pad):
                nearest[pad] = end
    return tree


def _loop(pads: list[Pad]) -> list[tuple[Pad, Pad]]:
    """A short closed loop through all pads: nearest neighbour, then 2-opt until no swap of two wires shortens it."""
    tour, rest = pads[:1], pads[1:]
    while rest:
        tour.append(min(rest, key=lambda pad: _span(tour[-1], pad)))
        rest.remove(tour[-1])
    better = True
    while better:
        better = False
        for i in range(len(tour) - 1):
            for j in range(i + 2, len(tour) - (i == 0)):
                a, b, c, d = tour[i], tour[i + 1], tour[j], tour[(j + 1) % len(tour)]
                if _span(a, c)[0] + _span(b, d)[0] < _span(a, b)[0] + _span(c, d)[0]:
                    tour[i + 1 : j + 1] = reversed(tour[i + 1 : j + 1])
                    better = True
    return list(zip(tour, [*tour[1:], tour[0]], strict=True))


def looped(net: str) -> bool:
    """Whether a net is wired as a closed loop: ground, and what a microphone hangs on."""
    return net == "GND" or net.startswith(("RAIL", "MICBUS"))


def wires(pads: list[Pad]) -> list[Wire]:
    """All wires, the loops first: a loop or a shortest tree for every net. Between neighbouring pads it is a solder bridge."""
    nets = sorted({pad.net for pad in pads if pad.net}, key=lambda net: (not looped(net), net))
    pairs = []
    for net in nets:
        group = [pad for pad in pads if pad.net == net]
        pairs += [(net, pair) for pair in (_loop if looped(net) and len(group) > 2 else _tree)(group)]
    return [Wire(number, net, *pair) for number, (net, pair) in enumerate(pairs, start=1)]


def edges(board: Netlist) -> dict[str, list[tuple[End, End, str]]]:
    """Net -> its wires as (end, end, number)."""

    def end(pad: Pad) -> End:
        return (pad.ref, pad.net if pad.ref == "A1" else pad.pin)

    found: dict[str, list[tuple[End, End, str]]] = {}
    for wire in wires(place(board)):
        if end(wire.start) != end(wire.end):
            found.setdefault(wire.net, []).append((end(wire.start), end(wire.end), str(wire.number)))
    return found


def neighbours(board: Netlist, pads: list[Pad]) -> dict[tuple[str, str], str]:
    """Pairs of nets that a solder blob could join -> where: close pads, neighbouring lugs, pole to pole in a relay."""
    places: dict[tuple[str, str], str] = {}

    def add(a: str, b: str, where: str) -> None:
        if a and b and a != b:
            places.setdefault((min(a, b), max(a, b)), where)

    for i, one in enumerate(pads):
        for two in pads[i + 1 :]:
            dx, dy = abs(one.x - two.x), abs(one.y - two.y)
            if dx + dy and ((dx == 0 and dy <= NEAR_HOLES) or (dy == 0 and dx <= NEAR_HOLES) or dx == dy == 1):
                add(one.net, two.net, f"{one.ref} {one.pin} and {two.ref} {two.pin}")
    for part in board.parts:
        pairs: list[tuple[str, str]] = []
        if part.kind == "RELAY":
            row1, row2 = ("CA", "COM1", "NC1", "NO1"), ("CB", "COM2", "NC2", "NO2")
            pairs = [*pairwise(row1), *pairwise(row2), *zip(row1, row2, strict=True)]
        elif part.kind in ("SW3", "SW2"):
            names = [(f"{pole}_ARM", f"{pole}_COM", f"{pole}_MUTE") for pole in "ABC"[: int(part.kind[2])]]
            pairs = [pair for lugs in names for pair in pairwise(lugs)]
            pairs += [pair for one_pole, two_pole in pairwise(names) for pair in zip(one_pole, two_pole, strict=True)]
        elif part.kind == "CMP":
            pairs = list(pairwise(part.pins))
        for a, b in pairs:
            add(part.pins[a], part.pins[b], f"{part.ref} {a} and {b}")
    return dict(sorted(places.items()))


def supplies_near_rails(board: Netlist, pads: list[Pad]) -> list[str]:
    """The layout's own rule: no hole of a supply is a neighbour of a hole of a microphone rail or of its clamps.

    A clamp counts: in MUTE it hangs on the rail. SRC2 counts where no resistor stands before it.
    """
    rails = set(board.mic_rails) | {"MICBUS2"} | {f"{clamp}{n}" for clamp in ("KCLAMP", "SCLAMP") for n in "12"}
    supplies = {"V5", "V3V3", "VARM", "VCOIL", "VBUS", "LINE"} | ({"SRC2"} if board.recipe == "usb" else set())
    clashes = []
    for i, one in enumerate(pads):
        for two in pads[i + 1 :]:
            nets = {one.net, two.net}
            near = max(abs(one.x - two.x), abs(one.y - two.y)) <= NEAR_HOLES
            if near and one.ref != two.ref and nets & rails and nets & supplies:
                clashes.append(f"{one.ref} {one.pin} ({one.net}) and {two.ref} {two.pin} ({two.net})")
    return clashes
