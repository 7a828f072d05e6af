# SPDX-License-Identifier: MIT
"""`earlid doctor`: what is wrong, what it means, what to do.

With --bring-up it walks you through a freshly soldered board, one question or act at a time, and prints a check sheet for the
file. With --production it tests one board on a jig without questions: one line, and a row of figures in a CSV file.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.link import Link
from earlid.board.port import candidate_ports
from earlid.doctor import bug_report, production_log
from earlid.doctor.board_watch import BoardWatch
from earlid.doctor.bring_up import BringUp
from earlid.doctor.check_sheet import CheckSheet
from earlid.doctor.diagnose import diagnose
from earlid.doctor.gather import observe
from earlid.doctor.model import PROBLEM, Diagnosis, ExaminedBoard, Observation
from earlid.doctor.operators import Jig, Operator, Person
from earlid.door import plain
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, USAGE, UserError
from earlid.files import write_atomically
from earlid.port_choice import named_port, pick_port


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser("doctor", description=__doc__)
    add_port_argument(parser)
    parser.add_argument("--no-self-test", action="store_true", help="do not have the board click its relay")
    parser.add_argument("--bundle", metavar="FILE", help="write a report for a bug report: figures, nothing personal")
    add_json_argument(parser, "one JSON document on stdout")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--bring-up", action="store_true",
        help="first start of a soldered board: both relays, lights, switch and button with you; no microphone is needed",
    )  # fmt: skip
    kind.add_argument("--production", action="store_true", help="the same on a jig, without questions (needs --jig and --csv)")
    parser.add_argument(
        "--jig", metavar="PORT", help="serial adapter of the jig (hardware/jig.py): RTS is the switch, DTR the button"
    )
    parser.add_argument("--csv", metavar="FILE", help="append the production test's row to this file")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look, judge, print; 0 when nothing is wrong, 1 when something is, 3 when there is no board at all."""
    if args.bring_up:
        return _bring_up(args)
    if args.production:
        return _production(args)
    named = named_port(args.port)
    observation = observe(candidate_ports(), named, run_self_test=not args.no_self_test)
    diagnoses = diagnose(observation)
    if args.bundle:
        _write_bundle(Path(args.bundle), observation, diagnoses)
    if args.json:
        print(json.dumps(as_json(observation, diagnoses)))
    else:
        print("\n".join(report(observation, diagnoses)))
    if not observation.ports:
        return NO_BOARD
    return FAILED if any(diagnosis.level == PROBLEM for diagnosis in diagnoses) else 0


def as_json(observation: Observation, diagnoses: list[Diagnosis]) -> dict[str, Any]:
    """The diagnoses and the figures of every board that replies, well or not."""
    well = _well(observation, diagnoses)
    return {
        "schema": 1,
        "boards": [board.as_json() | {"well": board in well} for board in observation.boards],
        "diagnoses": [diagnosis.as_json() for diagnosis in diagnoses],
    }


def _well(observation: Observation, diagnoses: list[Diagnosis]) -> list[ExaminedBoard]:
    return [board for board in observation.boards if not any(f.port == board.port and f.level == PROBLEM for f in diagnoses)]


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
    for board in _well(observation, diagnoses):
        tested = f"self-test passed, drop time {board.drop_ms} ms" if board.self_test is not None else "no self-test made"
        lines.append(f"{board.port}: board {board.hello.get('board', '?')} is well ({tested}).")
    problems = sum(diagnosis.level == PROBLEM for diagnosis in diagnoses)
    lines.append(f"{problems} problem{'' if problems == 1 else 's'}, {len(diagnoses) - problems} more to know.")
    return lines


def _write_bundle(path: Path, observation: Observation, diagnoses: list[Diagnosis]) -> None:
    text = json.dumps(bug_report.make(observation, diagnoses), indent=1) + "\n"
    write_atomically(path, text, private=True, next_step="Name another file with --bundle.")
    print(f"wrote {plain(path)}: read it before you send it.", file=sys.stderr)


def _sheet(operator: Operator) -> CheckSheet:
    return CheckSheet(operator.kind, datetime.now(UTC).isoformat(timespec="seconds"), metadata.version("earlid"))


def _bring_up(args: argparse.Namespace) -> int:
    if not sys.stdin.isatty():
        raise UserError("--bring-up asks you questions: run it at a terminal. A jig: --production.", USAGE)
    person = Person()
    sheet = _sheet(person)
    interrupted = False
    try:
        with Link(pick_port(args.port)) as link:
            BringUp(BoardWatch(link), person, sheet).run()
    except KeyboardInterrupt:
        interrupted = True
    print(file=sys.stderr)
    print(json.dumps(sheet.as_json()) if args.json else "\n".join(sheet.lines()))
    return INTERRUPTED if interrupted else 0 if sheet.result == "passed" else FAILED


def _production(args: argparse.Namespace) -> int:
    if not args.jig or not args.csv:
        raise UserError("--production needs --jig PORT and --csv FILE.", USAGE)
    port = named_port(args.port)
    if not port:
        raise UserError("--production needs the board's port: -p PORT.", USAGE)
    with closing(Jig(args.jig)) as jig, Link(port) as link:
        sheet = _sheet(jig)
        try:
            BringUp(BoardWatch(link), jig, sheet).run()
        finally:  # a board that went away has its row too
            if sheet.board:
                production_log.append(Path(args.csv), sheet)
    print(json.dumps(sheet.as_json()) if args.json else production_log.verdict(sheet))
    return 0 if sheet.result == "passed" else FAILED
