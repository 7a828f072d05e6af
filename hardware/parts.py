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
    source: str = "from memory"


@dataclass(frozen=True)
class ContactRating:
    """What a switch contact may carry, and the least that keeps its surface clean."""

    least_a: float
    least_v: float
    most_a: float
    most_v: float
    most_va: float


# NKK series M, resistive: a contact of gold over silver (code A) is used at one of the two levels
GOLD = ContactRating(0.1e-3, 0.02, 0.1, 28.0, 0.4)
SILVER = ContactRating(0.0, 0.0, 4.0, 30.0, 120.0)
TOGGLE_RATING = "ON-ON, 6.35 mm bushing, solder lugs; gold 0.1 mA to 0.1 A, 0.4 VA; silver beneath it 4 A 30 V"
TOGGLE_SOURCE = "NKK series M data sheet; break before make from that of series M2; the order code's parts from memory"
GOLD_TOGGLE = "where no pole carries over 0.4 VA (not on the usb board)"

# value -> item; resistors and capacitors are bought by value
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
        "none: coil, contacts and pins are those that were simulated (a DS2E-S-DC5V is polarised and draws 40 mA)",
        2.60,
        "DPDT, 5 V 167 R coil, operates by 75 %, releases by 5 %, contacts from 10 uA 10 mV to 1 A 24 V",
        "Omron G5V-2 datasheet; pin drawing from memory, as KiCad's symbol has it: check it with a meter",
    ),
    "3PDT": Item(
        "NKK M2032SS1A01", f"{GOLD_TOGGLE}: C&K 7301 with gold contacts", 14.00, f"3 poles, {TOGGLE_RATING}", TOGGLE_SOURCE
    ),
    "DPDT": Item(
        "NKK M2022SS1A01", f"{GOLD_TOGGLE}: C&K 7201 with gold contacts", 9.00, f"2 poles, {TOGGLE_RATING}", TOGGLE_SOURCE
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
    "red": Item(
        "Broadcom HLMP-4700",
        "any red 5 mm LED made for 2 mA",
        0.40,
        "5 mm red, 1.8 V at 2 mA; gets about 2 mA (MUTE)",
        "HP and Broadcom HLMP-4700 datasheet",
    ),
    "amber": Item(
        "Broadcom HLMP-4719",
        "any yellow or amber 5 mm LED made for 2 mA, up to 2.5 V",
        0.40,
        "5 mm yellow, 1.9 V at 2 mA; gets about 1 mA (LIVE, status)",
        "HP and Broadcom HLMP-4719 datasheet",
    ),
    "INMP441": Item(
        "INMP441 module, L/R to ground",
        "ICS-43434 module (check 1.65 V minimum): six leads go by name",
        3.00,
        "1.62 to 3.63 V, 2.5 mA at 3.3 V",
        "InvenSense DS-INMP441-00",
    ),
    "button": Item("E-Switch TL1100F160Q", "Omron B3F-4055, any 12 mm tactile switch of 12.5 x 5 mm", 0.60, "12 x 12 mm, 50 mA"),
    "buzzer": Item(
        "Sonitron SMA-13LV-P7.5",
        "any piezo buzzer that sounds by itself at 3 V, 7.5 mm pitch, up to 12 mA; no bare disc, no magnetic one (30 mA)",
        4.00,
        "sounds from a steady 3.3 V level, as the firmware gives it, up to 12 mA from a pin",
        "from memory: current and pitch to be looked up",
    ),
    "ESP32-DevKitC": Item(
        "ESP32-DevKitC-32E", "any ESP32-WROOM-32 board with the same 38 pins, rows 25.4 mm apart", 8.00, "5 V pin from USB"
    ),
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
