# SPDX-License-Identifier: MIT
"""The production test's jig as a netlist: pogo pins in place of the mute switch, dummy loads, and two lines of a serial adapter.

Parts and the adapter's pins are from memory.

`python -m hardware.jig [RECIPE]` prints nets and parts. RTS on is ARM, DTR on presses the talk button; with both off, or with the
adapter unplugged, the jig's relays rest and the board is in MUTE. The board keeps its own USB cable; MIC1 and SW1 are not fitted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from hardware import bom
from hardware.netlist import GND, build
from hardware.parts import CATALOGUE, PINS, Item, Netlist, Part, si
from hardware.recipes import RECIPES

SUPPLY = "J5V"  # of the adapter, from its own USB cable
POLES = ("A", "B", "C")
E24 = (1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8, 7.5, 8.2, 9.1)
SENTINEL_MA = 2.5  # INMP441 at 3.3 V, its highest
ITEMS = {
    "pogo": Item("P75-E2 with socket R75-2W", "any sprung pin for the test points", 0.50, "3 A"),
    "FT232": Item(
        "FT232RL module, level 5 V, with RTS and DTR",
        "any with both lines and 5 V",
        5.00,
        "its 5 V pin straight from USB, 100 mA",
    ),
    "G5V-2-H1 DC5": CATALOGUE["G5V-2-H1 DC5"],
    "NDP6020P": CATALOGUE["NDP6020P"],
    "1N4148": CATALOGUE["1N4148"],
    "10R": Item("10 R 5 W", "any wire-wound, 10 %", 0.40, "5 W"),
    "bench": Item("4 mm sockets, red and black", "any terminal", 1.00, "1 A"),
}


def resistor_for(ohm: float) -> str:
    """The value of E24 that is nearest, as `1k2`."""
    scale = 1.0
    while ohm / scale >= 9.55:
        scale *= 10
    digits = min(E24, key=lambda value: abs(value - ohm / scale))
    text = f"{digits * scale:g}"
    if digits * scale >= 1000:
        whole, _, rest = f"{digits * scale / 1000:g}".partition(".")
        return f"{whole}k{rest}"
    whole, _, rest = text.partition(".")
    return f"{whole}R{rest}"


def jig(channels: int = 2, recipe: str = "digital") -> Netlist:
    """The jig of a board; nets that both have bear the board's names. Arguments as of `netlist.build`."""
    board = build(channels, recipe)
    switch = board.part("SW1").pins
    found = Netlist(f"jig-{board.name}", channels=channels, recipe=recipe)

    def add(ref: str, kind: str, value: str, *nets: str, watts: float = 0.25, note: str = "") -> None:
        pins = dict(zip(PINS.get(kind, tuple(str(n) for n in range(1, len(nets) + 1))), nets, strict=True))
        ohm = si(value) if kind == "R" else 0.0
        found.parts.append(Part(ref, kind, value, pins, "jig", ohm, 0.01 if kind == "R" else 0.0, watts, note))

    found.parts.append(Part("JA1", "ADAPTER", "FT232", {"5V": SUPPLY, "GND": GND, "RTS#": "ARMS", "DTR#": "PRESSES"}, "jig"))
    guarded = {"usb": ["VBUS"], "electret": ["LINE"]}.get(recipe, []) if channels == 2 else []
    for number, net in enumerate((*switch.values(), "TALK", GND, *guarded), start=1):
        add(f"TP{number}", "POGO", "pogo", net)
    # Active low lines: a line that is on, or that nobody drives low any more, decides
    for number, (line, coil) in enumerate((("ARMS", "ARMED"), ("PRESSES", "PRESSED")), start=1):
        add(f"JR{number}", "R", "10k", SUPPLY, line, note="an adapter that is gone: off")
        add(f"JQ{number}", "PMOS", "NDP6020P", SUPPLY, line, coil)
        add(f"JD{number}", "D", "1N4148", GND, coil)
    rests = [(switch[f"{pole}_COM"], switch[f"{pole}_MUTE"], switch[f"{pole}_ARM"]) for pole in POLES[: channels + 1]]
    if channels == 1:
        (a, b), c = rests, ("", "", "")
    else:
        a, b, c = rests
    # CA, COM1, NC1, NO1, NO2, NC2, COM2, CB
    add("JK1", "RELAY", "G5V-2-H1 DC5", "ARMED", a[0], a[1], a[2], b[2], b[1], b[0], GND)
    if channels == 2:
        add("JK2", "RELAY", "G5V-2-H1 DC5", "ARMED", c[0], c[1], c[2], "", "", "", GND)
    add("JK3", "RELAY", "G5V-2-H1 DC5", "PRESSED", "TALK", "", GND, "", "", "", GND)
    add("JR3", "R", resistor_for(3300 / SENTINEL_MA), "RAIL1", GND, note="dummy load: a microphone's current")
    if channels == 2:
        load = RECIPES[recipe]
        end = "MICBUS2" if recipe == "usb" else "RAIL2"
        if end not in {part.pins["1"] for part in found.parts if part.kind == "POGO"}:
            add("TP20", "POGO", "pogo", end)
        ohm = load.source_v * 1000 / load.load_ma
        watts = 5.0 if load.source_v**2 / ohm > 0.25 else 0.25
        add("JR4", "R", resistor_for(ohm), end, GND, watts=watts, note="dummy load: the recipe's current")
        if recipe == "usb":
            found.parts.append(
                Part("JJ1", "CONN2", "bench", {"1": "VBUS", "2": GND}, "jig", note="5 V, 1 A, from a bench supply")
            )
        if recipe == "electret":
            add("JR5", "R", "4k7", SUPPLY, "LINE", note="bias: 2.5 V behind 2k4")
            add("JR6", "R", "4k7", "LINE", GND)
    found.supplies = {SUPPLY: "the adapter"}
    return found


def check(made: Netlist) -> Iterator[str]:
    """What is wrong with a jig, in words: it must switch as SW1 does, rest in MUTE, and touch only what the board has."""
    board = build(made.channels, made.recipe)
    switch, nets = board.part("SW1").pins, board.nets()
    poles = {}
    for relay in (part.pins for part in made.parts if part.kind == "RELAY" and part.pins["CA"] == "ARMED"):
        for n in "12":
            poles[relay[f"COM{n}"]] = (relay[f"NC{n}"], relay[f"NO{n}"])
    poles.pop("", None)
    wanted = {switch[f"{p}_COM"]: (switch[f"{p}_MUTE"], switch[f"{p}_ARM"]) for p in POLES if f"{p}_COM" in switch}
    if poles != wanted:
        yield f"its relays switch {poles}, the mute switch {wanted}"
    touched = {part.pins["1"] for part in made.parts if part.kind == "POGO"}
    for net in sorted(touched - set(nets)):
        yield f"a pogo pin looks for {net}, which {board.name} has not"
    for part in made.parts:
        for net in part.nets:
            if net in nets and net not in touched:
                yield f"{part.ref} is on the board's {net} without a pogo pin"
        if part.kind == "R" and set(part.nets) & set(board.mic_rails) and GND not in part.nets:
            yield f"{part.ref} joins a microphone's rail to {' '.join(part.nets)}"
        if part.kind == "R" and 5.25**2 / part.value_si > part.watts:
            yield f"{part.ref} burns"
    for net, ends in made.nets().items():
        if len(ends) < 2:
            yield f"net {net} ends at {ends[0][0]} {ends[0][1]}"
    coils = sum(part.kind == "RELAY" for part in made.parts)
    if coils * 5.25 / 150 > 0.105:
        yield f"{coils} coils take more than a USB adapter passes on"


def parts_list(made: Netlist) -> list[str]:
    """One line a part number: how many, what, and where."""
    groups: dict[str, list[str]] = {}
    for part in made.parts:
        one = ITEMS.get(part.value) or bom.item(part)
        groups.setdefault(f"{one.mpn} ({one.rating})", []).append(part.ref)
    return [f"{len(refs):2}  {what}: {' '.join(refs)}" for what, refs in groups.items()]


def main(words: list[str]) -> int:
    """Print the jig of a recipe."""
    recipe = words[0] if words else "digital"
    if recipe not in RECIPES:
        print(f"no recipe '{recipe}': choose {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    made = jig(2, recipe)
    for net, ends in made.nets().items():
        print(f"{net:10}", " ".join(f"{ref}.{pin}" for ref, pin in ends if ref != "A1"))
    print("\n".join(["", *parts_list(made)]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
