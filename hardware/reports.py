"""Which file is made from what, and whether the committed ones are still true.

Drawn files (lists, drawings, pin map) are cheap: made anew and compared byte for byte. Simulated files carry the digest of
everything that went into them; when the digest of today differs, they are stale.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path

from hardware import bom, constants, corners, erc, events, fmea, guarded, headline, kicad, scenes, spice, wiring
from hardware.corners import Corner, draw, extremes
from hardware.netlist import build
from hardware.parts import Board

ROOT = Path(__file__).resolve().parent
MADE = ROOT / "made"
CIRCUIT = ROOT.parent / "firmware" / "lid" / "circuit.py"
BOARDS = ((2, "digital"), (2, "usb"), (2, "electret"), (1, "digital"))


def pin_map(board: Board) -> str:
    """The pin map as a table."""
    lines = [
        "# Pin map",
        "",
        "Written by `python -m hardware`; `firmware/lid/circuit.py` has the same numbers.",
        "",
        "| GPIO | net | role |",
        "|---|---|---|",
    ]
    what = {
        "pump": "one edge every 10 ms while its lid is to be open",
        "adc": "read-back, input-only pin",
        "i2s_out": "clock to the microphone",
        "i2s_in": "data from the microphone",
        "lamp": "output to a person",
        "button": "to ground when pressed",
    }
    lines += [f"| {n} | {net} | {what[role]} |" for n, (net, role) in sorted(board.gpio.items())]
    return "\n".join(lines) + "\n"


def rules_page() -> str:
    lines = ["# Electrical rules", "", "| rule | what it demands | findings |", "|---|---|---|"]
    for rule in erc.RULES:
        found = sum(len(list(rule(build(*b)))) for b in BOARDS)
        doc = (inspect.getdoc(rule) or "A diode and a zener across every coil.").splitlines()[0]
        lines.append(f"| `{rule.__name__}` | {doc} | {found} |")
    return "\n".join(lines) + "\n"


def drawn() -> dict[str, str]:
    """Name -> text of every file made without a simulator."""
    from hardware import schematic  # the only user of schemdraw

    files = {"pins.md": pin_map(build()), "rules.md": rules_page()}
    for b in BOARDS:
        board = build(*b)
        files[f"{board.name}-bom.csv"] = bom.as_csv(board)
        files[f"{board.name}.svg"] = schematic.draw(board)
        files[f"{board.name}.kicad_sch"] = kicad.schematic(board)
        files[f"{board.name}-wires.csv"] = wiring.wire_list(board)
        files[f"{board.name}-wiring.svg"] = wiring.svg(board)
    return files


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def headline_digest() -> str:
    """Of the decks of the named and the first samples, and of the code that judges them."""
    one, two = headline.boards()
    boards = [Corner(), *extremes(build(2)), *(draw(build(2), n) for n in range(4))]
    decks = [
        spice.deck(one, c, headline.pump_scene(end, high)[0], ["RAIL1"])
        for c in boards
        for end, high in (("high", False), ("low", True), ("float", False))
    ]
    decks += [spice.deck(one, c, scenes.slow(10.0, True, 0.8, 0.2)[0], ["RATE1"]) for c in boards]
    decks += [spice.deck(two, c, scenes.muted_while_open(3, 2.0, 2.0, 5.0)[0], ["RAIL2"]) for c in boards]
    return _digest(*decks, inspect.getsource(headline.measure), str(headline.SAMPLES), str(corners.LIMITS))


def fmea_digest() -> str:
    """Of every injected deck on its board, and of the code that judges them."""
    board = build()
    named = {c.name: c for c in [Corner(), *extremes(board)]}
    decks = []
    for fault, name in fmea.jobs(board):
        stuck = fault is not None and fault.kind.startswith("stuck")
        decks.append(str(fault) if stuck or fault is None else spice.deck(board, named[name], spice.Scene("", 1.0), [], (fault,)))
    scene = str(fmea.selftest_scene()) + str(fmea.mute_scene("", ""))
    judges = [inspect.getsource(f) for f in (fmea._rail_tests, fmea.judge_selftest, fmea.judge_mute)]
    return _digest(*decks, scene, *judges)


def events_digest() -> str:
    decks = [spice.deck(build(*b), c, spice.Scene("", 1.0), []) for b in BOARDS for c in [Corner(), *extremes(build(*b))]]
    return _digest(*decks, inspect.getsource(events), inspect.getsource(guarded), inspect.getsource(scenes))


DIGESTS: dict[str, Callable[[], str]] = {"headline": headline_digest, "fmea": fmea_digest, "events": events_digest}


def digests_text() -> str:
    return "".join(f"{name} {make()}\n" for name, make in DIGESTS.items())


def recorded() -> dict[str, str]:
    path = MADE / "digests.txt"
    return dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}


def record(name: str) -> None:
    """Write today's digest of one group of simulated files."""
    known = recorded() | {name: DIGESTS[name]()}
    (MADE / "digests.txt").write_text("".join(f"{key} {known[key]}\n" for key in sorted(known)))


def stale() -> list[str]:
    """Every committed file that is not what today's sources make, in words; a group never finished yet is not stale."""
    found = []
    for name, text in drawn().items():
        path = MADE / name
        if not path.exists() or path.read_text() != text:
            found.append(f"{path.name} differs from what the netlist makes: run make hardware")
    known = recorded()
    for group, make in DIGESTS.items():
        if group in known and known[group] != make():
            found.append(f"the simulated files of '{group}' are older than the circuit: run make hardware")
    samples = headline.from_csv((MADE / "samples.csv").read_text())
    named = headline.from_csv((MADE / "corners.csv").read_text())
    if CIRCUIT.read_text() != constants.text(samples + named, named[0]):
        found.append("firmware/lid/circuit.py differs from the simulation's results: run make hardware")
    return found
