"""`earlid review`: when was the microphone live, why, and was it me?"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path

from lid import record

from earlid.errors import USAGE, UserError
from earlid.ledger.location import Location, add_ledger_argument, locate

_DETAIL_DAYS = 14  # beyond, only --event or --csv or --json list single records
_PAGE_SPAN = "12 months"  # of the page, when nobody says otherwise: it scrolls


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "review",
        help="when was the microphone live, why, and was it me?",
        description="The story of a day, or of the days asked for, from the ledger. Needs no board.",
        epilog="earlid review label 1234 false: say that opening 1234 was not meant (true, false, none). "
        "earlid review name 3fa1 kitchen: call the board whose identifier begins with 3fa1 kitchen.",
    )
    parser.add_argument("what", nargs="*", metavar="label N WORD | name BOARD NAME", help="change what the ledger says")
    parser.add_argument("--since", metavar="WHEN", help="today (if not said), yesterday, monday, 2026-11-22, '3 days ago', 2w")
    parser.add_argument("--until", metavar="WHEN", help="a day (with all of it) or a moment; now if not said")
    parser.add_argument("--board", action="append", default=[], metavar="NAME", help="only this board (may be repeated)")
    parser.add_argument("--event", action="append", default=[], choices=record.EVENTS, metavar="EVENT", help="only these")
    parser.add_argument("--reason", action="append", default=[], choices=record.REASONS, metavar="WHY", help="only these")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON document")
    shape.add_argument("--csv", action="store_true", help="the records as CSV")
    shape.add_argument("--html", metavar="FILE", help="a page for the browser, all in one file (of 12 months if not said)")
    shape.add_argument("--serve", action="store_true", help="the same page, live, for this computer's own browser")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help="where --serve listens (127.0.0.1 and any free port)")
    parser.add_argument("--no-browser", action="store_true", help="with --serve: only print the page's address")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the story, or change a label or a name."""
    location = locate(args.ledger)
    if args.what:
        return _change(args, location)
    if args.html or args.serve:
        return _page(args, location)
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.dates import parse_when
    from earlid.ledger.reader import open_reader
    from earlid.ledger.report import tell

    now = datetime.now()
    from_ms = parse_when(args.since or "today", now)
    to_ms = parse_when(args.until, now, end=True) if args.until else int(now.timestamp() * 1000) + 1
    if from_ms >= to_ms:
        raise UserError("--since lies after --until: nothing can be between.", USAGE)
    with open_reader(location) as reader:
        chosen = pick_boards(reader, args.board)
        story = tell(reader, chosen, from_ms, to_ms, events=args.event, reasons=args.reason)
    if args.json:
        json.dump(story.to_json(), sys.stdout)
        print()
        return 0
    if args.csv:
        from earlid.ledger.columns import write_csv

        write_csv(story.entries, sys.stdout)
        return 0
    from earlid.ledger import render

    if len(story.days) > _DETAIL_DAYS and not (args.event or args.reason):
        story = story._replace(entries=[])
    render.show_story(story, sys.stdout)
    return 0


def _page(args: argparse.Namespace, location: Location) -> int:
    from earlid.ledger.dates import parse_when

    if args.event or args.reason:
        raise UserError("the page chooses by itself: leave out --event and --reason.", USAGE)
    now = datetime.now()
    from_ms = parse_when(args.since or _PAGE_SPAN, now)
    to_ms = parse_when(args.until, now, end=True) if args.until else None
    if to_ms is not None and from_ms >= to_ms:
        raise UserError("--since lies after --until: nothing can be between.", USAGE)
    if args.serve:
        from earlid.ledger.store import now_ms
        from earlid.page.feed import Feed
        from earlid.page.serve import DEFAULT_LISTEN, serve

        feed = Feed(location, args.board, from_ms, to_ms, now_ms)
        serve(feed, args.listen or DEFAULT_LISTEN, browser=not args.no_browser, started=lambda url: print(url, flush=True))
        return 0
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import open_reader
    from earlid.page.report import make_report, write_report

    with open_reader(location) as reader:
        text = make_report(reader, pick_boards(reader, args.board), int(now.timestamp() * 1000), from_ms, to_ms)
    write_report(text, Path(args.html))
    print(f"{args.html}: {len(text) / 1e6:.1f} MB, open it in any browser", file=sys.stderr)
    return 0


def _change(args: argparse.Namespace, location: Location) -> int:
    from earlid.ledger.store import Ledger

    match args.what:
        case ["label", number, word]:
            boot, seq, board = _find(location, number, args.board)
            label = _word(word)
            with Ledger(location) as ledger:
                ledger.set_label(board, boot, seq, label)
            print(f"record {seq}: {word}", file=sys.stderr)
        case ["name", which, name]:
            from earlid.ledger.boards import pick_boards
            from earlid.ledger.reader import open_reader

            with open_reader(location) as reader:
                (board_row,) = pick_boards(reader, [which])
            with Ledger(location) as ledger:
                ledger.set_name(board_row.board, name or None)
            print(f"board {board_row.board} is called {name or 'nothing'}", file=sys.stderr)
        case _:
            raise UserError("say `earlid review label 1234 false` or `earlid review name 3fa1 kitchen`.", USAGE)
    return 0


def _word(word: str) -> bool | None:
    try:
        return {"true": True, "yes": True, "false": False, "no": False, "none": None}[word.lower()]
    except KeyError:
        raise UserError(f"a label is true, false or none, not {word!r}.", USAGE) from None


def _find(location: Location, number: str, boards: list[str]) -> tuple[int, int, str]:
    """(boot, seq, board) of an opening or near miss by its number."""
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.reader import open_reader

    if not number.isdigit():
        raise UserError(f"{number!r} is no record's number: see the first column of `earlid review`.", USAGE)
    with open_reader(location) as reader:
        found = []
        for board in pick_boards(reader, boards):
            rows = reader.rows(
                "SELECT boot, event FROM records WHERE board_id = :id AND seq = :seq "
                "AND boot IN (SELECT boot FROM boots WHERE board_id = :id AND first_seq <= :seq AND last_seq >= :seq) "
                "ORDER BY boot DESC LIMIT 1", id=board.id, seq=int(number),
            )  # fmt: skip
            found += [(boot, record.EVENTS[event], board) for boot, event in rows]
    if len(found) > 1:
        raise UserError(f"several boards have a record {number}: add --board NAME.", USAGE)
    if not found or found[0][1] not in ("open", "near-miss"):
        what = f"a {found[0][1]}" if found else "not in the ledger"
        raise UserError(f"record {number} is {what}: only openings and near misses can be labelled.", USAGE)
    return found[0][0], int(number), found[0][2].board
