# SPDX-License-Identifier: MIT
"""`earlid flash`: MicroPython and Earlid onto a board, or onto every board there is."""

from __future__ import annotations

import argparse
import json
import select
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

from earlid import firmware
from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.port import candidate_ports
from earlid.board.port_names import real_name
from earlid.board.port_proxy import borrowed
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, USAGE, UserError
from earlid.flash import image, inputs
from earlid.ledger.keys import key_path
from earlid.port_choice import pick_port, resolve

if TYPE_CHECKING:
    from earlid.flash.progress_bars import ProgressBars
    from earlid.flash.provision import FlashResult


def baud(text: str) -> int:
    """A speed that a serial line may have."""
    if not text.isdecimal() or not inputs.BAUD_MIN <= int(text) <= inputs.BAUD_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed from {inputs.BAUD_MIN} to {inputs.BAUD_MAX} baud")
    return int(text)


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "flash",
        description="Puts MicroPython (where there is none) and Earlid on a board. An update keeps the journal, the "
        "key and the configuration; the talk button must be held while a board that runs Earlid is reset.",
    )
    add_port_argument(parser)
    parser.add_argument("--all", action="store_true", help="every board there is, or those of -p A,B,C, side by side")
    parser.add_argument("--image", metavar="FILE", help="write this MicroPython image first (else only where none answers)")
    parser.add_argument("--micropython", action="store_true", help=f"write {image.PINNED.name} first, even over another")
    parser.add_argument("--erase", action="store_true", help="erase everything first: journal, key, configuration")
    parser.add_argument(
        "--word",
        metavar="WORD",
        help="a name of `earlid model list`, a .tflite with its .json, or an .elww file; none for no word. "
        f"Without: the board keeps its own, and gets {inputs.DEFAULT_WORD} if it has none",
    )
    parser.add_argument("--config", metavar="FILE", help="settings to start with, as JSON")
    parser.add_argument(
        "--recipe", choices=firmware.RECIPES,
        help="what the board guards (hardware/README.md). Without: the recipe that its firmware has, and digital if it has none",
    )  # fmt: skip
    parser.add_argument("--board", metavar="ID", help="refuse a board with another identifier")
    parser.add_argument(
        "--baud", type=baud, default=inputs.FAST_BAUD, metavar="RATE",
        help=f"of the line while an image is written (default {inputs.FAST_BAUD}); when that fails it goes on at 115200",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace another project's main.py, or another board's")
    parser.add_argument("--yes", action="store_true", help="do not ask before --erase, or before another program is overwritten")
    add_json_argument(parser, "one JSON object a board on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Flash one board or all; the exit code of the one, or 1 when any of several failed."""
    ports = _ports(args)
    from earlid.flash import progress_bars  # with a board only: they take as long to load as all the rest
    from earlid.flash.provision import FlashOptions, provision_all

    bars: ProgressBars | None = None

    def agree(port: str, text: str, stopped: Callable[[], bool]) -> None:
        if args.yes:
            return
        if len(ports) > 1 or args.json or not sys.stdin.isatty():
            raise UserError(f"{port}: {text} Nothing was written. If it may be overwritten, say --yes.", USAGE)
        with bars.paused() if bars else nullcontext():
            _ask_before_overwriting(port, text, stopped)

    options = FlashOptions(
        image=inputs.image_loader(args.image), write_image=bool(args.image or args.micropython), erase=args.erase,
        model=inputs.read_word(args.word),
        default_model=(lambda: None) if args.word == inputs.NO_WORD else lambda: inputs.word_blob(inputs.DEFAULT_WORD),
        config=inputs.config_bytes(args.config), expected=args.board, recipe=args.recipe, force=args.force, baud=args.baud,
        agree=agree,
    )  # fmt: skip
    _ask_before_erase(args, ports)
    with borrowed(ports):
        with progress_bars.show(ports, quiet=args.json) as bars:
            results = provision_all(ports, options, bars.reporter)
        code = _print(results, args)
        if len(results) == 1 and code == 0 and not args.json:
            _offer_pairing(results[0])
    return code


def _ports(args: argparse.Namespace) -> list[str]:
    if not args.all:
        return [pick_port(args.port)]
    if args.port:
        words = [word for word in args.port.split(",") if word]
        named = [resolve(word) for word in words] if len(words) == len(set(words)) else []
        if not named or len(named) != len(set(map(real_name, named))):
            raise UserError("-p with --all takes different ports, as -p /dev/ttyUSB0,/dev/ttyUSB1", USAGE)
        return named
    ports = [str(info.device) for info in candidate_ports()]
    if not ports:
        raise UserError("no board found. Plug them in with data cables, and see `earlid list`.", NO_BOARD)
    return ports


def _ask_before_erase(args: argparse.Namespace, ports: list[str]) -> None:
    if not args.erase or args.yes:
        return
    if not sys.stdin.isatty():
        raise UserError("--erase destroys the journal and the key: say --yes when nobody is there to be asked.", USAGE)
    print(f"This erases the journal, the key and the configuration of {', '.join(ports)}.", file=sys.stderr)
    print("Type 'erase' to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "erase":
        raise UserError("nothing was erased.", FAILED)


def _ask_before_overwriting(port: str, text: str, stopped: Callable[[], bool]) -> None:
    print(f"{port}: {text} It would be overwritten.\nType 'yes' to go on: ", end="", file=sys.stderr, flush=True)
    while sys.platform != "win32" and not select.select([sys.stdin], [], [], 0.2)[0]:  # Windows waits for no terminal so
        if stopped():
            return
    if sys.stdin.readline().strip().lower() != "yes":
        raise UserError("nothing was written.", FAILED)


def _offer_pairing(result: FlashResult) -> None:
    """Pair a board that this computer has no key of, when somebody is at the terminal and wants to."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or key_path(result.board).exists():
        return
    print("Pair it with this computer now? Enter begins, s skips: ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if not answer or answer.strip().lower() in ("s", "skip"):
        return
    from earlid.collect.pairing import pair, paired_text

    try:
        print(paired_text(*pair(result.port)), file=sys.stderr)
    except UserError as error:  # the board is done all the same
        print(f"earlid: {error}", file=sys.stderr)


def _print(results: list[FlashResult], args: argparse.Namespace) -> int:
    for result in results:
        if args.json:
            print(json.dumps(result.as_json()))
        elif result.code == 0:
            print(result.say)
        elif len(results) > 1:
            print(f"earlid: {result.port}: {result.say}", file=sys.stderr)
    codes = [result.code for result in results]
    if len(results) == 1:
        if codes[0] and not args.json:
            raise UserError(results[0].say, codes[0])
        return codes[0]
    if not args.json:
        print(f"{codes.count(0)} of {len(codes)} boards done.", file=sys.stderr)
    if INTERRUPTED in codes:
        return INTERRUPTED
    return FAILED if any(codes) else 0
