# SPDX-License-Identifier: MIT
"""`earlid doctor`: what is wrong, what it means, what to do."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.port import candidate_ports, named_port
from earlid.doctor import bug_report
from earlid.doctor.diagnose import diagnose
from earlid.doctor.gather import observe
from earlid.doctor.model import PROBLEM, Finding, Observation
from earlid.errors import FAILED, NO_BOARD
from earlid.files import write_atomically


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser("doctor", help="find out what is wrong with a board", description=__doc__)
    add_port_argument(parser)
    parser.add_argument("--no-self-test", action="store_true", help="do not have the board click its relay")
    parser.add_argument("--bundle", metavar="FILE", help="write a report for a bug report: figures, nothing personal")
    add_json_argument(parser, "one JSON document on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look, judge, print; 0 when nothing is wrong, 1 when something is, 3 when there is no board at all."""
    named = named_port(args.port)
    seen = observe(candidate_ports(), named, run_self_test=not args.no_self_test)
    findings = diagnose(seen)
    if args.bundle:
        _write_bundle(Path(args.bundle), seen, findings)
    if args.json:
        print(json.dumps([finding.as_json() for finding in findings]))
    else:
        print("\n".join(report(seen, findings)))
    if not seen.ports:
        return NO_BOARD
    return FAILED if any(finding.level == PROBLEM for finding in findings) else 0


def report(seen: Observation, findings: list[Finding]) -> list[str]:
    """The findings as lines for a person."""
    lines = []
    for finding in findings:
        where = f"{finding.port}: " if finding.port else ""
        lines += [
            f"{where}{finding.seen}",
            f"    It means: {finding.means}",
            f"    Do:       {finding.do}",
            "",
        ]
    well = [board for board in seen.boards if not any(f.port == board.port and f.level == PROBLEM for f in findings)]
    for board in well:
        tested = f"self-test passed, drop time {board.drop_ms} ms" if board.self_test is not None else "no self-test made"
        lines.append(f"{board.port}: board {board.hello.get('board', '?')} is well ({tested}).")
    problems = sum(finding.level == PROBLEM for finding in findings)
    lines.append(f"{problems} problem{'' if problems == 1 else 's'}, {len(findings) - problems} more to know.")
    return lines


def _write_bundle(path: Path, seen: Observation, findings: list[Finding]) -> None:
    text = json.dumps(bug_report.make(seen, findings), indent=1) + "\n"
    write_atomically(path, text, next_step="Name another file with --bundle.")
    print(f"wrote {path}: read it before you send it.", file=sys.stderr)
