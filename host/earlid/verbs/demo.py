# SPDX-License-Identifier: MIT
"""`earlid demo`: a simulated circuit with real firmware, and what it does when people talk."""

from __future__ import annotations

import argparse
from pathlib import Path

from earlid import firmware
from earlid.arguments import Subparsers
from earlid.errors import FAILED, USAGE, UserError

MODEL = "alexa"
EXAMPLE = Path(__file__).parents[1] / "demo" / "network" / "alexa.json"  # made by `earlid model train alexa`
SPEED = 2.0


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "demo",
        description="A virtual board: the firmware as it is flashed, on real MicroPython, in a computed circuit, behind a "
        "real serial port. Tells a story in half a minute; or listens to a recording, or to this PC's microphone.",
    )
    parser.add_argument("--model", default=MODEL, metavar="M", help="the word: a name of `earlid model list`, or a file")
    parser.add_argument("--recipe", choices=firmware.RECIPES, default=firmware.RECIPES[0], help="what the board's circuit guards")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wav", metavar="FILE", help="play this recording to the board (WAV or FLAC of any kind)")
    source.add_argument("--mic", action="store_true", help="let the board hear this PC's microphone, until Ctrl-C")
    parser.add_argument("--speed", type=float, default=SPEED, metavar="X", help="how many times faster than life (default 2)")
    parser.add_argument(
        "--stay", action="store_true", help="keep the board running afterwards, with keys to speak, press and unplug"
    )
    parser.add_argument("--no-story", action="store_true", help="only the board, as with --stay")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the story, or listen along."""
    if not 0.1 <= args.speed <= 100:
        raise UserError("--speed must be from 0.1 to 100.", USAGE)
    if args.model != MODEL and not (args.wav or args.mic or args.no_story):
        raise UserError("the story is told with the word Alexa; for another model give --wav FILE or --mic.", USAGE)
    if args.recipe == firmware.ONE_CHANNEL and not args.no_story:
        raise UserError("a one-channel board hears nothing while its lid is closed: give --no-story.", USAGE)
    if args.no_story and (args.wav or args.mic):
        raise UserError("--no-story leaves nothing to do for --wav and --mic.", USAGE)
    from earlid.gate import audio, models, runner

    runner.require_micropython()
    from earlid.demo.session import run_session  # needs what only Unix has

    sound = audio.read_audio(Path(args.wav)) if args.wav else None
    try:
        model = models.load(args.model)
    except ModuleNotFoundError as error:
        if error.name != "pymicro_wakeword" or args.model != MODEL:
            raise
        model = models.load(str(EXAMPLE))
    if args.mic:
        from earlid.sound import microphone

        microphone.load_sounddevice()
    as_expected = run_session(
        model,
        recipe=args.recipe,
        speed=1.0 if args.mic else args.speed,
        sound=sound,
        microphone=args.mic,
        story=not args.no_story,
        stay=args.stay,
    )
    return 0 if as_expected else FAILED
