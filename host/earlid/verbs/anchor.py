# SPDX-License-Identifier: MIT
"""`earlid anchor`: give the heads of the boards' chains away, so that a ledger made anew later shows."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from earlid import config_file
from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.config_keys import ANCHOR_TSA, ANCHOR_WITNESS
from earlid.errors import FAILED, LEDGER_BROKEN, USAGE, UserError
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from earlid.ledger.heads import BoardHead
    from earlid.witness.outcome import Outcome

LISTEN = "127.0.0.1:8750"


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "anchor",
        description="Prints the short code of each board's newest record, to write down; with a witness, asks it to vouch for "
        "these records. What comes back is kept in the ledger, and `earlid verify` holds the ledger to it. Exit code 1: a "
        "witness did not answer as it should; 4: one saw other records than this ledger has.",
    )
    parser.add_argument("--tsa", metavar="URL", help="a time stamp authority (RFC 3161): it gets a hash, and nothing else")
    parser.add_argument(
        "--tsa-ca", metavar="FILE", help="the root certificates in PEM that it must stand below (else the system's)"
    )
    parser.add_argument(
        "--witness", action="append", metavar="URL",
        help="another Earlid host that serves as a witness; it sees the records behind the one that it saw last; may be repeated",
    )  # fmt: skip
    parser.add_argument("--new-key", action="store_true", help="take a witness whose key is another than before")
    parser.add_argument("--noted", action="store_true", help="remember that the codes printed were written down today")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask before a new witness is told of records")
    parser.add_argument("--serve", action="store_true", help="be a witness for other hosts, until Ctrl-C; needs no ledger")
    parser.add_argument("--listen", metavar="ADDRESS:PORT", help=f"where --serve listens (else {LISTEN})")
    add_board_argument(parser)
    add_json_argument(parser, "one JSON document")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the codes, ask the witnesses, say what became of it."""
    if args.serve:
        return _serve(args)
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.heads import newest_heads
    from earlid.ledger.reader import Reader

    tsa, roots = _authority(args)
    witnesses = _witnesses(args)
    with Reader(locate(args.ledger)) as reader:
        heads = newest_heads(reader, pick_boards(reader, args.board))
    if not heads:
        raise UserError("there is no record to anchor: collect some with `earlid watch`.", FAILED)
    outcomes = _ask(args, heads, tsa, roots, witnesses) if tsa or witnesses or args.noted else []
    if args.json:
        _print_json(heads, outcomes)
    else:
        _print(heads, outcomes)
    if any(outcome.contradicts for outcome in outcomes):
        return LEDGER_BROKEN
    return 0 if all(outcome.kept for outcome in outcomes) else FAILED


def _authority(args: argparse.Namespace) -> tuple[str | None, list[Certificate]]:
    """The address of the time stamp authority, None for none, and the roots that it must stand below."""
    from earlid.witness.post import check_url
    from earlid.witness.roots import read_roots

    tsa = config_file.get(ANCHOR_TSA, args.tsa)
    return tsa, read_roots(args.tsa_ca) if tsa and check_url(tsa) else []


def _witnesses(args: argparse.Namespace) -> list[str]:
    """The addresses of the witnesses; a new one only once a person knows what it will see."""
    named: tuple[str, ...] | None = tuple(args.witness) if args.witness else None
    found = config_file.get(ANCHOR_WITNESS, named)
    urls = list(found or ())
    if not urls:
        return []
    from earlid.ledger.heads import witness_bodies
    from earlid.ledger.reader import Reader
    from earlid.witness.host_witness import known
    from earlid.witness.post import check_url, place_of

    with Reader(locate(args.ledger)) as reader:
        bodies = witness_bodies(reader)
    for url in urls:
        if known(bodies, check_url(url)).key is None:
            _confirm(args, place_of(url))
    return urls


def _confirm(args: argparse.Namespace, place: str) -> None:
    print(
        f"{place} is new here. It will keep each board's identifier and its newest record's number and link, and from the next "
        "time on see every record in between: when a lid was open and why, never a sound. Its key is remembered.",
        file=sys.stderr,
    )
    if args.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise UserError("nothing sent: add --yes to send it without being asked.", USAGE)
    print("Ask it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("nothing sent.")


def _ask(
    args: argparse.Namespace, heads: list[BoardHead], tsa: str | None, roots: list[Certificate], witnesses: list[str]
) -> list[Outcome]:
    from earlid.ledger.store import Ledger
    from earlid.witness import anchoring, host_witness

    outcomes: list[Outcome] = []
    with Ledger(locate(args.ledger)) as ledger:
        if args.noted:
            outcomes += anchoring.note_codes(ledger, heads)
        if tsa:
            outcomes += anchoring.stamp_heads(ledger, heads, tsa, roots)
        for url in witnesses:
            outcomes += host_witness.ask(ledger, heads, url, new_key=args.new_key)
    return outcomes


def _serve(args: argparse.Namespace) -> int:
    import ipaddress

    from earlid.ledger.installation import installation
    from earlid.page.serve import bind, parse_listen
    from earlid.witness.server import serve

    host, port = parse_listen(args.listen or LISTEN)
    key = installation()
    assert key is not None
    with bind(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        print(f"witness {key.name} at http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C ends it)", flush=True)
        if not ipaddress.ip_address(host).is_loopback:
            text = "whoever reaches this address can ask, and on the way records are read: use it at home, or put TLS before it."
            print(f"earlid: {text}", file=sys.stderr)
        serve(key, listening)
    return 0


def _print(heads: list[BoardHead], outcomes: list[Outcome]) -> None:
    from earlid.ledger.anchor_code import make_code

    for head in heads:
        print(f"{head.board.title}: {make_code(head.seq, head.link)}  (record {head.seq})")
    if len(heads) == 1 and sys.stdout.isatty():
        from earlid.ledger.anchor_qr import qr_lines

        head = heads[0]
        print(*(f"{line}\n" for line in qr_lines(make_code(head.seq, head.link), sys.stdout)), sep="", end="")
    for outcome in outcomes:
        text = f"{outcome.board}: {outcome.say}" if outcome.board else outcome.say
        print(text if outcome.kept else f"earlid: {text}", file=sys.stdout if outcome.kept else sys.stderr)
    if not outcomes:
        print("Write them down or photograph them; `earlid verify --anchor CODE` compares one.", file=sys.stderr)


def _print_json(heads: list[BoardHead], outcomes: list[Outcome]) -> None:
    from earlid.ledger.anchor_code import make_code

    found = {
        "heads": [
            {"board": head.board.identifier, "boot": head.boot, "seq": head.seq, "link": head.link.hex(),
             "anchor": make_code(head.seq, head.link)}
            for head in heads
        ],
        "outcomes": [outcome.as_json() for outcome in outcomes],
    }  # fmt: skip
    json.dump(found, sys.stdout)
    print()
