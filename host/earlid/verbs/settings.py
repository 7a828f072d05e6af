# SPDX-License-Identifier: MIT
"""`earlid settings`: a board's settings: show them, change some, bring the earlier ones back."""

from __future__ import annotations

import argparse
import json
import sys

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.consent import GESTURE
from earlid.errors import USAGE, UserError


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "settings",
        description="Without NAME=VALUE, shows the settings. A change that only tightens is done at once on a paired board; any "
        f"other needs your consent at the board: {GESTURE}.",
    )
    add_port_argument(parser)
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="settings to change")
    parser.add_argument("--rollback", action="store_true", help="bring back the settings before the last change")
    add_json_argument(parser, "the settings in force and their digest as one object on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show, change or roll back the settings of one board."""
    from earlid.port_choice import pick_port

    changes = _parse(args.settings)
    if changes and args.rollback:
        raise UserError("say either NAME=VALUE or --rollback", USAGE)
    port = pick_port(args.port)
    from earlid.board import configuration
    from earlid.board.consent import require_version_2
    from earlid.board.link import Link
    from earlid.board.port_proxy import borrowed
    from earlid.ledger.keys import key_at

    with borrowed([port]), Link(port, key_at) as link:
        hello = link.request("hello")["hi"]
        again = " ".join(["earlid settings", *args.settings, *(["--rollback"] if args.rollback else [])])
        if changes or args.rollback:
            require_version_2(hello["fw"], hello["proto"])
        if changes:
            configuration.write_config(link, changes, again)
        elif args.rollback:
            configuration.roll_back(link, again)
        reply = link.request("config-get")
    if args.json:
        print(json.dumps({"board": hello["board"], "config": reply["config"], "digest": reply["digest"]}))
    else:
        for name, value in reply["config"].items():
            print(f"{name}={value}")
        print(f"configuration {reply['digest']}", file=sys.stderr)
    return 0


def _parse(words: list[str]) -> dict[str, int]:
    changes: dict[str, int] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            changes[name] = int(value)
        except ValueError:
            raise UserError(f"{word!r} is no NAME=VALUE with a whole number", USAGE) from None
    return changes
