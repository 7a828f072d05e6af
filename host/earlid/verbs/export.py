# SPDX-License-Identifier: MIT
"""`earlid export`: the ledger for other programs and other computers, and back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from lid import record

from earlid.arguments import Subparsers, add_board_argument, add_ledger_argument
from earlid.errors import USAGE, UserError
from earlid.files import STDOUT, open_atomically
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from earlid.ledger.boards import KnownBoard
    from earlid.ledger.queries import Entry
    from earlid.ledger.reader import Reader


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "export",
        description="jsonl carries everything, the chain included: `earlid verify FILE` judges it, --import takes it "
        "back. csv and parquet are tables for other programs.",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (- or without: stdout)")
    parser.add_argument("--format", choices=("jsonl", "csv", "parquet"), help="else by the file's ending, else jsonl")
    parser.add_argument("--import", dest="source", metavar="FILE", help="take a jsonl export back into the ledger")
    parser.add_argument("--backup", metavar="FILE", help="copy the whole ledger file, also while `watch` runs")
    add_board_argument(parser)
    parser.add_argument("--since", metavar="WHEN", help="csv, parquet: from here on")
    parser.add_argument("--until", metavar="WHEN", help="csv, parquet: up to here")
    parser.add_argument("--event", action="append", default=[], choices=record.EVENTS, metavar="EVENT", help="csv, parquet")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export, or import."""
    if args.source:
        return _import_file(args)
    if args.backup:
        return _back_up(args)
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import Reader

    format_name = args.format or {".csv": "csv", ".parquet": "parquet"}.get(Path(args.output or "").suffix, "jsonl")
    if format_name == "jsonl" and (args.since or args.until or args.event):
        raise UserError("a jsonl export carries whole chains: --since, --until and --event are for csv and parquet.", USAGE)
    with Reader(locate(args.ledger)) as reader:
        count = _export(args, format_name, reader, pick_boards(reader, args.board))
    print(f"{count} records exported", file=sys.stderr)
    return 0


def _export(args: argparse.Namespace, format_name: str, reader: Reader, chosen: list[KnownBoard]) -> int:
    if format_name == "jsonl":
        from earlid.ledger import jsonl

        with _open_output(args.output) as out:
            return jsonl.export_boards(reader, chosen, out)
    from earlid.ledger import tabular

    if format_name == "csv":
        with _open_output(args.output) as out:
            return tabular.write_csv(_entries(args, reader, chosen), out)
    if not args.output:
        raise UserError("Parquet goes to a file: name it with -o FILE, or say -o - in a pipeline.", USAGE)
    with open_atomically(Path(args.output), "wb", private=True, sync=True) as out:
        return tabular.write_parquet(_entries(args, reader, chosen), out)


def _entries(args: argparse.Namespace, reader: Reader, chosen: list[KnownBoard]) -> Iterator[Entry]:
    from earlid.ledger.queries import entries
    from earlid.ledger.time_parse import parse_when

    now = datetime.now()
    from_ms = parse_when(args.since, now) if args.since else None
    to_ms = parse_when(args.until, now, end=True) if args.until else None
    return entries(reader, chosen, from_ms, to_ms, events=args.event)


def _open_output(name: str | None) -> AbstractContextManager[IO[Any]]:
    return open_atomically(Path(name or STDOUT), private=True, sync=True)


def _import_file(args: argparse.Namespace) -> int:
    from earlid.ledger.importer import import_file
    from earlid.ledger.store import Ledger

    with Ledger(locate(args.ledger)) as ledger:
        done = import_file(Path(args.source), ledger)
    for board, new, left_out, purges_left_out in done:
        print(f"{board}: {new} new records", file=sys.stderr)
        if left_out:
            print(
                f"{board}: {left_out} records were left out: nothing links them with those that are here, and they do not bear "
                "the mark of the board's key. Import what lies between, or pair the board.",
                file=sys.stderr,
            )
        if purges_left_out:
            print(f"{board}: {purges_left_out} purges were left out: they do not fit between accepted records.", file=sys.stderr)
    if not done:
        print("nothing to import", file=sys.stderr)
    return 0


def _back_up(args: argparse.Namespace) -> int:
    from earlid.ledger.backup import back_up
    from earlid.ledger.queries import record_count
    from earlid.ledger.reader import Reader

    with Reader(locate(args.ledger)) as reader:
        back_up(reader, Path(args.backup))
        print(f"{record_count(reader)} records backed up", file=sys.stderr)
    return 0
