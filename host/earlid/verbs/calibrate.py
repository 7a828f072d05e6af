# SPDX-License-Identifier: MIT
"""`earlid calibrate`: fits the gate to its room and its owner, and shows what each choice costs."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from earlid.arguments import Subparsers, add_json_argument, add_port_argument

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}


def duration_s(text: str) -> float:
    """Seconds of `90`, `90s`, `10m` or `8h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|)", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: 90, 90s, 10m and 8h are")
    return float(match[1]) * _UNITS[match[2]]


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    from earlid.calibrate.choices import LEVELS, STEPS

    parser = subparsers.add_parser(
        "calibrate",
        description="A guided session: quiet room, your voice, your word, ordinary sound; then three levels with what each "
        "misses and lets through. The board sends levels and scores, never sound. Interrupted, it goes on where it was.",
        epilog="A script is an object with some of: level, write (true/false), skip (list of steps), room_s, voice_s, words, "
        "word_s, noise_s.",
    )
    add_port_argument(parser)
    parser.add_argument("--level", choices=LEVELS, help="write this one (else it is asked for)")
    parser.add_argument("--no-write", action="store_true", help="measure and show, change nothing")
    parser.add_argument("--skip", default="", metavar="STEPS", help=f"of {','.join(STEPS)}")
    parser.add_argument("--room", type=duration_s, metavar="TIME", help="of the quiet room (default 10s)")
    parser.add_argument("--voice", type=duration_s, metavar="TIME", help="of talking (default 10s)")
    parser.add_argument("--words", type=int, metavar="N", help="times to say the word (default 10)")
    parser.add_argument("--noise", type=duration_s, metavar="TIME", help="of ordinary sound: 60s (default), 10m, 8h")
    parser.add_argument("--model", metavar="NAME", help="the board's network, when it is none of the published ones")
    parser.add_argument("--script", type=Path, metavar="FILE", help="JSON with the answers: no questions are asked")
    parser.add_argument("--restart", action="store_true", help="forget an unfinished session")
    parser.add_argument("--report", type=Path, metavar="FILE", help="also write an HTML page")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also write the plot, as .png or .svg")
    add_json_argument(parser, "one object a line on stdout for each thing that happens; no questions")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Calibrate one board, or go on with it."""
    from earlid.calibrate.calibration import Calibration, read_options
    from earlid.port_choice import pick_port

    given: dict[str, Any] = {
        "room_s": args.room, "voice_s": args.voice, "words": args.words, "noise_s": args.noise, "level": args.level,
        "skip": [step.strip() for step in args.skip.split(",")] if args.skip else None,
        "write": False if args.no_write else None,
    }  # fmt: skip
    options = read_options(
        args.script,
        {name: value for name, value in given.items() if value is not None},
        model=args.model, restart=args.restart, report=args.report, plot=args.plot, as_json=args.json,
        interactive=not (args.script or args.json) and sys.stdin.isatty(),
    )  # fmt: skip
    return Calibration(pick_port(args.port), options).run()
