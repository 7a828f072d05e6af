# SPDX-License-Identifier: MIT
"""`python -m hardware [group ...]`: make every file under hardware/made and the firmware's circuit.py, then print the targets.

Groups: drawn pcb headline fmea events enclosure firmware. Without one, all, in that order: 23 minutes of processor time, and it
says how far it is. A run of fmea that is cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from hardware import bom, erc, events, fmea, fmea_report, guarded, headline, layout, reports
from hardware.enclosure import case
from hardware.netlist import build
from hardware.pcb import assembly, fabrication, render
from hardware.spice import SimulatorError

MADE = reports.MADE
ENCLOSURE = reports.ROOT.parent / "build" / "enclosure"
ASSEMBLY = reports.ROOT.parent / "build" / "assembly"


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    print(f"wrote {path.relative_to(reports.ROOT.parent)}", file=sys.stderr)


FMEA_CHUNK = 120


def make_drawn() -> None:
    for channels, recipe in reports.BOARDS:
        board = build(channels, recipe)
        findings = erc.check(board) + layout.supplies_near_rails(board, layout.place(board))
        if findings:
            raise ValueError(f"{board.name} breaks its rules: " + "; ".join(findings))
        print(
            f"{board.name}: {len(board.parts)} parts, rules hold, about EUR {bom.total_eur(board):.0f} (estimate)",
            file=sys.stderr,
        )
    for name, content in reports.drawn().items():
        _write(MADE / name, content)


def make_pcb() -> None:
    """Place, route, pour, check and plot every circuit board; the zip that a factory is sent and a picture of each."""
    for channels, recipe in reports.BOARDS:
        board = build(channels, recipe)
        packed = fabrication.build(board, lambda text, name=board.name: print(f"{name}: {text}", file=sys.stderr))  # type: ignore[misc]
        _write(MADE / f"{board.name}-pcb.zip", packed)
        _write(MADE / f"{board.name}-pcb.svg", render.of(board, MADE / f"{board.name}-pcb.zip"))
    make_assembly()
    reports.record("pcb")


def make_assembly() -> None:
    """A page of each board that shows where its parts go, under build/assembly; what is kept of them is their sums."""
    ASSEMBLY.mkdir(parents=True, exist_ok=True)
    files = [ASSEMBLY / f"{build(channels, recipe).name}.html" for channels, recipe in reports.BOARDS]
    for file in files:
        _write(file, assembly.page(MADE / f"{file.stem}-pcb.zip"))
    _write(MADE / "assembly.sha256", case.sums(files))


def make_headline() -> None:
    from hardware import plots

    named = headline.named_corners()
    samples = headline.monte_carlo(
        report_progress=lambda done: print(f"headline: {done} of {headline.SAMPLES} boards", file=sys.stderr)
    )
    _write(MADE / "corners.csv", headline.as_csv(named))
    _write(MADE / "samples.csv", headline.as_csv(samples))
    _write(MADE / "targets.md", reports.targets_page())
    _write(MADE / "spread.svg", plots.spread(samples))
    _write(MADE / "waveforms.svg", plots.waveforms())
    reports.record("headline")


def make_fmea() -> None:
    """Inject every fault on the reference board, and on the other boards what differs there; then the page.

    Results are kept as they come, so that a run that was cut off goes on.
    """
    parts = [_inject(name) for name in fmea.BOARDS]
    _write(MADE / "fmea.md", reports.fmea_page())
    for part in parts:
        part.unlink(missing_ok=True)


def _inject(name: str) -> Path:
    """Make fmea-NAME.csv. Returns the file of the results so far: the digest of what they are made from, then the table."""
    group = f"fmea-{name}"
    part, digest = MADE / f"{group}-part.csv", reports.DIGESTS[group]()
    head, _, text = part.read_text().partition("\n") if part.exists() else ("", "", "")
    if head != digest:
        text = fmea.as_csv([])
    jobs = fmea.jobs(name)
    done = len(fmea_report.read(text))
    while done < len(jobs):
        text += fmea.as_csv(fmea.run(jobs[done : done + FMEA_CHUNK])).partition("\n")[2]
        done = min(done + FMEA_CHUNK, len(jobs))
        part.write_text(f"{digest}\n{text}")
        print(f"{group}: {done} of {len(jobs)} injections", file=sys.stderr)
    _write(MADE / f"{group}.csv", text)
    reports.record(group)
    return part


def make_events() -> None:
    page = [
        "# Events",
        "",
        "Simulated, never measured. Times from the event to the last moment over 0.3 V.",
        "",
        events.as_markdown(events.table()),
        "# The three guarded recipes",
        "",
        guarded.as_markdown(guarded.table()),
    ]
    _write(MADE / "events.md", "\n".join(page))
    reports.record("events")


def make_enclosure() -> None:
    """Every part of every case as STL under build/enclosure; what is kept of them is their sums and one picture."""
    ENCLOSURE.mkdir(parents=True, exist_ok=True)
    files = []
    for channels, recipe in reports.BOARDS:
        name = build(channels, recipe).name
        for part in case.PARTS:
            files.append(ENCLOSURE / f"{name}-{part}.stl")
            case.stl(MADE / f"{name}-case.scad", part, files[-1])
            print(f"wrote {files[-1].relative_to(reports.ROOT.parent)}", file=sys.stderr)
    case.picture(MADE / f"{build().name}-case.scad", MADE / "enclosure.png")
    _write(MADE / "enclosure.sha256", case.sums(files))
    reports.record("enclosure")


def make_firmware() -> None:
    for path, text in reports.circuits().items():
        path.parent.mkdir(exist_ok=True)
        _write(path, text)


GROUPS: dict[str, Callable[[], None]] = {
    "drawn": make_drawn, "pcb": make_pcb, "headline": make_headline, "fmea": make_fmea, "events": make_events,
    "enclosure": make_enclosure, "firmware": make_firmware,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m hardware", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"one of: {', '.join(GROUPS)}")
    groups = parser.parse_args().groups or list(GROUPS)
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        print(f"no group '{unknown[0]}': choose {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    os.nice(10)
    MADE.mkdir(exist_ok=True)
    try:
        for group in groups:
            GROUPS[group]()
        samples, named = reports.samples()
    except (SimulatorError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    table = headline.targets(samples + named, named[0])
    print(headline.table_text(table))
    return 0 if all(target.holds for target in table) else 1


if __name__ == "__main__":
    raise SystemExit(main())
