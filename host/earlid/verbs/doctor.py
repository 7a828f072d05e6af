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
from earlid.doctor.model import PROBLEM, Diagnosis, Observation
from earlid.door import plain
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
    observation = observe(candidate_ports(), named, run_self_test=not args.no_self_test)
    diagnoses = diagnose(observation)
    if args.bundle:
        _write_bundle(Path(args.bundle), observation, diagnoses)
    if args.json:
        print(json.dumps([diagnosis.as_json() for diagnosis in diagnoses]))
    else:
        print("\n".join(report(observation, diagnoses)))
    if not observation.ports:
        return NO_BOARD
    return FAILED if any(diagnosis.level == PROBLEM for diagnosis in diagnoses) else 0


def report(observation: Observation, diagnoses: list[Diagnosis]) -> list[str]:
    """The diagnoses as lines for a person."""
    lines = []
    for diagnosis in diagnoses:
        where = f"{diagnosis.port}: " if diagnosis.port else ""
        lines += [
            f"{where}{diagnosis.seen}",
            f"    It means: {diagnosis.means}",
            f"    Do:       {diagnosis.do}",
            "",
        ]
    well = [board for board in observation.boards if not any(f.port == board.port and f.level == PROBLEM for f in diagnoses)]
    for board in well:
        tested = f"self-test passed, drop time {board.drop_ms} ms" if board.self_test is not None else "no self-test made"
        lines.append(f"{board.port}: board {board.hello.get('board', '?')} is well ({tested}).")
    problems = sum(diagnosis.level == PROBLEM for diagnosis in diagnoses)
    lines.append(f"{problems} problem{'' if problems == 1 else 's'}, {len(diagnoses) - problems} more to know.")
    return lines


def _write_bundle(path: Path, observation: Observation, diagnoses: list[Diagnosis]) -> None:
    text = json.dumps(bug_report.make(observation, diagnoses), indent=1) + "\n"
    write_atomically(path, text, private=True, next_step="Name another file with --bundle.")
    print(f"wrote {plain(path)}: read it before you send it.", file=sys.stderr)
