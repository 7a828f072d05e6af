# SPDX-License-Identifier: MIT
"""`earlid list`: every serial port that could be a board, and what stands there; resets nothing."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from serial.tools import list_ports

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.detect import Sighting, describe, probe
from earlid.board.port import candidate_ports, named_port
from earlid.errors import NO_BOARD, UserError

AT_ONCE = 16
STATES = {
    "micropython": "MicroPython",
    "bootloader": "boot loader",
    "busy": "busy",
    "no-permission": "no permission",
    "gone": "cannot be opened",
    "silent": "no answer",
}
NEXT = {
    "micropython": "{port} carries no Earlid, or is in maintenance mode: `earlid flash -p {port}` puts it on.",
    "bootloader": "{port} waits to be written: `earlid flash -p {port}`.",
    "silent": "{port} does not answer: `earlid doctor -p {port}` says more.",
}


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser("list", help="which boards there are", description=__doc__)
    add_port_argument(parser)
    parser.add_argument("--every", action="store_true", help="also ports that do not look like a board's")
    add_json_argument(parser, "one JSON document on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at the ports side by side and print them; 3 when there is none, or none that opens."""
    found = [describe(info) for info in (list_ports.comports() if args.every else candidate_ports())]
    named = named_port(args.port)
    if args.port:
        found = [entry for entry in found if entry["port"] == args.port]
    if named and not any(entry["port"] == named for entry in found):
        found.append({"port": named, "description": "", "vid_pid": ""})
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(_look, found))
    if args.json:
        print(json.dumps([sighting.as_json() for sighting in seen]))
    elif seen:
        print("\n".join(table(seen)))
    if not seen:
        raise UserError("no board found. Plug one in with a data cable; `earlid doctor` helps when it is.", NO_BOARD)
    for sighting in seen:
        hint = sighting.why or NEXT.get(sighting.state, "").format(port=sighting.port)
        if hint and not args.json:
            print(f"earlid: {hint}", file=sys.stderr)
    return NO_BOARD if all(sighting.state == "gone" for sighting in seen) else 0


def _look(entry: dict[str, str]) -> Sighting:
    # A device that is no known USB serial chip is not asked for a boot loader: it may be anything.
    sighting = probe(entry["port"], ask_boot_loader=bool(entry["vid_pid"]))
    return replace(sighting, description=entry["description"], vid_pid=entry["vid_pid"])


def state_text(sighting: Sighting) -> str:
    """The state in words, as `Earlid 0.1.0, closed` or `busy: screen (4711)`."""
    hello = sighting.hello or {}
    lid = f"Earlid {hello.get('fw', '?')}, {hello.get('state', '?')}" if hello else ""
    if sighting.state == "earlid":
        return lid
    text = STATES[sighting.state]
    if sighting.holder:
        text += f": {sighting.holder}"
    return f"{text} ({lid})" if lid else text


def table(seen: list[Sighting]) -> list[str]:
    """Lines of a table: port, state, board, USB, description."""
    rows = [("PORT", "STATE", "BOARD", "USB", "DESCRIPTION")]
    rows += [(one.port, state_text(one), one.board or "-", one.vid_pid or "-", one.description or "-") for one in seen]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
