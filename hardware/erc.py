# SPDX-License-Identifier: MIT
"""Electrical rule checks: the usual ones, and the promises of this product. Each returns what is wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hardware import thresholds
from hardware.parts import Netlist, Part

GND = "GND"
STRAPPING = {0, 2, 5, 12, 15}
MOVE_AT_BOOT = {1, 3, 14}
FLASH = set(range(6, 12))
INPUT_ONLY = set(range(34, 40))
ADC1 = set(range(32, 40))
ROLES = {"pump", "adc", "i2s_out", "i2s_in", "lamp", "button"}
MAY_FLOAT = {"RELAY": {"NC1", "NO2"}, "CMP": {"OUT2"}}
LEAST_BACKFEED_OHM = 1000.0
CLAMP_OHM = 4.7


def connected(board: Netlist) -> Iterator[str]:
    """Every net has two ends, every pin that must be connected is."""
    for net, ends in board.nets().items():
        if len(ends) < 2:
            yield f"net {net} ends at {ends[0][0]} {ends[0][1]} and goes nowhere"
    for part in board.parts:
        for pin, net in part.pins.items():
            if not net and pin not in MAY_FLOAT.get(part.kind, set()):
                yield f"{part.ref} pin {pin} is not connected"


def gpio_roles(board: Netlist) -> Iterator[str]:
    """Every GPIO has a role that it can play, also while the chip boots."""
    for number, (net, role) in board.gpio.items():
        if role not in ROLES:
            yield f"GPIO{number} ({net}) has no known role: '{role}'"
        if number in FLASH:
            yield f"GPIO{number} ({net}) belongs to the flash chip"
        if role != "adc" and role != "i2s_in" and number in INPUT_ONLY:
            yield f"GPIO{number} ({net}) is input-only and cannot be '{role}'"
        if role == "adc" and number not in ADC1:
            yield f"GPIO{number} ({net}) is not on ADC1"
        if number in STRAPPING | MOVE_AT_BOOT:
            yield f"GPIO{number} ({net}) is strapping or moves at boot"
    nets = [net for net, _ in board.gpio.values()]
    for net in sorted({net for net in nets if nets.count(net) > 1}):
        yield f"net {net} is on two GPIOs"


def senses_cannot_drive(board: Netlist) -> Iterator[str]:
    """A pin that reads a microphone rail must be input-only: firmware could drive the rail through any other."""
    for number, (net, role) in board.gpio.items():
        if role == "adc" and number not in INPUT_ONLY:
            yield f"GPIO{number} reads {net} and could drive it: use GPIO 34 to 39"


def coil_supply(board: Netlist) -> Iterator[str]:
    """Nothing stores charge on the coil supply, and only the switch feeds it."""
    for part in board.parts:
        if part.kind == "C" and "VCOIL" in part.nets:
            yield f"{part.ref}: no capacitor on VCOIL, it would hold the relay after MUTE"
    for source, path in _feeds(board, "VCOIL", relay_closed=True, armed=False):
        yield f"VCOIL is fed from {source} around the switch, through {' '.join(path)}"


def conducts(part: Part, relay_closed: bool, armed: bool) -> Iterator[tuple[str, str, float]]:
    """Conducting pairs of a part with their ohms; a capacitor or a gate conducts nothing, a diode both ways."""
    pins = part.pins
    match part.kind:
        case "R":
            yield pins["1"], pins["2"], part.value_si
        case "PTC" | "BUTTON" | "BUZZER":
            yield pins["1"], pins["2"], 0.0
        case "D" | "Z" | "LED":
            yield pins["A"], pins["K"], 0.0
        case "NMOS" | "PMOS":
            yield pins["D"], pins["S"], 0.0
        case "MIC":
            for pin in ("SD", "WS", "SCK"):
                yield pins[pin], pins["VDD"], 0.0
        case "RELAY":
            yield pins["CA"], pins["CB"], 167.0
            side = "NO" if relay_closed else "NC"
            for pole in "12":
                yield pins[f"COM{pole}"], pins[f"{side}{pole}"], 0.0
        case "SW3" | "SW2":
            for pole in "ABC"[: int(part.kind[2])]:
                yield pins[f"{pole}_COM"], pins[f"{pole}_{'ARM' if armed else 'MUTE'}"], 0.0


def _feeds(board: Netlist, rail: str, relay_closed: bool, armed: bool) -> list[tuple[str, list[str]]]:
    """Sources that reach `rail` over less than LEAST_BACKFEED_OHM, with the parts on the way."""
    sources = {net for net in board.supplies if net != GND}
    sources |= {net for net, role in board.gpio.values() if role not in ("adc", "button")}
    links: dict[str, list[tuple[str, float, str]]] = {}
    for part in board.parts:
        for a, b, ohm in conducts(part, relay_closed, armed):
            if a and b and GND not in (a, b):
                links.setdefault(a, []).append((b, ohm, part.ref))
                links.setdefault(b, []).append((a, ohm, part.ref))
    paths, best, todo = [], {rail: 0.0}, [(rail, 0.0, [])]  # type: ignore[var-annotated]
    while todo:
        net, ohms, path = todo.pop()
        if net in sources:
            paths.append((net, path))
            continue
        for other, ohm, ref in links.get(net, []):
            total = ohms + ohm
            if total < LEAST_BACKFEED_OHM and total < best.get(other, 1e12):
                best[other] = total
                todo.append((other, total, [*path, ref]))
    return paths


def rails_break_twice(board: Netlist) -> Iterator[str]:
    """Either break alone, contact or switch pole, leaves no source with less than 1 kilohm to the rail."""
    for rail in board.mic_rails:
        for closed, armed, what in ((False, True, "the released contact"), (True, False, "the thrown switch")):
            for source, path in _feeds(board, rail, closed, armed):
                yield f"{rail} is fed from {source} around {what}, through {' '.join(path)}"


def rails_are_held_down(board: Netlist) -> Iterator[str]:
    """Every rail has a bleeder and two clamps: the relay's resting contact and the switch's MUTE throw."""
    for rail in board.mic_rails:
        to_ground = [p for p in board.parts if p.kind == "R" and set(p.nets) == {rail, GND}]
        limit = 100e3 if board.recipe == "electret" and rail == "RAIL2" else 1000.0
        if not any(p.value_si <= limit for p in to_ground):
            yield f"{rail} has no bleeder of {limit:g} ohms or less"
        clamps = 0
        for part in board.parts:
            for a, b, _ohm in conducts(part, False, False):
                if rail in (a, b) and part.kind in ("RELAY", "SW3", "SW2"):
                    other = b if a == rail else a
                    clamps += any(p.kind == "R" and set(p.nets) == {other, GND} and p.value_si <= CLAMP_OHM for p in board.parts)
        if clamps < 2:
            yield f"{rail} has {clamps} of two clamps to ground"


def clocks_are_held(board: Netlist) -> Iterator[str]:
    """Every clock of a microphone has a diode and a resistor to its rail: clamped, it cannot feed past an open supply pin."""
    outputs = {net for net, role in board.gpio.values() if role == "i2s_out"}
    for mic in (p for p in board.parts if p.kind == "MIC"):
        for pin in ("SD", "WS", "SCK"):
            line = mic.pins[pin]
            driven = any(p.kind == "R" and line in p.nets and outputs & set(p.nets) for p in board.parts)
            ends = {p.pins["K"] for p in board.parts if p.kind == "D" and p.pins["A"] == line}
            if driven and not any(p.kind == "R" and set(p.nets) & ends and mic.pins["VDD"] in p.nets for p in board.parts):
                yield f"{line} has no diode and resistor to {mic.pins['VDD']}"


def gate_has_one_source(board: Netlist) -> Iterator[str]:
    """The relay's transistor gets its gate charge from the power pump alone; the comparator can only take it away."""
    for n in range(1, board.channels + 1):
        for part in board.parts:
            if f"GATE{n}" not in part.nets or part.kind in ("NMOS", "CMP"):
                continue
            others = set(part.nets) - {f"GATE{n}"}
            if part.kind != "R" or not others <= {f"POWER{n}", f"WEIGH{n}", GND}:
                yield f"{part.ref} joins GATE{n} to {', '.join(sorted(others))}"
        for part in board.parts:
            if f"POWER{n}" in part.nets and part.kind == "R" and not set(part.nets) <= {f"POWER{n}", f"GATE{n}", GND}:
                yield f"{part.ref} feeds the power tank from {' '.join(part.nets)}"


def pump_is_ac_coupled(board: Netlist) -> Iterator[str]:
    """No direct current gets from a pump pin to either tank."""
    for n in range(1, board.channels + 1):
        reached, todo = {f"PUMP{n}"}, [f"PUMP{n}"]
        while todo:
            net = todo.pop()
            for part in board.parts:
                for a, b, _ohm in conducts(part, True, True):
                    for here, there in ((a, b), (b, a)):
                        if here == net and there and there != GND and there not in reached:
                            reached.add(there)
                            todo.append(there)
        for tank in (f"POWER{n}", f"RATE{n}"):
            if tank in reached:
                yield f"{tank} has a direct path from its pin: a stuck pin would hold the relay"
        for number, (net, _role) in board.gpio.items():
            if net == f"PUMP{n}" and number in STRAPPING | MOVE_AT_BOOT | FLASH | INPUT_ONLY:
                yield f"pump {n} on GPIO{number} would move at boot or cannot be driven"
        if not any(p.kind == "R" and set(p.nets) == {f"PUMP{n}", GND} and p.value_si <= 22e3 for p in board.parts):
            yield f"PUMP{n} has no pull-down of 22k or less: mains hum could move a floating pin"


def coils_have_flyback(board: Netlist) -> Iterator[str]:
    for part in board.parts:
        if part.kind == "RELAY":
            supply, drain = part.pins["CA"], part.pins["CB"]
            diodes = [p for p in board.parts if p.kind == "D" and p.pins["A"] == drain]
            zeners = [p for p in board.parts if p.kind == "Z" and p.pins["A"] == supply]
            if not any(d.pins["K"] == z.pins["K"] for d in diodes for z in zeners):
                yield f"{part.ref}: no diode and zener across the coil"


def power_ratings(board: Netlist) -> Iterator[str]:
    """No resistor outside a clamp burns at the highest supply straight across it."""
    for part in board.parts:
        if part.kind != "R" or part.value_si <= CLAMP_OHM or part.value == "47R" or part.ref.endswith("13"):
            continue
        on_usb = board.recipe == "usb" and {"RAIL2", "MICBUS2"} & set(part.nets)
        volts = 5.25 if on_usb or {"LAMP", "VCOIL", "V5"} & set(part.nets) else 3.4
        if volts**2 / part.value_si > part.watts:
            yield f"{part.ref} ({part.value}) would take {volts**2 / part.value_si:.2f} W of {part.watts} W"
    for part in board.parts:
        if part.ref.endswith("13") and part.value == "33R" and 3.4**2 / part.value_si > part.watts:
            yield f"{part.ref} burns when its rail is shorted"


def adc_tells_every_threshold(board: Netlist) -> Iterator[str]:
    """No ESP32 reads 0 V as 1/1.3 of a threshold or more, and every threshold with its spread is where an ADC is usable."""
    return thresholds.findings(board)


RULES: list[Callable[[Netlist], Iterator[str]]] = [
    connected, gpio_roles, senses_cannot_drive, coil_supply, rails_break_twice, rails_are_held_down, clocks_are_held,
    gate_has_one_source, pump_is_ac_coupled, coils_have_flyback, power_ratings,
    adc_tells_every_threshold,
]  # fmt: skip


def check(board: Netlist) -> list[str]:
    """All findings of all rules as 'rule: finding'; empty when the board may be built."""
    return [f"{rule.__name__}: {finding}" for rule in RULES for finding in rule(board)]
