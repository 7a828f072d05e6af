# SPDX-License-Identifier: MIT
"""Which file is made from what, and whether the committed ones are still true.

Drawn files (lists, drawings, pin map) are cheap: made anew and compared byte for byte. Simulated files and the cases carry the
digest of everything that went into them; when the digest of today differs, they are stale.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hardware import (
    bom,
    constants,
    corners,
    erc,
    fmea,
    fmea_report,
    footprints,
    headline,
    kicad,
    spice,
    stimuli,
    thresholds,
    wiring,
)
from hardware.corners import Corner, draw, extremes
from hardware.netlist import build
from hardware.parts import Netlist

ROOT = Path(__file__).resolve().parent
MADE = ROOT / "made"
FIRMWARE = ROOT.parent / "firmware"
CIRCUIT = FIRMWARE / "lid" / "circuit.py"
BOARDS = ((2, "digital"), (2, "usb"), (2, "electret"), (1, "digital"))
CIRCUITS = {
    CIRCUIT: BOARDS[0],
    **{FIRMWARE / "circuits" / f"{'1ch' if board[0] == 1 else board[1]}.py": board for board in BOARDS[1:]},
}


def pin_map(board: Netlist) -> str:
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


def drawn() -> dict[str, bytes]:
    """Name -> content of every file made without a simulator."""
    from hardware import schematic  # the only user of schemdraw
    from hardware.enclosure import case, labels
    from hardware.pcb import drawing

    boards = [build(*b) for b in BOARDS]
    files = {"pins.md": pin_map(build()), "rules.md": rules_page(), "thresholds.md": thresholds.as_markdown(boards)}
    files |= {"earlid.kicad_sym": kicad.library(boards), "sym-lib-table": kicad.TABLE, "fp-lib-table": footprints.TABLE}
    files |= {f"{footprints.LIBRARY}.pretty/{name}": text for name, text in footprints.library().items()}
    for board in boards:
        files[f"{board.name}-bom.csv"] = bom.as_csv(board)
        files[f"{board.name}.svg"] = schematic.draw(board)
        files[f"{board.name}.kicad_sch"] = kicad.schematic(board)
        files[f"{board.name}-wires.csv"] = wiring.wire_list(board)
        files[f"{board.name}-case.scad"] = case.text(board)
    prints = {f"{board.name}-perfboard.pdf": wiring.pdf(board) for board in boards}
    prints |= {f"{board.name}-schematic.pdf": schematic.pdf(board) for board in boards}
    prints |= {f"{board.name}-pcb.pdf": drawing.pdf(board) for board in boards}
    prints["labels.pdf"] = labels.pdf(boards)
    return {name: text.encode() for name, text in files.items()} | prints


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _source(path: Path) -> str:
    """The file's text without its licence line."""
    return path.read_text().partition("\n")[2]


def headline_digest() -> str:
    """Of the decks of the named and the first samples, and of the code that judges them."""
    one, two = headline.boards()
    boards = [Corner(), *extremes(build(2)), *(draw(build(2), n) for n in range(4))]
    decks = [
        spice.deck(one, c, headline.pump_stimulus(end, high)[0], ["RAIL1"])
        for c in boards
        for end, high in (("high", False), ("low", True), ("float", False))
    ]
    decks += [spice.deck(one, c, stimuli.slow(10.0, True, 0.8, 0.2)[0], ["RATE1"]) for c in boards]
    decks += [spice.deck(two, c, stimuli.muted_while_open(3, 2.0, 2.0, 5.0)[0], ["RAIL2"]) for c in boards]
    return _digest(
        *decks, inspect.getsource(headline.measure), str(headline.SAMPLES), str(corners.LIMITS), _source(ROOT / "plots.py")
    )


def fmea_digest(name: str = "digital") -> str:
    """Of every injected deck on its board, and of the code that judges them."""
    board = fmea.board_of(name)
    named = {c.name: c for c in [Corner(), *extremes(board)]}
    decks = []
    for fault, corner, _name in fmea.jobs(name):
        stuck = fault is not None and fault.kind.startswith("stuck")
        decks.append(
            str(fault) if stuck or fault is None else spice.deck(board, named[corner], spice.Stimulus("", 1.0), [], (fault,))
        )
    stimulus = str(fmea.selftest_stimulus()) + str(fmea.mute_stimulus("", ""))
    judging = (fmea.Readout, fmea._waves, fmea._open_and_drop, fmea.judge_selftest, fmea.judge_mute, fmea.inject)
    judges = [inspect.getsource(f) for f in judging]
    judges.append(inspect.getsource(inspect.getmodule(fmea.Adc)))  # type: ignore[arg-type]
    return _digest(*decks, stimulus, *judges)


def events_digest() -> str:
    decks = [spice.deck(build(*b), c, spice.Stimulus("", 1.0), []) for b in BOARDS for c in [Corner(), *extremes(build(*b))]]
    return _digest(*decks, *(_source(ROOT / f"{name}.py") for name in ("events", "guarded", "stimuli")))


def enclosure_digest() -> str:
    from hardware.enclosure import case

    return _digest(*(case.text(build(*b)) for b in BOARDS), case.SCAD.read_text())


def pcb_digest() -> str:
    """Of every circuit board before its tracks, its rules, and the code that routes, pours, plots and packs."""
    from hardware.pcb import board_file, rules
    from hardware.pcb.routing import Routed

    boards = [build(*b) for b in BOARDS]
    code = ("archive", "copper", "fabrication", "geometry", "joints", "make", "nets", "pcbnew_job", "render", "routing")
    return _digest(
        *(board_file.text(board, Routed()) + rules.custom(board) + rules.project(board.name) for board in boards),
        *(_source(ROOT / "pcb" / f"{name}.py") for name in code),
    )


DIGESTS: dict[str, Callable[[], str]] = {
    "headline": headline_digest, "events": events_digest, "enclosure": enclosure_digest, "pcb": pcb_digest,
    **{f"fmea-{name}": partial(fmea_digest, name) for name in fmea.BOARDS},
}  # fmt: skip


WATCHED = {  # by the digests; the other files are compared byte for byte
    *(
        "samples.csv",
        "corners.csv",
        "spread.svg",
        "waveforms.svg",
        "events.md",
        "digests.txt",
        "enclosure.sha256",
        "assembly.sha256",
        "enclosure.png",
    ),
    *(f"fmea-{name}.csv" for name in fmea.BOARDS),
    *(f"{build(*board).name}-pcb.{kind}" for board in BOARDS for kind in ("zip", "svg")),
}


def recorded() -> dict[str, str]:
    path = MADE / "digests.txt"
    return dict(line.split() for line in path.read_text().splitlines()) if path.exists() else {}


def record(name: str) -> None:
    """Write today's digest of one group of simulated files."""
    known = recorded() | {name: DIGESTS[name]()}
    (MADE / "digests.txt").write_text("".join(f"{key} {known[key]}\n" for key in sorted(known)))


def samples() -> tuple[list[headline.Sample], list[headline.Sample]]:
    """All simulated boards and the three named ones. Raises ValueError when they have not been simulated yet."""
    paths = [MADE / "samples.csv", MADE / "corners.csv"]
    if not all(path.exists() for path in paths):
        raise ValueError("no simulated boards in hardware/made yet: run python -m hardware headline")
    drawn_boards, named = (headline.from_csv(path.read_text()) for path in paths)
    return drawn_boards, named


def targets_page() -> str:
    boards, named = samples()
    page = [
        "# Targets against the worst board",
        "",
        f"Simulated with ngspice: {len(boards)} boards drawn uniformly within every tolerance (0 to 50 C, 4.75 to "
        "5.5 V at the USB port), and "
        "two with every spread at its worst end ('slow' holds longest, 'quick' shortest). Nothing has been measured.",
        "",
        headline.table_text(headline.targets(boards + named, named[0])),
    ]
    return "\n".join(page)


def fmea_page() -> str:
    return fmea_report.as_markdown({name: (MADE / f"fmea-{name}.csv").read_text() for name in fmea.BOARDS})


def circuits() -> dict[Path, str]:
    """The texts of firmware/lid/circuit.py, which is the reference board's, and of those that take its place on the others."""
    boards, named = samples()
    return {path: constants.text(boards + named, named[0], *board) for path, board in CIRCUITS.items()}


def stale() -> list[str]:
    """Every committed file that is not what today's sources make, in words."""
    differences = []
    contents = {MADE / name: content for name, content in drawn().items()}
    contents |= {
        MADE / "targets.md": targets_page().encode(),
        MADE / "fmea.md": fmea_page().encode(),
        **{path: text.encode() for path, text in circuits().items()},
    }
    for path, content in contents.items():
        if not path.exists() or path.read_bytes() != content:
            differences.append(f"{path.name} differs from what the netlist and the simulated boards make: run make hardware")
    known = recorded()
    for group, make in DIGESTS.items():
        if known.get(group) != make():
            differences.append(f"the simulated files of '{group}' are older than the circuit: run make hardware")
    present = {
        path.relative_to(MADE).as_posix() for path in MADE.rglob("*") if path.is_file() and not path.name.endswith("-part.csv")
    }
    for name in sorted(present - {path.relative_to(MADE).as_posix() for path in contents if MADE in path.parents} - WATCHED):
        differences.append(f"{name} is made by nothing: remove it")
    return differences
