# SPDX-License-Identifier: MIT
"""`earlid purge`: remove records for good, keep the chain, leave a receipt."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.errors import USAGE, UserError
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from earlid.ledger.store import Ledger


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "purge",
        help="remove records for good; the rest of the chain still verifies",
        description="Removes what is older than the ledger's retention (six months unless set; `watch` does the same "
        "daily), or what is asked for. The board's own copy is not touched: it overwrites its oldest by itself.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--older-than", metavar="SPAN", help="'6 months', '90 days', 2w")
    which.add_argument("--between", nargs=2, metavar="WHEN", help="from a day or moment to another, both included")
    which.add_argument("--everything", action="store_true", help="all records (of --board)")
    which.add_argument("--retention", metavar="SPAN|off", help="set how long this ledger keeps records, and apply it")
    which.add_argument("--list", action="store_true", help="show the receipts of earlier purges")
    add_board_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    add_json_argument(parser, "one JSON document")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Choose, ask, remove, tell."""
    from earlid.ledger import purge
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import open_reader
    from earlid.ledger.store import Ledger

    location = locate(args.ledger)
    if args.list:
        return _list(args)
    with open_reader(location) as reader:
        chosen = pick_boards(reader, args.board)
    with Ledger(location) as ledger:
        if args.retention:
            _set_retention(ledger, args.retention)
        from_ms, to_ms, why = _range(args, ledger)
        runs = purge.choose(ledger, chosen, from_ms, to_ms) if why else []
        counts: dict[str, int] = {}
        for run_ in runs:
            counts[run_.board] = counts.get(run_.board, 0) + run_.count
        if runs and not args.dry_run:
            _ask(args, counts)
            purge.purge(ledger, runs, why)
    if args.json:
        json.dump({"removed": counts, "dry_run": args.dry_run, "why": why}, sys.stdout)
        print()
    titles = {board.board: board.title for board in chosen}
    for board, count in counts.items():
        print(f"{titles[board]}: {count} records {'would be ' * args.dry_run}removed", file=sys.stderr)
    if not counts:
        print(f"nothing to remove ({why or 'retention off'})", file=sys.stderr)
    return 0


def _set_retention(ledger: Ledger, span: str) -> None:
    from earlid.ledger.time_parse import parse_age

    if span != "off":
        parse_age(span, datetime.now())
    ledger.set_setting("retention", span)


def _range(args: argparse.Namespace, ledger: Ledger) -> tuple[int | None, int | None, str]:
    """(from, to, why) in Unix ms; an empty why when there is nothing to do."""
    from earlid.ledger.purge import retention_of
    from earlid.ledger.time_parse import parse_age, parse_when

    now = datetime.now()
    if args.everything:
        return None, None, "everything"
    if args.between:
        from_ms, to_ms = parse_when(args.between[0], now), parse_when(args.between[1], now, end=True)
        if from_ms >= to_ms:
            raise UserError("--between: the second moment is not after the first.", USAGE)
        return from_ms, to_ms, "between two dates"  # the dates themselves would tell what was removed
    span = args.older_than or retention_of(ledger)
    if span == "off":
        return None, None, ""
    return None, parse_age(span, now), f"older than {span}" if args.older_than else f"retention {span}"


def _ask(args: argparse.Namespace, counts: dict[str, int]) -> None:
    if args.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError("nothing removed: add --yes to remove without being asked.", USAGE)
    print(f"Remove {sum(counts.values())} records for good? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing removed.")


def _list(args: argparse.Namespace) -> int:
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import open_reader
    from earlid.ledger.time_format import iso_text

    with open_reader(locate(args.ledger)) as reader:
        receipts = [
            {"board": board.board, "first": first, "last": last, "count": count, "when": iso_text(at_ms), "why": why}
            for board in pick_boards(reader, args.board)
            for first, last, count, at_ms, why in reader.rows(
                "SELECT seq_from, seq_to, count, at_ms, why FROM purges WHERE board_id = :id "
                "ORDER BY at_ms, boot_from, seq_from", id=board.id,
            )
        ]  # fmt: skip
    if args.json:
        json.dump(receipts, sys.stdout)
        print()
        return 0
    for item in receipts:
        print("{when}  {board}  records {first} to {last} ({count}), {why}".format(**item))
    if not receipts:
        print("nothing was purged from this ledger", file=sys.stderr)
    return 0
