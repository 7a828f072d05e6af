# SPDX-License-Identifier: MIT
"""`earlid list`: every serial port that could be a board, and what stands there; resets nothing."""

from __future__ import annotations

import argparse
import json
import sys

from serial.tools import list_ports

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.consent import old_firmware_text
from earlid.board.detect import ProbeResult, describe_ports, is_uncalibrated, no_word_text, probe_all
from earlid.board.port import candidate_ports
from earlid.board.port_names import natural, real_name
from earlid.errors import NO_BOARD, UserError
from earlid.ledger.strangers import stranger_text
from earlid.port_choice import named_port

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
    parser = subparsers.add_parser("list", description=__doc__)
    add_port_argument(parser)
    parser.add_argument("--every", action="store_true", help="also ports that do not look like a board's")
    add_json_argument(parser, "one JSON document on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Look at the ports side by side and print them; 3 when there is none, or none that opens."""
    named = named_port(args.port)
    every = sorted(list_ports.comports(), key=lambda port: natural(str(port.device))) if args.every else candidate_ports()
    entries = describe_ports(every, named if args.port else None)
    if named and real_name(named) not in (real_name(entry["port"]) for entry in entries):
        entries += describe_ports((), named)
    results = probe_all(entries)
    if args.json:
        print(json.dumps([result.as_json() | {"stranger": _stranger(result) or None} for result in results]))
    elif results:
        print("\n".join(table(results)))
    if not results:
        raise UserError("no board found. Plug one in with a data cable; `earlid doctor` helps when it is.", NO_BOARD)
    for result in results:
        hello = result.hello or {}
        hint = result.error or NEXT.get(result.state, "").format(port=result.port)
        if not hint and "proto" in hello:
            hint = old_firmware_text(hello.get("fw", ""), hello["proto"])
        if not hint and is_uncalibrated(hello):
            hint = f"{result.port} has the settings that it came with: `earlid calibrate -p {result.port}` fits them to its room."
        if hint and not args.json:
            print(f"earlid: {hint}", file=sys.stderr)
    return NO_BOARD if all(result.state == "gone" for result in results) else 0


def _stranger(result: ProbeResult) -> str:
    return stranger_text(result.hello) if result.hello else ""


def state_text(result: ProbeResult) -> str:
    """The state in words, as `Earlid 0.1.0, closed` or `busy: screen (4711)`."""
    hello = result.hello or {}
    lid = f"Earlid {hello.get('fw', '?')}, {hello.get('state', '?')}" if hello else ""
    if why := no_word_text(hello):
        lid += f", no word: {why}"
    if is_uncalibrated(hello):
        lid += ", not calibrated"
    if strange := _stranger(result):
        lid += f", {strange}"
    if result.state == "earlid":
        return lid
    text = STATES[result.state]
    if result.holder:
        text += f": {result.holder}"
    return f"{text} ({lid})" if lid else text


def table(results: list[ProbeResult]) -> list[str]:
    """Lines of a table: port, state, board, USB, description."""
    rows = [("PORT", "STATE", "BOARD", "USB", "DESCRIPTION")]
    rows += [(one.port, state_text(one), one.board or "-", one.vid_pid or "-", one.description or "-") for one in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
