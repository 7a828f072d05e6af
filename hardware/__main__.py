"""`python -m hardware [group ...]`: make every file under hardware/made and firmware/lid/circuit.py, then print the targets.

Groups: drawn headline fmea events firmware. Without one, all, in that order; about half an hour on two idle cores.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from hardware import bom, constants, erc, events, fmea, fmea_report, guarded, headline, reports
from hardware.netlist import build
from hardware.spice import SimulatorError

MADE = reports.MADE


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    print(f"wrote {path.relative_to(reports.ROOT.parent)}", file=sys.stderr)


FMEA_CHUNK = 20


def make_drawn() -> None:
    for channels, recipe in reports.BOARDS:
        board = build(channels, recipe)
        findings = erc.check(board)
        if findings:
            raise ValueError(f"{board.name} breaks its rules: " + "; ".join(findings))
        print(
            f"{board.name}: {len(board.parts)} parts, rules hold, about EUR {bom.total_eur(board):.0f} (estimate)",
            file=sys.stderr,
        )
    for name, text in reports.drawn().items():
        _write(MADE / name, text)


def make_headline() -> None:
    from hardware import plots

    named = headline.named_corners()
    samples = headline.monte_carlo()
    _write(MADE / "corners.csv", headline.as_csv(named))
    _write(MADE / "samples.csv", headline.as_csv(samples))
    make_targets()
    _write(MADE / "spread.svg", plots.spread(samples))
    _write(MADE / "waveforms.svg", plots.waveforms())
    reports.record("headline")


def make_targets() -> None:
    samples, named = _figures()
    page = [
        "# Targets against the worst board",
        "",
        f"Simulated with ngspice: {len(samples)} boards drawn uniformly within every tolerance (0 to 50 C, 4.5 to 5.25 V), and "
        "two with every spread at its worst end ('slow' holds longest, 'quick' shortest). Nothing has been measured.",
        "",
        headline.table_text(headline.targets(samples + named, named[0])),
    ]
    _write(MADE / "targets.md", "\n".join(page))


def make_fmea() -> None:
    """Inject every fault. An hour of it, so results are kept as they come and a run that was cut off goes on."""
    part = MADE / "fmea-part.csv"  # the digest of what it was made from, then the table so far
    digest = reports.DIGESTS["fmea"]()
    head, _, text = part.read_text().partition("\n") if part.exists() else ("", "", "")
    if head != digest:
        text = fmea.as_csv([])
    jobs = fmea.jobs(build())
    done = len(fmea_report.read(text))
    while done < len(jobs):
        text += fmea.as_csv(fmea.run(jobs[done : done + FMEA_CHUNK])).partition("\n")[2]
        done = min(done + FMEA_CHUNK, len(jobs))
        part.write_text(f"{digest}\n{text}")
        print(f"{done} of {len(jobs)} faults injected", file=sys.stderr)
    part.unlink(missing_ok=True)
    _write(MADE / "fmea.csv", text)
    _write(MADE / "fmea.md", fmea_report.as_markdown(text))
    reports.record("fmea")


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


def make_firmware() -> None:
    samples, named = _figures()
    _write(reports.CIRCUIT, constants.text(samples + named, named[0]))


def _figures() -> tuple[list[headline.Sample], list[headline.Sample]]:
    """All samples and the named corners. Raises ValueError when they have not been simulated yet."""
    paths = [MADE / "samples.csv", MADE / "corners.csv"]
    if not all(path.exists() for path in paths):
        raise ValueError("no simulated boards in hardware/made yet: run python -m hardware headline")
    samples, corners = (headline.from_csv(path.read_text()) for path in paths)
    return samples, corners


GROUPS: dict[str, Callable[[], None]] = {
    "drawn": make_drawn, "headline": make_headline, "fmea": make_fmea, "events": make_events, "firmware": make_firmware,
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
        samples, named = _figures()
    except (SimulatorError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    table = headline.targets(samples + named, named[0])
    print(headline.table_text(table))
    return 0 if all(target.holds for target in table) else 1


if __name__ == "__main__":
    raise SystemExit(main())
