# SPDX-License-Identifier: MIT
"""`earlid config`: this computer's configuration: what is in force, where its file is, and whether it is right."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from earlid import config_file
from earlid.arguments import Subparsers, add_json_argument
from earlid.config_keys import KEYS
from earlid.errors import USAGE, UserError


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "config",
        description="An option goes before the environment, the environment before the file. host/CONFIGURATION.md lists every "
        "key. The settings of a board are not here: `earlid settings`.",
    )
    parser.add_argument(
        "what", choices=("show", "path", "check"), help="show: every key in force; path: the file; check: 2 where it is wrong"
    )
    add_json_argument(parser, "with show: one object of key to value and source on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show, name or check it."""
    path = config_file.config_path()
    if args.json and args.what != "show":
        raise UserError("--json goes with show", USAGE)
    if args.what == "path":
        if path is None:
            raise UserError("no home folder is known here (HOME): name a file in EARLID_CONFIG.", USAGE)
        print(path)
        return 0
    return _check(path) if args.what == "check" else _show(args.json)


def _check(path: Path | None) -> int:
    values, problems = config_file.read()
    problems = [f"{path}: {problem}" for problem in problems] + config_file.unknown_variables()
    if not problems:
        for key in KEYS:  # of the environment
            config_file.find(key)
        print(f"{path}: {len(values)} keys" if path and path.exists() else f"there is no {path}: everything is as it comes")
        return 0
    for problem in problems[:-1]:
        print(f"earlid: {problem}", file=sys.stderr)
    raise UserError(problems[-1], USAGE)


def _show(as_json: bool) -> int:
    found = {key.name: config_file.find(key) for key in KEYS}
    if as_json:
        print(json.dumps({name: {"value": _shown(one.value), "source": one.source} for name, one in found.items() if one}))
        return 0
    for name, one in found.items():
        print(f"{name} = {json.dumps(_shown(one.value))}  # {one.source}" if one else f"# {name}: as it comes")
    return 0


def _shown(value: Any) -> Any:
    """A value as JSON and TOML can have it, without the password of a URL."""
    if isinstance(value, tuple):
        return [_shown(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    return re.sub(r"(://[^/@:]*):.*@", r"\1:***@", value) if isinstance(value, str) else value
