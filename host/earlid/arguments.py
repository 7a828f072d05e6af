# SPDX-License-Identifier: MIT
"""Command-line arguments that several verbs share."""

from __future__ import annotations

import argparse
from typing import TypeAlias

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_port_argument(parser: argparse.ArgumentParser) -> None:
    """Add `-p/--port`, which `port_choice` understands."""
    parser.add_argument(
        "-p", "--port", metavar="PORT",
        help="the board: a serial port, socket:// or rfc2217://HOST:PORT, its name or how its identifier begins (else "
        "EARLID_PORT, ESPTOOL_PORT, the configuration's, the only board)",
    )  # fmt: skip


def add_ledger_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--ledger`, which `ledger.location.locate` understands."""
    parser.add_argument(
        "--ledger", metavar="FILE|URL", help="the ledger (else EARLID_LEDGER, else the file in the platform's data folder)"
    )


def add_board_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--board`, a list that `ledger.boards.pick_boards` understands."""
    parser.add_argument("--board", action="append", default=[], metavar="NAME", help="only this board (may be repeated)")


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--model`, which `gate.models.load` understands."""
    parser.add_argument("--model", default="alexa", metavar="NAME", help="network: a name of `earlid model list`, or a file")


def add_json_argument(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup, shape: str) -> None:
    """Add `--json`; `shape` says what then stands on stdout, and nothing else does."""
    parser.add_argument("--json", action="store_true", help=shape)


def add_service_arguments(parser: argparse.ArgumentParser, *, udev: bool = False) -> None:
    """Add `--service`, `--install` and `--uninstall`; `udev`: also the rule for ports."""
    kinds = ("auto", "systemd", "systemd-system", "launchd", *(("udev",) if udev else ()))
    rule = "; udev: the rule by which whoever sits here may open boards' ports" if udev else ""
    parser.add_argument(
        "--service", nargs="?", const="auto", choices=kinds, metavar="KIND",
        help="print the file that makes this a service, and end: of systemd (the user's), systemd-system or launchd" + rule,
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--install", action="store_true", help="with --service: put it in place, and begin it")
    what.add_argument("--uninstall", action="store_true", help="with --service: end it, and remove it")


def service_todo(args: argparse.Namespace) -> str:
    """What is asked for: `print`, `install` or `uninstall`; empty for no service."""
    return "install" if args.install else "uninstall" if args.uninstall else "print" if args.service else ""
