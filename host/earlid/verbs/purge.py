# SPDX-License-Identifier: MIT
"""`earlid purge`: remove records for good, keep the chain, leave a receipt."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from typing import TYPE_CHECKING

from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from earlid.ledger.purge import Found, Selection
    from earlid.ledger.store import Ledger


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "purge",
        description="Removes what is older than the ledger's retention (six months unless set; `watch` does the same, "
        "announced a day before, by certain times only and never more than a tenth at once), or what is asked for. An opening "
        "goes as a whole. The board's own copy is not touched: it overwrites its oldest by itself.",
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
    """Find the records, ask for confirmation, remove them, print how many."""
    from earlid.ledger import purge
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.queries import record_count
    from earlid.ledger.reader import Reader
    from earlid.ledger.store import Ledger

    location = locate(args.ledger)
    if args.list:
        return _list_receipts(args)
    with Reader(location) as reader:
        chosen, total = pick_boards(reader, args.board), record_count(reader)
    with Ledger(location) as ledger:
        selection = _selection(args, ledger)
        why = selection.why if selection else ""
        found = purge.find(ledger, chosen, selection) if selection else purge.Found([], 0, 0)
        counts: dict[str, int] = {}
        for purge_run in found.runs:
            counts[purge_run.board] = counts.get(purge_run.board, 0) + purge_run.count
        if found.runs and not args.dry_run:
            _confirm(args, found, total)
            counts = purge.purge(ledger, found.runs, why)
    if args.json:
        json.dump({"removed": counts, "dry_run": args.dry_run, "why": why, "doubtful": found.doubtful}, sys.stdout)
        print()
    titles = {board.identifier: board.title for board in chosen}
    for board, count in counts.items():
        print(f"{titles[board]}: {count} records {'would be ' * args.dry_run}removed", file=sys.stderr)
    if not counts:
        print(f"nothing to remove ({why or 'retention off'})", file=sys.stderr)
    if found.doubtful:
        print(
            f"{found.doubtful} more may be meant, but their time is known only roughly: they stay. `earlid review` shows them "
            "with ±; name a time that holds all of it, or --everything.",
            file=sys.stderr,
        )
    if found.lasting:
        print(f"{found.lasting} records stay: the opening that they begin is not over.", file=sys.stderr)
    return 0


def _selection(args: argparse.Namespace, ledger: Ledger) -> Selection | None:
    from earlid.ledger import purge, retention
    from earlid.ledger.reader import Reader

    now = datetime.now()
    if args.everything:
        return purge.everything()
    if args.between:
        first, last = args.between
        return purge.between(first, last, now)
    if args.older_than:
        selection: Selection | None = purge.older_than(args.older_than, now)
    else:
        span = args.retention or retention.retention_of(ledger)
        retention.check_span(span, now)
        if args.retention and not args.dry_run:
            ledger.set_retention(span)
        selection = retention.beyond_retention(span, now)
    with Reader(ledger.location) as reader:
        doubt = retention.clock_doubt(reader, now, ledger.clock_synced()) if selection else ""
    if doubt:
        raise UserError(f"nothing removed: {doubt} Or say what to remove by its dates, with --between.")
    return selection


def _confirm(args: argparse.Namespace, found: Found, total: int) -> None:
    if args.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError("nothing removed: add --yes to remove without being asked.", USAGE)
    print(f"Remove {found.records} of {total} records for good? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing removed.")


def _list_receipts(args: argparse.Namespace) -> int:
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.queries import purge_receipts
    from earlid.ledger.reader import Reader
    from earlid.ledger.time_format import iso_text

    with Reader(locate(args.ledger)) as reader:
        receipts = [
            {"board": item.board, "first": item.first, "last": item.last, "count": item.records, "when": iso_text(item.at_ms),
             "why": plain(item.why)}
            for item in purge_receipts(reader, pick_boards(reader, args.board))
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
