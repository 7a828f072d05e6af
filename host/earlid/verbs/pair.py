# SPDX-License-Identifier: MIT
"""`earlid pair`: the board gives this computer its key, when somebody at the board consents."""

from __future__ import annotations

import argparse
import sys

from earlid.arguments import Subparsers, add_port_argument
from earlid.board.consent import GESTURE


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "pair",
        description=f"Asks a board for its key. It gives it out when you consent at the board: {GESTURE}. "
        "Nothing on this computer can do that for you.",
    )
    add_port_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pair one board."""
    from earlid.port_choice import pick_port

    port = pick_port(args.port)
    from earlid.board.port_proxy import borrowed
    from earlid.collect.pairing import pair, paired_text

    with borrowed([port]):
        print(paired_text(*pair(port)), file=sys.stderr)
    return 0
