# SPDX-License-Identifier: MIT
"""`earlid verify`: does the chain of records hold, where not, and what cannot be known."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from earlid.ledger.anchor_code import Anchor
    from earlid.ledger.judge import Judgement
    from earlid.witness.vouching import Vouching

_TIMES_SHOWN = 20


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "verify",
        description="Judges every record by its link to the one before, offline, from the ledger or an export. "
        "Exit code 0: intact. 4: altered, gap, tail cut or restarted. 1: cannot judge.",
    )
    parser.add_argument("file", nargs="?", metavar="EXPORT", help="an export (JSON Lines) instead of the ledger")
    add_board_argument(parser)
    parser.add_argument("--anchor", action="append", default=[], metavar="CODE", help="a code that you wrote down earlier")
    parser.add_argument("--tsa-ca", metavar="FILE", help="the root certificates in PEM for time stamps (else the system's)")
    add_json_argument(parser, "one JSON document")
    parser.add_argument("--html", metavar="FILE", help="write a page that checks exports and reports, for who has no Earlid")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify the chains and print the findings; returns the worst exit code."""
    if args.html:
        if args.file or args.anchor or args.json:
            raise UserError("--html writes the page alone: what it is to check is dropped onto it.", USAGE)
        return _write_page(Path(args.html))
    from earlid.ledger.anchor_code import parse_code

    typed = [parse_code(code) for code in args.anchor]
    if args.file:
        from earlid.ledger.judge_export import judge_file

        judgements = judge_file(Path(args.file), typed, args.board)
    else:
        judgements = _judge_ledger(args, typed)
    vouching = [_vouching(args, judgement) for judgement in judgements]
    if args.json:
        shown = zip(judgements, vouching, strict=True)
        json.dump([_judgement_json(judgement) | {"vouched": _vouching_json(found)} for judgement, found in shown], sys.stdout)
        print()
    else:
        _print_judgements(judgements, vouching)
    if not judgements:
        print("earlid: there is no board to judge: collect its records with `earlid watch`.", file=sys.stderr)
        return FAILED
    return max(judgement.exit_code for judgement in judgements)


def _write_page(file: Path) -> int:
    from earlid.files import write_atomically
    from earlid.page.document import verify_document

    write_atomically(file, verify_document(), next_step="Name another file with --html.")
    print(f"{plain(str(file))}: open it in any browser, and drop an export or a report onto it", file=sys.stderr)
    return 0


def _judge_ledger(args: argparse.Namespace, typed: Sequence[Anchor]) -> list[Judgement]:
    from rich.console import Console
    from rich.progress import Progress

    from earlid.ledger.boards import pick_boards
    from earlid.ledger.damage import find_damage, judge_beside, judge_whole
    from earlid.ledger.judge import board_of_anchor
    from earlid.ledger.queries import record_count
    from earlid.ledger.reader import Reader

    judgements = []
    with Reader(locate(args.ledger)) as reader, reader.snapshot():
        damage = find_damage(reader)
        host, whole = judge_whole(damage, reader)
        chosen = pick_boards(reader, args.board)
        meant = {anchor: board_of_anchor(reader, chosen, anchor) for anchor in typed}
        if chosen and None in meant.values():
            raise UserError("the anchor code fits no board here. Whose is it? Add --board NAME to judge it.", USAGE)
        screen = Console(stderr=True)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bars:
            bar = bars.add_task("verifying", total=None if damage else record_count(reader))
            for board in chosen:
                anchors = [anchor for anchor, owner in meant.items() if owner == board]
                judgements.append(judge_beside(damage, reader, board, anchors, lambda count: bars.advance(bar, count), host))
    return [*judgements, whole] if whole.findings else judgements


def _vouching(args: argparse.Namespace, judgement: Judgement) -> Vouching | None:
    """Who vouches for a board's records; None where no act says that anybody does."""
    if not judgement.seen:
        return None
    from earlid import config_file
    from earlid.config_keys import ANCHOR_TOO_OLD_DAYS
    from earlid.host_clock import now_ms
    from earlid.witness import roots, vouching

    found = None
    if any(head.by == "tsa" for head in judgement.seen):
        with suppress(ModuleNotFoundError):
            found = roots.read_roots(args.tsa_ca)
    days = config_file.get(ANCHOR_TOO_OLD_DAYS) or vouching.TOO_OLD_DAYS
    return vouching.judge(judgement.identifier, judgement.stretches, judgement.seen, found, now_ms(), days)


def _print_judgements(judgements: Sequence[Judgement], vouching: Sequence[Vouching | None]) -> None:
    with_code = [judgement for judgement in judgements if judgement.code]
    for judgement, vouched in zip(judgements, vouching, strict=True):
        board = judgement.board
        title = f"{board.name} ({board.identifier})" if board and board.name else board.title if board else judgement.identifier
        print(f"{title}: {judgement.records} records" if board or judgement.records else title)
        for finding in judgement.findings:
            print(f"  {finding.say}")
        if vouched:
            from earlid.witness.vouching import lines_of

            for say in lines_of(vouched):
                print(f"  {say}")
        for say in judgement.times[:_TIMES_SHOWN]:
            print(f"  Time: {say}")
        if (more := len(judgement.times) - _TIMES_SHOWN) > 0:
            print(f"  Time: {more} more such contradictions; --json has all.")
        if judgement.code:
            print(f"  Anchor to write down or photograph: {judgement.code}  (record {judgement.head_seq})")
            if len(with_code) == 1 and sys.stdout.isatty():  # of several they would fill the screen
                from earlid.ledger.anchor_qr import qr_lines

                print(*(f"  {line}\n" for line in qr_lines(judgement.code, sys.stdout)), sep="", end="")


def _vouching_json(vouched: Vouching | None) -> dict[str, object] | None:
    if vouched is None:
        return None
    runs = [run._asdict() | {"vouchers": [voucher._asdict() for voucher in run.vouchers]} for run in vouched.runs]
    return {"runs": runs, "not_believed": vouched.faults, "too_old": vouched.too_old}


def _judgement_json(judgement: Judgement) -> dict[str, object]:
    return {
        "board": judgement.identifier,
        "records": judgement.records,
        "head": judgement.head_seq,
        "keyed": judgement.keyed,
        "anchor": judgement.code,
        "findings": [finding._asdict() for finding in judgement.findings],
        "times": list(judgement.times),
    }
