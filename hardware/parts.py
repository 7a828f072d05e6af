# SPDX-License-Identifier: MIT
"""What a part is, and the catalogue of every part number the boards use.

Prices are estimates written down from memory on the date below, for single pieces without tax; none was looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

PRICE_DATE = "2026-11"

CABLE_SUPPLIES = ("VBUS", "LINE")  # come in at J2, not at the DevKit

# pins by kind, in the order a SPICE line, a KiCad symbol and the wiring diagram use
PINS: dict[str, tuple[str, ...]] = {
    "R": ("1", "2"),
    "C": ("1", "2"),
    "D": ("A", "K"),
    "Z": ("A", "K"),
    "LED": ("A", "K"),
    "NMOS": ("S", "G", "D"),
    "PMOS": ("S", "G", "D"),
    "PTC": ("1", "2"),
    "CMP": ("OUT1", "IN1-", "IN1+", "GND", "IN2+", "IN2-", "OUT2", "V+"),
    "RELAY": ("CA", "COM1", "NC1", "NO1", "NO2", "NC2", "COM2", "CB"),
    "SW3": ("A_ARM", "A_COM", "A_MUTE", "B_ARM", "B_COM", "B_MUTE", "C_ARM", "C_COM", "C_MUTE"),
    "SW2": ("A_ARM", "A_COM", "A_MUTE", "B_ARM", "B_COM", "B_MUTE"),
    "BUTTON": ("1", "2"),
    "BUZZER": ("1", "2"),
    "MIC": ("VDD", "GND", "SD", "WS", "SCK", "LR"),
    "CONN2": ("1", "2"),
    "CONN3": ("1", "2", "3"),
}


@dataclass(frozen=True)
class Item:
    """A line of the bill of materials: `rating` is what the part must stand, `source` whence its figures are."""

    mpn: str
    alternatives: str
    price_eur: float
    rating: str
    source: str = "memory"


# value -> item; resistors and small capacitors are bought by value
CATALOGUE: dict[str, Item] = {
    "TN0702N3-G": Item(
        "TN0702N3-G",
        "AO3400A on a SOT-23 adapter (threshold to 1.45 V: re-run the simulation)",
        1.10,
        "TO-92, 20 V, threshold 0.5 to 1.0 V, on-resistance given at 2 V",
        "Supertex TN0702 datasheet; the smallest threshold from memory",
    ),
    "LM393": Item(
        "LM393P",
        "LM393N, LM2903P",
        0.45,
        "DIP-8, 2 to 36 V, open collector, inputs to V+ - 2 V; 9 mV, 400 nA, 150 nA over temperature",
        "ST and Fairchild LM393 datasheets",
    ),
    "1N4148": Item("1N4148", "1N914", 0.03, "DO-35, 75 V, 25 nA at 20 V and 25 C"),
    "BAT42": Item("BAT42", "BAT43, BAT85", 0.20, "DO-35, 30 V, 0.5 uA at 25 V and 25 C", "ST BAT42 datasheet"),
    "5V1": Item("BZX55C5V1", "1N5231B", 0.05, "DO-35, 0.5 W"),
    "G5V-2-H1 DC5": Item(
        "G5V-2-H1 DC5",
        "Panasonic DS2E-S-DC5V (check the pins)",
        2.60,
        "DPDT, 5 V 167 R coil, operates by 75 %, releases by 5 %, contacts from 10 uA 10 mV to 1 A 24 V",
        "Omron G5V-2 datasheet; pin drawing from memory: check it with a meter",
    ),
    "3PDT": Item(
        "3PDT latching push switch, solder lugs",
        "any break-before-make 3PDT latching or toggle switch",
        4.50,
        "3 poles, 2 A, break before make",
    ),
    "DPDT": Item(
        "DPDT latching push switch, solder lugs",
        "any break-before-make DPDT latching or toggle switch",
        3.00,
        "2 poles, 2 A, break before make",
    ),
    "RXEF040": Item("RXEF040", "any 0.4 A hold radial PTC under 1.3 R", 0.35, "hold 0.4 A, trip 0.8 A"),
    "RUEF090": Item("RUEF090", "any 0.9 A hold radial PTC under 0.22 R", 0.40, "hold 0.9 A, trip 1.8 A"),
    "NDP6020P": Item(
        "NDP6020P",
        "any logic-level P-channel MOSFET, 5 V, below 0.1 R at 4.5 V",
        1.60,
        "TO-220, 20 V, 0.05 R at 4.5 V, threshold 0.4 to 1.0 V",
        "Fairchild NDP6020P datasheet",
    ),
    "red": Item("L-53SRD (red, 2 mA)", "any high-efficiency 5 mm red LED", 0.15, "20 mA"),
    "amber": Item("L-53YD (amber, 2 mA)", "any high-efficiency 5 mm amber LED", 0.15, "20 mA"),
    "INMP441": Item(
        "INMP441 module, L/R to ground",
        "ICS-43434 module (check 1.65 V minimum)",
        3.00,
        "1.62 to 3.63 V, 2.5 mA at 3.3 V",
        "InvenSense DS-INMP441-00",
    ),
    "screw terminal": Item("Phoenix Contact PT 1,5/2-5,0-H or /3-5,0-H", "any 5.0 mm screw terminal", 0.60, "13.5 A"),
    "button": Item("12 mm momentary push button", "any momentary contact", 0.50, "50 mA"),
    "buzzer": Item("active piezo buzzer 3 V", "passive piezo", 0.80, "10 mA"),
    "ESP32-DevKitC": Item("ESP32-DevKitC-32E", "any 38-pin ESP32-WROOM-32 board", 8.00, "5 V pin from USB"),
}


@dataclass(frozen=True)
class Part:
    """One component: `pins` maps pin name to net name ('' = not connected). `tolerance` is a fraction of `value_si`."""

    ref: str
    kind: str
    value: str
    pins: dict[str, str]
    block: str
    value_si: float = 0.0
    tolerance: float = 0.0
    watts: float = 0.25
    note: str = ""

    @property
    def nets(self) -> list[str]:
        return [net for net in self.pins.values() if net]


_SUFFIX = {"R": 1.0, "k": 1e3, "M": 1e6, "n": 1e-9, "u": 1e-6}


def si(value: str) -> float:
    """'4k7' -> 4700.0, '68n' -> 6.8e-8, '3R3' -> 3.3. Raises ValueError on anything else."""
    for letter, scale in _SUFFIX.items():
        if letter in value:
            whole, _, part = value.partition(letter)
            return round(float(f"{whole or 0}.{part or 0}") * scale, 15)
    raise ValueError(f"'{value}' is no value: write 4k7, 3R3, 68n or 1u")


@dataclass
class Netlist:
    """A netlist. `gpio` maps an ESP32 GPIO number to (net, role); roles are those `erc` knows."""

    name: str
    parts: list[Part] = field(default_factory=list)
    gpio: dict[int, tuple[str, str]] = field(default_factory=dict)
    supplies: dict[str, str] = field(default_factory=dict)  # net -> where it comes from
    mic_rails: dict[str, str] = field(default_factory=dict)  # rail net -> feed net before the switch pole
    channels: int = 2
    recipe: str = "digital"

    def add(self, ref: str, kind: str, value: str, nets: list[str], block: str, **more: object) -> None:
        """Append a part; `nets` in the order of PINS[kind]. Raises ValueError on a wrong count or a double ref."""
        if len(nets) != len(PINS[kind]):
            raise ValueError(f"{ref}: a {kind} has {len(PINS[kind])} pins, {len(nets)} nets were given")
        if any(part.ref == ref for part in self.parts):
            raise ValueError(f"{ref} is used twice")
        fixed = dict(more)
        if kind in "RC" and "tolerance" not in fixed:
            fixed["tolerance"] = 0.01 if kind == "R" else 0.10
        value_si = si(value) if kind in ("R", "C") else 0.0
        self.parts.append(Part(ref, kind, value, dict(zip(PINS[kind], nets, strict=True)), block, value_si, **fixed))  # type: ignore[arg-type]

    def without(self, *blocks: str) -> Netlist:
        """The same board less some blocks, and less the GPIOs that then lead nowhere: a lighter deck."""
        parts = [part for part in self.parts if part.block not in blocks]
        used = {net for part in parts for net in part.nets}
        gpio = {number: end for number, end in self.gpio.items() if end[0] in used}
        return replace(self, parts=parts, gpio=gpio)

    def part(self, ref: str) -> Part:
        return next(part for part in self.parts if part.ref == ref)

    def nets(self) -> dict[str, list[tuple[str, str]]]:
        """Net name -> [(ref, pin)], sorted; GPIOs and the DevKit's supplies count as pins of A1, others come in at J2."""
        found: dict[str, list[tuple[str, str]]] = {}
        for part in self.parts:
            for pin, net in part.pins.items():
                if net:
                    found.setdefault(net, []).append((part.ref, pin))
        for number, (net, _role) in self.gpio.items():
            found.setdefault(net, []).append(("A1", f"IO{number}"))
        for net in self.supplies:
            if net not in CABLE_SUPPLIES:
                found.setdefault(net, []).append(("A1", net))
        return {net: sorted(found[net]) for net in sorted(found)}
