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
