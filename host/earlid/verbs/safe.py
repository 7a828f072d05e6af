# SPDX-License-Identifier: MIT
"""`earlid safe`: close every lid that can be reached, now."""

from __future__ import annotations

import argparse
import json
import sys

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.safe import close_all
from earlid.errors import FAILED, NO_BOARD, UserError
from earlid.port_choice import ports_to_close


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "safe",
        description="Closes every lid that can be reached, also while another program holds its port; ends within 10 s. "
        "Exit code 0: every lid is confirmed closed; 1: at least one is not; 3: there is no board. No verb opens one.",
    )
    add_port_argument(parser)
    add_json_argument(parser, "one JSON object a port on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Close them side by side; 0 only when every one is confirmed."""
    ports = ports_to_close(args.port)
    if not ports:
        raise UserError(
            "no board found, so no lid was closed. If one is there without its cable, switch its mute switch.", NO_BOARD
        )
    results = close_all(ports)
    for result in results:
        if args.json:
            print(json.dumps(result.as_json()))
        elif result.closed:
            print(result.say)
        else:
            print(f"earlid: {result.say}", file=sys.stderr)
    if all(result.closed for result in results):
        return 0
    return NO_BOARD if len(results) == 1 and results[0].state == "unknown" else FAILED
