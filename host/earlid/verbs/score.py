# SPDX-License-Identifier: MIT
"""`earlid score`: what the board's gate would say to a recording."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from earlid.arguments import Subparsers, add_json_argument, add_model_argument
from earlid.scores import score_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from earlid.gate.models import Model
    from earlid.gate.score import Column, Inference

STILL_RISING_MS = 100  # the highest score so near the end is none


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "score",
        description="Runs the firmware's own gate, on MicroPython, over a sound file of any rate and channels.",
    )
    parser.add_argument("file", metavar="FILE", help="WAV, FLAC or another sound file")
    add_model_argument(parser)
    add_json_argument(parser, "one object a line on stdout for each inference")
    parser.add_argument("--features", action="store_true", help="with --json: also one object for each hop's features")
    parser.add_argument(
        "--decision", type=int, choices=(0, 1),
        help="1: the word's look, if it has one; 0: microWakeWord's own mean (default: as on a new board)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score one file."""
    from lid import config

    from earlid.door import plain
    from earlid.errors import USAGE, UserError

    if args.features and not args.json:
        raise UserError("--features needs --json", USAGE)
    from earlid.gate import audio, models, score

    model = models.load(args.model)
    pcm = audio.read_audio(args.file)
    decision = config.SCHEMA["decision"][0] if args.decision is None else args.decision
    results = score.run(pcm, model, args.features, decision=decision)
    if args.json:
        write = sys.stdout.write
        for result in results:
            write(json.dumps(result.entry(), separators=(",", ":")) + "\n")
        sys.stdout.flush()
        return 0
    window, cutoff_sum = model.decided(decision)
    _print(plain(args.file), model, cutoff_sum // window, len(pcm) / audio.RATE_HZ, results)
    return 0


def _print(name: str, model: Model, cutoff_q8: int, seconds: float, results: Iterator[Inference | Column]) -> None:
    from rich.console import Console

    from earlid.gate.score import Inference

    console = Console(highlight=False)
    inferences = [result for result in results if isinstance(result, Inference)]
    hits = [
        result
        for before, result in zip([None, *inferences][:-1], inferences, strict=True)
        if result.hit and not (before and before.hit)
    ]
    best = max((result for result in inferences if result.total), key=lambda result: result.mean_q8, default=None)
    console.print(f"{name}: {seconds:.1f} s, {len(inferences)} inferences of {model.manifest.wake_word!r}", markup=False)
    for hit in hits:
        console.print(f"  {hit.t_ms / 1000:8.2f} s  heard  (score {score_text(hit.mean_q8, cutoff_q8)})", markup=False)
    if not hits:
        highest = score_text(best.mean_q8 if best else 0, cutoff_q8)
        when = f" at {best.t_ms / 1000:.2f} s" if best else ""
        console.print(f"  not heard: the highest score was {highest}{when}", markup=False)
        if any(result.cold and result.prob > model.cutoff_q8 for result in inferences):
            console.print(
                "  There is something in the first second, in which nothing counts: the network has no past yet. "
                "Put a second of the room's sound in front of the word.",
                markup=False,
            )
        if best and best.t_ms >= 1000 * seconds - STILL_RISING_MS:
            console.print(
                "  The score was still rising when the recording ended, and a board hears on: "
                "put a second of silence behind the word.",
                markup=False,
            )
