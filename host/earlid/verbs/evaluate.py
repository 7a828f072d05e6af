# SPDX-License-Identifier: MIT
"""`earlid evaluate`: misses against false openings per hour, from recordings, with the firmware's own gate."""

from __future__ import annotations

import argparse
from pathlib import Path

from earlid.arguments import Subparsers, add_json_argument, add_model_argument


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "evaluate",
        description="Runs the firmware's gate over two folders of recordings: words to be heard, and anything else. "
        "Interrupted, it goes on where it was when it is started again.",
    )
    parser.add_argument("positives", type=Path, metavar="POSITIVES_DIR", help="one word a file: WAV or FLAC of any rate")
    parser.add_argument("negatives", type=Path, metavar="NEGATIVES_DIR", help="anything without the word")
    add_model_argument(parser)
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as `earlid calibrate` keeps them (JSON)")
    parser.add_argument("--snr", type=float, default=10.0, metavar="DB", help="also in noise, so far below (default 10)")
    parser.add_argument("--no-snr", action="store_true", help="only as recorded")
    parser.add_argument("--noise", type=Path, metavar="DIR", help="noise to mix in (else pink noise)")
    parser.add_argument("--out", type=Path, default=Path("earlid-evaluation"), metavar="DIR", help="results, plot, state")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a processor)")
    parser.add_argument("--scheduler", metavar="tcp://HOST:PORT", help="run on this Dask cluster instead")
    parser.add_argument("--yardstick", type=float, nargs="?", const=10.0, metavar="MINUTES",
                        help="also run pymicro-wakeword over so much of the same audio, and compare")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    add_json_argument(parser, "the result as one document on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, or go on with it."""
    from earlid.evaluate.evaluation import Evaluation, EvaluationOptions

    options = EvaluationOptions(
        positives=args.positives, negatives=args.negatives, model=args.model, config=args.config,
        snr_db=None if args.no_snr else args.snr, noise=args.noise, out=args.out,
        workers=args.workers, scheduler=args.scheduler, yardstick_min=args.yardstick, seed=args.seed,
    )  # fmt: skip
    return Evaluation(options).run(as_json=args.json)
