# SPDX-License-Identifier: MIT
"""`earlid flash`: MicroPython and Earlid onto a board, or onto every board there is."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from lid import config as settings

from earlid.arguments import Subparsers, add_json_argument, add_port_argument
from earlid.board.port import candidate_ports, pick_port
from earlid.errors import FAILED, INTERRUPTED, NO_BOARD, USAGE, UserError
from earlid.files import read_json
from earlid.flash import image, progress_bars
from earlid.flash.provision import Order, Outcome, Provision

DEFAULT_WORD = "okay_nabu"
NO_WORD = "none"
BLOB_SUFFIX = ".elww"
BLOB_MAGIC = b"ELWW"


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "flash",
        help="put MicroPython and Earlid on a board",
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
        f"Without: the board keeps its own, and gets {DEFAULT_WORD} if it has none",
    )
    parser.add_argument("--config", metavar="FILE", help="settings to start with, as JSON")
    parser.add_argument("--board", metavar="ID", help="refuse a board with another identifier")
    parser.add_argument("--force", action="store_true", help="replace another project's main.py, or another board's")
    parser.add_argument("--yes", action="store_true", help="do not ask before --erase")
    add_json_argument(parser, "one JSON object a board on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Flash one board or all; the exit code of the one, or 1 when any of several failed."""
    ports = _ports(args)
    order = _order(args)
    _ask_before_erase(args, ports)
    stop = threading.Event()
    with progress_bars.show(ports, quiet=args.json) as bars, ThreadPoolExecutor(len(ports)) as pool:
        runs = [Provision(port, order, bars.reporter(port), stop) for port in ports]
        futures = [pool.submit(one.run) for one in runs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            stop.set()
            wait(futures)
        outcomes = [future.result() for future in futures]
    return _tell(outcomes, args)


def _ports(args: argparse.Namespace) -> list[str]:
    if not args.all:
        return [pick_port(args.port)]
    if args.port:
        named = [port for port in args.port.split(",") if port]
        if not named or len(named) != len(set(named)):
            raise UserError("-p with --all takes different ports, as -p /dev/ttyUSB0,/dev/ttyUSB1", USAGE)
        return named
    found = [str(info.device) for info in candidate_ports()]
    if not found:
        raise UserError("no board found. Plug them in with data cables, and see `earlid list`.", NO_BOARD)
    return found


def _order(args: argparse.Namespace) -> Order:
    chosen = image.load(args.image) if args.image else None
    kept: list[image.Image] = []
    lock = threading.Lock()

    def get(report: Callable[[int, int], None]) -> image.Image:
        if chosen:
            return chosen
        with lock:  # several boards, one download
            if not kept:
                kept.append(image.load(None, report))
            return kept[0]

    return Order(
        image=get, write_image=bool(chosen or args.micropython), erase=args.erase, model=_model(args.word),
        default_model=(lambda: None) if args.word == NO_WORD else lambda: _word(DEFAULT_WORD),
        config=_config(args.config), expected=args.board, force=args.force,
    )  # fmt: skip


def _word(name: str) -> bytes:
    from earlid.gate import models  # reads a whole network, which an update does not need

    return models.load(name).blob


def _model(name: str | None) -> bytes | None:
    if name is None or name == NO_WORD:
        return None
    if not name.endswith(BLOB_SUFFIX):
        return _word(name)
    try:
        blob = Path(name).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror}.", USAGE) from error
    if not blob.startswith(BLOB_MAGIC):
        raise UserError(f"{name} is no compiled word: make one of a .tflite file with `earlid model import`.", USAGE)
    return blob


def _config(path: str | None) -> dict[str, int] | None:
    if path is None:
        return None
    values = read_json(Path(path))
    try:
        settings.check(values)
    except ValueError as error:
        raise UserError(f"{path}: {error}.", USAGE) from error
    return dict(values)


def _ask_before_erase(args: argparse.Namespace, ports: list[str]) -> None:
    if not args.erase or args.yes:
        return
    if not sys.stdin.isatty():
        raise UserError("--erase destroys the journal and the key: say --yes when nobody is there to be asked.", USAGE)
    print(f"This erases the journal, the key and the configuration of {', '.join(ports)}.", file=sys.stderr)
    print("Type 'erase' to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "erase":
        raise UserError("nothing was erased.", FAILED)


def _tell(outcomes: list[Outcome], args: argparse.Namespace) -> int:
    for outcome in outcomes:
        if args.json:
            print(json.dumps(outcome.as_json()))
        elif outcome.code == 0:
            print(outcome.say)
        elif len(outcomes) > 1:
            print(f"earlid: {outcome.port}: {outcome.say}", file=sys.stderr)
    codes = [outcome.code for outcome in outcomes]
    if len(outcomes) == 1:
        if codes[0] and not args.json:
            raise UserError(outcomes[0].say, codes[0])
        return codes[0]
    if not args.json:
        print(f"{codes.count(0)} of {len(codes)} boards done.", file=sys.stderr)
    if INTERRUPTED in codes:
        return INTERRUPTED
    return FAILED if any(codes) else 0
