# SPDX-License-Identifier: MIT
"""The netlist: the one source of truth of the circuit. Everything else in this folder is made from it.

Nets of channel n end in n. A reference's hundreds digit is its channel, so R104 and R204 do the same job.
"""

from __future__ import annotations

from hardware import recipes
from hardware.parts import Netlist

GND = "GND"


def dead_man(board: Netlist, n: int) -> None:
    """Two pumps off one pin. The power pump is the gate's only source; the rate pump may only veto."""
    h, block = n * 100, f"pump{n}"

    def r(i: int, value: str, a: str, b: str, **more: object) -> None:
        board.add(f"R{h + i}", "R", value, [a, b], block, **more)

    def c(i: int, value: str, a: str, b: str, **more: object) -> None:
        board.add(f"C{h + i}", "C", value, [a, b], block, **more)

    def d(i: int, value: str, a: str, k: str) -> None:
        board.add(f"D{h + i}", "D", value, [a, k], block)

    r(1, "10k", f"PUMP{n}", GND)
    r(2, "1k", f"PUMP{n}", f"DRIVE{n}")
    c(8, "1u", f"DRIVE{n}", GND, tolerance=0.05, note=f"with R{h + 2} the upper limit of the rate")
    c(1, "680n", f"DRIVE{n}", f"POWA{n}")
    d(1, "BAT42", GND, f"POWA{n}")
    d(2, "BAT42", f"POWA{n}", f"POWER{n}")
    c(2, "1u", f"POWER{n}", GND)
    r(3, "150k", f"POWER{n}", GND)
    c(3, "68n", f"DRIVE{n}", f"RATEA{n}", tolerance=0.05)
    d(3, "1N4148", GND, f"RATEA{n}")
    d(4, "1N4148", f"RATEA{n}", f"RATE{n}")
    c(4, "1u", f"RATE{n}", GND, tolerance=0.05)
    r(4, "160k", f"RATE{n}", GND)
    r(5, "100k", f"POWER{n}", f"GATE{n}")
    r(6, "2M2", f"GATE{n}", f"WEIGH{n}", note="hysteresis: an opening lid does not chatter")
    r(7, "100k", f"RATE{n}", f"WEIGH{n}")
    board.add(f"Q{h + 1}", "NMOS", "TN0702N3-G", [GND, f"GATE{n}", f"COIL{n}"], block)
    d(5, "1N4148", f"COIL{n}", f"FLY{n}")
    board.add(f"D{h + 6}", "Z", "5V1", ["VCOIL", f"FLY{n}"], block)


def contact(board: Netlist, n: int) -> None:
    """The relay: pole 1 normally open in the feed, pole 2 normally closed across the rail.

    The source is on the working contact, not on the common: the two commons face each other inside the relay, and a bridge
    between them then joins the rail to its own feed, which is dead whenever the contact is open.
    """
    h, block = n * 100, f"rail{n}"
    board.add(
        f"K{n}", "RELAY", "G5V-2-H1 DC5", ["VCOIL", f"FEED{n}", "", f"SRC{n}", "", f"KCLAMP{n}", f"RAIL{n}", f"COIL{n}"], block
    )
    board.add(f"R{h + 11}", "R", "2R2", [f"KCLAMP{n}", GND], block)
    board.add(f"R{h + 12}", "R", "2R2", [f"SCLAMP{n}", GND], block)


def switch(board: Netlist, channels: int) -> None:
    """The mute switch, its read-back, and the red light.

    The commons are on the load side. So a solder bridge between neighbouring lugs never joins a supply to a rail in MUTE.
    """
    poles = ["VARM", "VCOIL", "AMUTE", "FEED1", "RAIL1", "SCLAMP1"]
    if channels == 2:
        board.add("SW1", "SW3", "3PDT", [*poles, "FEED2", "RAIL2", "SCLAMP2"], "switch")
    else:
        board.add("SW1", "SW2", "DPDT", poles, "switch")
    board.add("F1", "PTC", "RXEF040", ["V5", "VARM"], "switch")
    board.add("R1", "R", "47R", ["AMUTE", GND], "switch", watts=1.0, note="1 W: survives a pole that joins both throws")
    for first, net, pin in ((4, "VCOIL", "ARMSENSE"), (6, "LAMP", "MUTESENSE")):
        board.add(f"R{first}", "R", "150k", [net, pin], "switch")
        board.add(f"R{first + 1}", "R", "100k", [pin, GND], "switch")
        board.add(f"C{first // 2}", "C", "100n", [pin, GND], "switch")
    board.add("R2", "R", "470R", ["V5", "LAMP"], "lamp")
    board.add("R3", "R", "1k", ["LAMP", "REDA"], "lamp")
    board.add("LED1", "LED", "red", ["REDA", GND], "lamp")
    for number, net in enumerate(["VCOIL", "RAIL1", "RAIL2"][: channels + 1], start=1):
        board.add(f"R{10 + number}", "R", "100k", [net, f"DARK{number}"], "lamp")
        board.add(f"Q{number}", "NMOS", "TN0702N3-G", [GND, f"DARK{number}", "LAMP"], "lamp")


def veto(board: Netlist, channels: int) -> None:
    """The comparator: one reference, one half a channel; an unused half is tied off."""
    second = ["WEIGH2", "REF", "GATE2"] if channels == 2 else [GND, "REF", ""]
    board.add("U1", "CMP", "LM393", ["GATE1", "REF", "WEIGH1", GND, *second, "V3V3"], "veto")
    board.add("R8", "R", "787k", ["V3V3", "REF"], "veto")
    board.add("R9", "R", "150k", ["REF", GND], "veto")
    board.add("C1", "C", "100n", ["V3V3", GND], "veto")


def sentinel(board: Netlist) -> None:
    """Rail 1: the board's own microphone, with resistors in every line that could feed it.

    The diodes hold its clocks down to a clamped rail: a microphone whose supply wire is open is not fed by its clocks.
    """
    recipes.rail_3v3(board, 1)
    board.add("MIC1", "MIC", "INMP441", ["RAIL1", GND, "MSD", "MWS", "MSCK", GND], "sentinel")
    for ref, a, b in (("R21", "SCK", "MSCK"), ("R22", "WS", "MWS"), ("R23", "SD", "MSD")):
        board.add(ref, "R", "1k", [a, b], "sentinel")
    board.add("R24", "R", "100k", ["SD", GND], "sentinel")
    board.add("D21", "D", "BAT42", ["MSCK", "HOLD"], "sentinel")
    board.add("D22", "D", "BAT42", ["MWS", "HOLD"], "sentinel")
    board.add("R26", "R", "68R", ["HOLD", "RAIL1"], "sentinel", note="5 V on a clock line leaves the rail in MUTE under 0.3 V")


def controls(board: Netlist) -> None:
    board.add("R25", "R", "1k", ["STATUS", "STATUSA"], "controls")
    board.add("LED2", "LED", "amber", ["STATUSA", GND], "controls")
    board.add("BZ1", "BUZZER", "buzzer", ["BUZZ", GND], "controls")
    board.add("SW2", "BUTTON", "button", ["TALK", GND], "controls")


GPIO_ONE = {
    18: ("PUMP1", "pump"), 34: ("SENSE1", "adc"), 36: ("ARMSENSE", "adc"), 39: ("MUTESENSE", "adc"),
    26: ("SCK", "i2s_out"), 25: ("WS", "i2s_out"), 33: ("SD", "i2s_in"),
    27: ("STATUS", "lamp"), 23: ("BUZZ", "lamp"), 32: ("TALK", "button"),
}  # fmt: skip
GPIO_TWO = {19: ("PUMP2", "pump"), 35: ("SENSE2", "adc")}


def build(channels: int = 2, recipe: str = "digital") -> Netlist:
    """The board: `channels` 1 (its own microphone is the guarded one) or 2, `recipe` one of recipes.RECIPES.

    Raises ValueError on another number or name.
    """
    if channels not in (1, 2):
        raise ValueError(f"{channels} channels: build 1 or 2")
    if recipe not in recipes.RECIPES:
        raise ValueError(f"no recipe '{recipe}': choose {', '.join(recipes.RECIPES)}")
    board = Netlist(f"earlid-{channels}ch" + (f"-{recipe}" if channels == 2 else ""), channels=channels, recipe=recipe)
    board.supplies = {"V5": "DevKit 5V pin", "V3V3": "DevKit 3V3 pin", GND: "DevKit GND pins"}
    board.gpio = dict(GPIO_ONE)
    if channels == 2:
        board.gpio.update(GPIO_TWO)
    for n in range(1, channels + 1):
        dead_man(board, n)
        contact(board, n)
        board.mic_rails[f"RAIL{n}"] = f"FEED{n}"
    veto(board, channels)
    switch(board, channels)
    sentinel(board)
    if channels == 2:
        recipes.RECIPES[recipe].build(board, 2)
    controls(board)
    return board


def devices(board: Netlist) -> list[str]:
    """Blocks of the board in drawing order."""
    return list(dict.fromkeys(part.block for part in board.parts))
