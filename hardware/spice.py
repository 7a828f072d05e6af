# SPDX-License-Identifier: MIT
"""A deck from a netlist, a corner, a stimulus and faults; ngspice runs it; waveforms come back as arrays."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hardware.corners import Corner
from hardware.models import LINES, cards
from hardware.parts import CABLE_SUPPLIES, Netlist
from hardware.recipes import RECIPES

OPEN_OHM = 1e9
BRIDGE_OHM = 0.05
GPIO_NETS = {"PUMP1": "pump1", "PUMP2": "pump2", "SCK": "sck", "WS": "ws"}


class SimulatorError(RuntimeError):
    """ngspice is missing, or gave no waveforms for a deck."""


@dataclass(frozen=True)
class Fault:
    """`kind`: 'open' (part, pin), 'wire' (net, its name), 'short' (part, pin, pin), 'bridge' (net, net), 'scale' (part, factor),
    'weld' (relay), 'toggle' (line, net: a bridge from a line that toggles by itself).

    An open wire cuts `pins` off the rest of its net; an open joint cuts off that one pin. The DevKit is A1, its pins are nets.
    """

    kind: str
    a: str = ""
    b: str = ""
    c: str = ""
    factor: float = 1.0
    pins: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        match self.kind:
            case "open":
                return f"{self.a} {self.b} open"
            case "wire":
                return f"{self.a} {self.b} open"
            case "short":
                return f"{self.a} {self.b}-{self.c} shorted"
            case "bridge":
                return f"bridge {self.a} to {self.b}"
            case "scale":
                return f"{self.a} x{self.factor:g}"
            case "toggle":
                return f"bridge {self.a}, toggling, to {self.b}"
            case "weld":
                return f"{self.a} welded, armature held"
            case _:
                return f"{self.a} {self.kind}"


@dataclass(frozen=True)
class Stimulus:
    """What happens: piecewise-linear points (s, 0..1) by signal name; 'v5' and 'v33' are factors of the port and the regulator.

    'onto NET' is a pin of its own that drives a net, 0..1 of 3V3, through a pin's resistance.

    Signals: pump1 pump2 sck ws (0..1 of 3V3), float1 float2 (1 = the pin is an input), arm_X mute_X for poles a b c, v5, v33.
    """

    name: str
    end_s: float
    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    step_s: float = 1e-3


def _node(net: str) -> str:
    if not net or net == "GND":
        return "0"
    return "n_" + re.sub(r"\W", "_", net.lower())


def _pwl(points: list[tuple[float, float]]) -> str:
    return "pwl(" + " ".join(f"{t:.7g} {v:.5g}" for t, v in points) + ")"


class Nodes:
    """The SPICE node of every pin: its net's, or a node of its own beyond an open wire or joint."""

    def __init__(self, board: Netlist, faults: tuple[Fault, ...]) -> None:
        self.nets = {(part.ref, pin): net for part in board.parts for pin, net in part.pins.items()}
        self.floating: list[str] = []
        self._cut: dict[tuple[str, str], str] = {}
        for number, fault in enumerate(faults):
            if fault.kind in ("open", "wire"):
                node = f"o{number}_{fault.a.lower()}"
                self._cut |= dict.fromkeys(fault.pins or ((fault.a, fault.b),), node)
                self.floating.append(node)

    def of(self, ref: str, pin: str) -> str:
        """Of a part's pin, or of the DevKit's ('A1', net)."""
        if (ref, pin) in self._cut:
            return self._cut[ref, pin]
        net = pin if ref == "A1" else self.nets[ref, pin]
        if net:
            return _node(net)
        own = f"x_{ref.lower()}_{pin.lower().replace('+', 'p').replace('-', 'm')}"
        self.floating.append(own)
        return own

    def named(self, name: str) -> str:
        """Of a name to be saved: a net, or 'MIC1.VDD' for a pin's own node."""
        ref, dot, pin = name.partition(".")
        return self.of(ref, pin) if dot else _node(name)


def _supply(corner: Corner, stimulus: Stimulus, nodes: Nodes) -> list[str]:
    """The DevKit: a port, a cable, a Schottky diode to the 5V pin, a regulator to the 3V3 pin, and the ESP32's 70 mA."""
    env = corner.env
    v5, v33 = nodes.of("A1", "V5"), nodes.of("A1", "V3V3")
    port, wanted = (
        _pwl([(t, v * env[key]) for t, v in stimulus.points.get(name, [(0.0, 1.0)])])
        for name, key in (("v5", "vbus"), ("v33", "v33"))
    )
    left = f"(v({v5})-{env['ldo_drop_v']:.4g})"
    return [
        f"vport s_port 0 {port}",
        f"rport s_port s_usb {env['cable_ohm']:.4g}",
        f"dusb s_usb {v5} dsupply",
        f"rv5 {v5} 0 4.7k",
        f"vwanted s_wanted 0 {wanted}",
        f"bldo s_ldo 0 v=max(min(v(s_wanted),{left}),0)",
        f"rldo s_ldo {v33} 0.1",
        f"bldoin {v5} 0 i=max(v(s_ldo)-v({v33}),0)*10",
        f"resp {v33} 0 47",
    ]


def _signals(board: Netlist, corner: Corner, stimulus: Stimulus, nodes: Nodes) -> list[str]:
    env = corner.env
    lines = _supply(corner, stimulus, nodes)
    for net in CABLE_SUPPLIES:
        if net in board.supplies:  # from a host, between two pins of J2
            recipe = RECIPES[board.recipe]
            scale = env["vbus"] / 5.0 if net == "VBUS" else 1.0
            pin, ground = (nodes.of(*terminal(board, end)) for end in (net, "GND"))
            lines += [f"v{net} s_{net} {ground} {recipe.source_v * scale:.5g}", f"r{net} s_{net} {pin} {recipe.source_ohm:g}"]
    for net, name in GPIO_NETS.items():
        if not any(net == used for used, _role in board.gpio.values()):
            continue
        pin = nodes.of("A1", net)
        lines.append(f"vc{name} c_{name} 0 {_pwl(stimulus.points.get(name, [(0.0, 0.0)]))}")
        lines.append(f"b{name} g_{name} 0 v=v(c_{name})*v({nodes.of('A1', 'V3V3')})")
        if name.startswith("pump"):
            floating = stimulus.points.get("float" + name[-1], [(0.0, 0.0)])
            lines.append(f"vf{name} f_{name} 0 {_pwl([(t, 1.0 - v) for t, v in floating])}")
            lines += [f"rg{name} g_{name} h_{name} {env['gpio_ohm']:.4g}", f"sg{name} h_{name} {pin} f_{name} 0 con"]
        else:
            lines.append(f"rg{name} g_{name} {pin} {env['gpio_ohm']:.4g}")
    for name, points in stimulus.points.items():
        if name.startswith("onto "):
            net = name.removeprefix("onto ")
            lines += [f"vo{net} o_{net} 0 {_pwl(points)}", f"bo{net} q_{net} 0 v=v(o_{net})*v({nodes.of('A1', 'V3V3')})"]
            lines.append(f"ro{net} q_{net} {_node(net)} {env['gpio_ohm']:.4g}")
    for net, _role in board.gpio.values():
        pin = nodes.of("A1", net)
        lines += [f"desd{net} {pin} {nodes.of('A1', 'V3V3')} desd", f"desg{net} 0 {pin} desd"]
    for pole in "abc"[: board.channels + 1]:
        for side, rest in (("arm", 1.0), ("mute", 0.0)):
            lines.append(f"v{side}{pole} sw_{side}_{pole} 0 {_pwl(stimulus.points.get(f'{side}_{pole}', [(0.0, rest)]))}")
    for n in range(1, board.channels + 1):
        lines.append(f"rpb{n} {_node(f'RATE{n}')} 0 {10 ** env['board_leak_log10']:.4g}")
    return lines


def terminal(board: Netlist, net: str) -> tuple[str, str]:
    """The pin of the guarded side's terminal that carries a net."""
    return "J2", next(pin for pin, its in board.part("J2").pins.items() if its == net)


def microphones(board: Netlist) -> dict[int, tuple[str, str]]:
    """Channel -> names of its microphone's supply and ground pins: the sentinel's own, and the terminal of the guarded one."""
    pins = {1: ("MIC1.VDD", "MIC1.GND")}
    if board.channels == 2:
        rail, ground = (terminal(board, net)[1] for net in ("MICBUS2" if board.recipe == "usb" else "RAIL2", "GND"))
        pins[2] = (f"J2.{rail}", f"J2.{ground}")
    return pins


def _load(board: Netlist, nodes: Nodes) -> list[str]:
    """The guarded microphone at J2: a current that stops below about a third of its supply, and its own capacitor."""
    if board.channels < 2:
        return []
    recipe = RECIPES[board.recipe]
    node, ground = (nodes.named(name) for name in microphones(board)[2])
    third = recipe.source_v / 3
    volts = f"v({node},{ground})"
    awake = f"0.5*(1+tanh(({volts}-{third:.3g})*5))*tanh(10*max({volts},0))"  # the last factor: it is no source
    lines = [f"bload {node} {ground} i={recipe.load_ma * 1e-3:.4g}*{awake}"]
    if recipe.load_uf:
        lines.append(f"cload {node} {ground} {recipe.load_uf:g}u ic=0")
    return lines


COARSE = "reltol=1e-2 abstol=1e-9 vntol=1e-4 method=gear gmin=1e-12 itl4=100 trtol=30"
OPTIONS = (  # tried in this order, should a run stop early: switches that bounce into a coil are hard on a solver
    "reltol=2e-3 abstol=1e-10 vntol=2e-5 method=gear gmin=1e-13 itl4=60",
    "reltol=2e-3 abstol=1e-9 vntol=5e-5 method=gear gmin=1e-12 itl4=200 cshunt=2e-11",
    "reltol=5e-3 abstol=1e-9 vntol=1e-4 method=trap gmin=1e-12 itl4=200 cshunt=5e-11",
    "reltol=1e-2 abstol=1e-8 vntol=1e-4 method=gear gmin=1e-11 itl4=500 cshunt=2e-10",
)


def _vector(name: str, nodes: Nodes) -> str:
    """ngspice's name of what is saved; '' for ground."""
    if name.startswith("i:"):
        return f"i(v{name[2:].lower()}i)"
    return "" if nodes.named(name) == "0" else f"v({nodes.named(name)})"


def deck(
    board: Netlist, corner: Corner, stimulus: Stimulus, save: list[str], faults: tuple[Fault, ...] = (), options: str = OPTIONS[0]
) -> str:
    """The text of a deck; `save` names nets, 'MIC1.VDD' for a pin's own node or 'i:K1' for a coil's current."""
    for fault in faults:
        if fault.kind == "scale":
            scale = {**corner.scale, fault.a: corner.scale.get(fault.a, 1.0) * fault.factor}
            corner = Corner(corner.name, corner.env, scale)
    lines = [f"* {board.name} {corner.name} {stimulus.name}", *cards(corner)]
    node = Nodes(board, faults)
    for part in board.parts:
        own = [node.of(part.ref, pin) for pin in part.pins]
        lines += LINES[part.kind](part, own, corner)
        for number, fault in enumerate(faults):
            if fault.kind == "short" and fault.a == part.ref:
                a, b = node.of(part.ref, fault.b), node.of(part.ref, fault.c)
                if a != b:
                    lines.append(f"rshort{number} {a} {b} {BRIDGE_OHM}")
    for number, fault in enumerate(faults):
        if fault.kind == "weld":  # the armature stays where the coil had pulled it
            lines.append(f"rweld{number} {fault.a.lower()}one {fault.a.lower()}t 1")
        if fault.kind == "bridge":
            lines.append(f"rbridge{number} {_node(fault.a)} {_node(fault.b)} {BRIDGE_OHM}")
    vectors = [_vector(name, node) for name in save]
    lines += [*_signals(board, corner, stimulus, node), *_load(board, node)]
    lines += [f"r{name} {name} 0 {OPEN_OHM:g}" for name in dict.fromkeys(node.floating)]
    lines += [
        f".temp {corner.env['temp_c']:.4g}",
        f".options {options}",
        f".save {' '.join(vector for vector in vectors if vector)}",
        f".tran {stimulus.step_s:g} {stimulus.end_s:g} 0 {stimulus.step_s:g} uic",
        ".end",
    ]
    return "\n".join(lines) + "\n"


def _read_raw(path: Path) -> tuple[list[str], np.ndarray]:
    head, _, body = path.read_bytes().partition(b"Binary:\n")
    text = head.decode("ascii", "replace")
    count = int(re.search(r"No. Variables:\s*(\d+)", text)[1])  # type: ignore[index]
    names = [line.split()[1] for line in text.split("Variables:\n")[1].strip().splitlines()[:count]]
    return names, np.frombuffer(body, dtype=np.float64).reshape(-1, count)


def _run(text: str) -> tuple[dict[str, np.ndarray], str]:
    """One run of ngspice: vectors by lower-case name (none when it gave nothing), and what it complained about."""
    with tempfile.TemporaryDirectory(prefix="earlid-spice-") as name:
        folder = Path(name)
        (folder / "deck.cir").write_text(text)
        done = subprocess.run(
            ["ngspice", "-b", "-r", "out.raw", "deck.cir"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
        )
        raw = folder / "out.raw"
        if not raw.exists() or b"Binary:\n" not in raw.read_bytes():
            return {}, done.stderr[-400:]
        names, data = _read_raw(raw)
        return dict(zip(names, data.T, strict=True)), done.stderr[-400:]


def simulate(
    board: Netlist, corner: Corner, stimulus: Stimulus, save: list[str], faults: tuple[Fault, ...] = (), first: str = OPTIONS[0]
) -> dict[str, np.ndarray]:
    """Run ngspice to the stimulus's end. Returns {'t': seconds, name: values} on the simulator's own time grid.

    A run that stops early is repeated with the next of OPTIONS. Raises SimulatorError when all of them stop.
    """
    if shutil.which("ngspice") is None:
        raise SimulatorError("ngspice is not installed: apt install ngspice")
    complaint, reached = "", 0.0
    for options in (first, *OPTIONS[1:]):
        vectors, complaint = _run(deck(board, corner, stimulus, save, faults, options))
        reached = float(vectors["time"][-1]) if "time" in vectors and len(vectors["time"]) else 0.0
        if reached >= stimulus.end_s * 0.9999:
            found, nodes = {"t": vectors["time"]}, Nodes(board, faults)
            for name in save:
                vector = _vector(name, nodes)
                bare = vectors.get(vector[2:-1], np.zeros_like(found["t"])) if vector else np.zeros_like(found["t"])
                found[name] = vectors.get(vector, bare)
            return found
    named = ", ".join(fault.name for fault in faults)
    raise SimulatorError(
        f"{stimulus.name} on board '{corner.name}' with {named or 'no fault'} stopped at {reached:.4f} s: {complaint}"
    )
