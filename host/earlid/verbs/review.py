# SPDX-License-Identifier: MIT
"""`earlid review`: when was the microphone live, why, and was it me?"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from lid import record

from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.ledger.location import Location, locate

_DETAIL_DAYS = 14  # beyond, only --event or --csv or --json list single records
_CHECK_SPAN = "4 weeks"  # of what there is to check
_HOW_TO_CHANGE = "say `earlid review label 1234 false`, `earlid review check` or `earlid review name 3fa1 kitchen`."
_PAGE_SPAN = "12 months"  # of the page, when nobody says otherwise: it scrolls


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "review",
        description="The story of a day, or of the days asked for, from the ledger. Needs no board.",
        epilog="earlid review check: was it me? Asks about the openings that were likely not meant (of 4 weeks if not said). "
        "earlid review label 1234 1240-1260 false: say that these openings were not meant (true, false, none). "
        "earlid review name 3fa1 kitchen: call the board whose identifier begins with 3fa1 kitchen.",
    )
    parser.add_argument(
        "what", nargs="*", metavar="WHEN | check WHEN | label N... WORD | name BOARD NAME",
        help="a day, week, month (today if not said); or change what the ledger says",
    )  # fmt: skip
    parser.add_argument("--since", metavar="WHEN", help="yesterday, monday, last week, 14:30, 2026-11-22, '3 days ago', 2w")
    parser.add_argument("--until", metavar="WHEN", help="a day (with all of it) or a moment; now if not said")
    add_board_argument(parser)
    parser.add_argument("--event", action="append", default=[], choices=record.EVENTS, metavar="EVENT", help="only these")
    parser.add_argument("--reason", action="append", default=[], choices=record.REASONS, metavar="WHY", help="only these")
    shape = parser.add_mutually_exclusive_group()
    add_json_argument(shape, "one JSON document")
    shape.add_argument("--csv", action="store_true", help="the records as CSV")
    shape.add_argument("--html", metavar="FILE", help="a page for the browser, all in one file (of 12 months if not said)")
    shape.add_argument("--serve", action="store_true", help="the same page, live, for this computer's own browser")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where --serve listens (127.0.0.1 and any free port)")
    parser.add_argument("--no-browser", action="store_true", help="with --serve: only print the page's address")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a report, show the page, or change a label or a name."""
    location = locate(args.ledger)
    if args.what and args.what[0] in ("label", "name"):
        return _change_ledger(args, location)
    if args.what and args.what[0] == "check":
        return _check(args, location)
    if args.html or args.serve:
        return _show_page(args, location)
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import Reader
    from earlid.ledger.report import make_report

    now = datetime.now()
    from_ms, to_ms = _range(args, now, "today")
    to_ms = to_ms or int(now.timestamp() * 1000) + 1
    with Reader(location) as reader:
        chosen = pick_boards(reader, args.board)
        report = make_report(reader, chosen, from_ms, to_ms, events=args.event, reasons=args.reason)
    if args.json:
        json.dump(report.to_json(), sys.stdout)
        print()
        return 0
    if args.csv:
        from earlid.ledger.tabular import write_csv

        write_csv(report.entries, sys.stdout, report.openings)
        return 0
    from earlid.ledger import render

    render.print_report(
        report,
        sys.stdout,
        single=len(report.days) <= _DETAIL_DAYS or bool(args.event or args.reason),
        now_ms=int(now.timestamp() * 1000),
    )
    return 0


def _range(args: argparse.Namespace, now: datetime, default: str) -> tuple[int, int | None]:
    from earlid.ledger.time_parse import parse_period, parse_range

    if not args.what:
        return parse_range(args.since, args.until, now, default)
    if args.since or args.until:
        raise UserError("say the time once: `earlid review yesterday`, or --since and --until.", USAGE)
    try:
        return parse_period(" ".join(args.what), now)
    except UserError as error:
        raise UserError(f"{error} To change the ledger {_HOW_TO_CHANGE}", USAGE) from error


def _show_page(args: argparse.Namespace, location: Location) -> int:
    if args.event or args.reason:
        raise UserError("the page chooses by itself: leave out --event and --reason.", USAGE)
    now = datetime.now()
    from_ms, to_ms = _range(args, now, _PAGE_SPAN)
    if args.serve:
        from earlid.ledger.store import now_ms
        from earlid.page.feed import Feed
        from earlid.page.serve import DEFAULT_LISTEN, serve

        feed = Feed(location, args.board, from_ms, to_ms, now_ms)
        serve(feed, args.listen or DEFAULT_LISTEN, browser=not args.no_browser, started=lambda url: print(url, flush=True))
        return 0
    from earlid.files import write_atomically
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import Reader
    from earlid.page.report import make_page

    with Reader(location) as reader:
        text = make_page(reader, pick_boards(reader, args.board), int(now.timestamp() * 1000), from_ms, to_ms)
    write_atomically(Path(args.html), text, private=True, next_step="Name another file with --html.")
    print(f"{plain(args.html)}: {len(text) / 1e6:.1f} MB, open it in any browser", file=sys.stderr)
    return 0


def _change_ledger(args: argparse.Namespace, location: Location) -> int:
    from earlid.ledger.boards import check_name, pick_boards
    from earlid.ledger.reader import Reader
    from earlid.ledger.store import Ledger

    match args.what:
        case ["label", *numbers, word] if numbers:
            _set_labels(args, location, numbers, _parse_label(word))
        case ["name", which, name]:
            with Reader(location) as reader:
                (named,) = pick_boards(reader, [which])
                check_name(reader, named, name)
            with Ledger(location) as ledger:
                ledger.set_name(named.identifier, name or None)
            print(f"board {named.identifier} {f'is called {name}' if name else 'has no name now'}", file=sys.stderr)
        case _:
            raise UserError(_HOW_TO_CHANGE, USAGE)
    return 0


def _set_labels(args: argparse.Namespace, location: Location, numbers: list[str], label: bool | None) -> None:
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.boot_clocks import LedgerClocks
    from earlid.ledger.check import label_text
    from earlid.ledger.queries import labelable, labels, ms_of, openings_numbered
    from earlid.ledger.reader import Reader
    from earlid.ledger.store import Ledger
    from earlid.ledger.time_format import moment_text

    found = []
    with Reader(location) as reader:
        chosen = pick_boards(reader, args.board)
        for text in numbers:
            first, dash, last = text.partition("-")
            if dash:
                found += openings_numbered(reader, chosen, _parse_number(first), _parse_number(last))
            else:
                found.append((*labelable(reader, chosen, _parse_number(text)), int(text)))
        if len({board.id for board, _, _ in found}) > 1:
            raise UserError("these are records of several boards: add --board NAME.", USAGE)
        if not found:
            raise UserError(f"no opening has a number in {' '.join(numbers)}: see the first column of `earlid review`.", USAGE)
        clocks, before = LedgerClocks(reader, chosen), labels(reader, found[0][0])
        where = [moment_text(clocks.wall(board.id, boot, ms_of(reader, board, boot, seq))[0]) for board, boot, seq in found]
    with Ledger(location) as ledger:
        ledger.set_labels((board.identifier, boot, seq, label) for board, boot, seq in found)
    for (board, boot, seq), when in zip(found, where, strict=True):
        was = before.get((boot, seq), label)
        changed = f" (it was {str(was).lower()})" if was is not label else ""
        print(f"record {seq} of {board.title}, {when}, {label_text(label)}{changed}", file=sys.stderr)
    if len(found) > 1 and not before.keys() & {(boot, seq) for _, boot, seq in found}:
        print(f"{len(found)} openings. To take it back: earlid review label {' '.join(numbers)} none", file=sys.stderr)


def _check(args: argparse.Namespace, location: Location) -> int:
    """Ask about the openings that were likely not meant, or list them where nobody can answer."""
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.check import converse, to_check
    from earlid.ledger.queries import Opening, openings
    from earlid.ledger.reader import Reader
    from earlid.ledger.store import Ledger
    from earlid.ledger.time_format import moment_text

    args.what = args.what[1:]
    from_ms, to_ms = _range(args, datetime.now(), _CHECK_SPAN)
    with Reader(location) as reader:
        chosen = pick_boards(reader, args.board)
        found = openings(reader, chosen, from_ms, to_ms)
        questions = to_check(reader, chosen, found)
    if args.json:
        json.dump([question.to_json() for question in questions], sys.stdout)
        print()
        return 0
    unlabelled = sum(opening.label is None and not opening.outside for opening in found)
    print(f"{len(questions)} to check of {unlabelled} openings without a label since {moment_text(from_ms)}.")
    if not questions:
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for question in questions:
            print("", *question.lines(), sep="\n")
        print("\nTo answer: earlid review check at a terminal, or earlid review label NUMBER false.")
        return 0
    from earlid.demo.keyboard import keys

    with Ledger(location) as ledger, keys() as read_key:

        def store(opening: Opening, word: bool | None) -> None:
            ledger.set_label(opening.board, opening.boot, opening.seq, word)

        def wait() -> str:
            while not (key := read_key(3600)):
                pass
            return key

        answers = converse(questions, wait, lambda line: print(line, flush=True), store)
    labelled = sum(answers.values())
    left = len(questions) - labelled
    print(f"\nLabelled {labelled}: {answers[True]} true, {answers[False]} false; {left} left to check.")
    return 0


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 0xFFFFFFFF:
        raise UserError(f"{text!r} is no record's number: see the first column of `earlid review`.", USAGE)
    return int(text)


def _parse_label(word: str) -> bool | None:
    try:
        return {"true": True, "yes": True, "false": False, "no": False, "none": None}[word.lower()]
    except KeyError:
        raise UserError(f"a label is true, false or none, not {word!r}.", USAGE) from None
