# SPDX-License-Identifier: MIT
"""`earlid anchor`: give the heads of the boards' chains away, so that a ledger made anew later shows."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from earlid import config_file
from earlid.arguments import Subparsers, add_board_argument, add_json_argument, add_ledger_argument
from earlid.config_keys import ANCHOR_TSA
from earlid.errors import FAILED, LEDGER_BROKEN, UserError
from earlid.ledger.location import locate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from earlid.ledger.heads import BoardHead
    from earlid.witness.anchoring import Outcome


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
    parser.add_argument("--noted", action="store_true", help="remember that the codes printed were written down today")
    add_board_argument(parser)
    add_json_argument(parser, "one JSON document")
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the codes, ask the witnesses, say what became of it."""
    from earlid.ledger.boards import pick_boards
    from earlid.ledger.heads import newest_heads
    from earlid.ledger.reader import Reader
    from earlid.ledger.store import Ledger
    from earlid.witness import anchoring

    tsa, roots = _authority(args)
    with Reader(locate(args.ledger)) as reader:
        heads = newest_heads(reader, pick_boards(reader, args.board))
    if not heads:
        raise UserError("there is no record to anchor: collect some with `earlid watch`.", FAILED)
    outcomes: list[Outcome] = []
    if tsa or args.noted:
        with Ledger(locate(args.ledger)) as ledger:
            if args.noted:
                outcomes += anchoring.note_codes(ledger, heads)
            if tsa:
                outcomes += anchoring.stamp_heads(ledger, heads, tsa, roots)
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


def _print(heads: list[BoardHead], outcomes: list[Outcome]) -> None:
    from earlid.ledger.anchor_code import make_code

    for head in heads:
        print(f"{head.board.title}: {make_code(head.seq, head.link)}  (record {head.seq})")
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
        "outcomes": [outcome._asdict() for outcome in outcomes],
    }  # fmt: skip
    json.dump(found, sys.stdout)
    print()
