# SPDX-License-Identifier: MIT
"""Makes the look of a published word, its second network and how both decide: `python -m tests.bench.detection.look alexa`.

After `earlid model train` with what the word's manifest says, whose columns it learns from: computed voices, recordings where
they were given, and sound without the word. Of the same columns, on the same computer, it makes the same files. LOOK.md tells
what they do, and why they are so. After that, `--stop` prints what the word's network does without its look, and with it at
several cutoffs, on the computed voices and sounds by which a cutoff is chosen; `--judge` the same at the cutoffs that ship, on
those that decided nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from earlid.accuracy.text import false_text, missed_text
from earlid.errors import FAILED, UserError
from earlid.files import write_atomically
from earlid.gate import look, models
from earlid.gate.network import Network
from earlid.train import course, fitting, judge, negatives, provenance, stage_display, workspace
from earlid.train.fit import Settings
from earlid.train.plan import Part
from earlid.train.shape import Block, Shape

from tests.bench import words

STEM = "look"
# A third of the published network, so that the gate stays within 64 KB of heap. Near words weigh three times what `earlid model
# train` gives them: two networks miss few words, and both take near words for one. Windows end sooner after the word, so that it
# also decides where somebody talks on.
SETTINGS = Settings(weights=(1.0, 1.0, 4.0), late=(20, 32), inferences=13, seed=1)
ROWS, WIDTHS = (9, 13, 21), (32, 32, 32)  # of each block
WORD_WIDTHS = {"okay_nabu": (32, 16, 16)}  # larger than the others by itself
WINDOW = SETTINGS.mean  # pairs of logits that a score is the sum of: as many as second networks are trained to decide by
WORD_WINDOWS = {"okay_nabu": 12}  # five of its pairs open for nothing more often, and miss as many
# The mean of a pair that opens, in logits. A word that would be missed too often gets the loosest that `--stop` shows with no
# more false openings and near words than without a look.
CUTOFF = 3.1
CUTOFFS = {"okay_nabu": -1.5}
STOP_HEAD = (
    "| mean of a pair above | missed in quiet | missed at 10 dB | false openings | near words that open |\n"
    "| --- | --- | --- | --- | --- |\n"
)
TRIED = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.1, 3.5)
DECISIONS = (0, 1)
SHOWN_CUTOFF_Q8, SHOWN_LOGITS = 167, 16.1  # where a score's 255 steps have that cutoff, and what they span at least


def settings_of(name: str) -> Settings:
    """How the look of a published network is trained."""
    blocks = tuple(Block(width, (rows,)) for width, rows in zip(WORD_WIDTHS.get(name, WIDTHS), ROWS, strict=True))
    return replace(SETTINGS, shape=Shape(first_filters=16, blocks=blocks))


def make(folder: Path, out: Path, settings: Settings) -> None:
    """Train on a word's columns, and write the network.

    Args:
        folder: the word's workspace.
        out: the .tflite file.

    Raises:
        UserError: there are no columns, or no room.
    """
    if not (folder / "columns" / "fit-word.npy").exists():
        raise UserError(f"{folder} has no columns: give `earlid model train` with the word first.", FAILED)
    shutil.copyfile(fitting.fit_one(settings, folder, STEM).network, out)


def opening_sum(network: Network, window: int, mean_logit: float) -> float:
    """What so many pairs of a network's logits add up to, as bytes, where their mean is this."""
    return window * (network.logit_zero + 2 * 128 + mean_logit / network.logit_scale)


def entry(name: str, digest: bytes, network: Network) -> dict[str, Any]:
    """The content of a look's file (`earlid.gate.look.find`).

    Args:
        name: of the published network. digest: SHA-256 of its file.
        network: the same; a score's unit is a step of its logit.
    """
    window = WORD_WINDOWS.get(name, WINDOW)
    scale = math.ceil(SHOWN_LOGITS / network.logit_scale * window / 255)
    opens, shown = opening_sum(network, window, CUTOFFS.get(name, CUTOFF)), SHOWN_CUTOFF_Q8 * scale
    return {
        "model": digest.hex(), "network": f"{name}.tflite", "window": window, "lowest": math.ceil(opens) - shown, "scale": scale,
        "cutoff": shown,
    }  # fmt: skip


def hearings(model: models.Model, part: Part, word: str, folder: Path) -> list[judge.Hearing]:
    """What a network makes of a part of a word, without its look and with it.

    Args:
        word, folder: of the word's training.
    """
    order = course.Order(word, "full", (0,), negatives.default_folder(False))
    with workspace.opened(folder, word) as room, stage_display.shown(course.EXPECTED_S["full"], False) as display:
        return course.hearings_of(model, DECISIONS, part, order, room, display)


def cutoff_q8(model: models.Model, decision: int) -> int:
    """The cutoff that a decision ships with."""
    unit, cutoff_sum = model.decided(decision)
    return cutoff_sum // unit


def judged(model: models.Model, word: str, folder: Path) -> str:
    """A row of words.HEAD's table for each decision, at the cutoff that it comes with."""
    rows = ""
    for decision, hearing in zip(DECISIONS, hearings(model, "judge", word, folder), strict=True):
        cutoff = cutoff_q8(model, decision)
        values = provenance.verdict_json(hearing.verdict(cutoff), cutoff)
        rows += words.row({"word": f"{model.name}, {decision}", "on": provenance.today(), "warnings": [], **values})
    return rows


def tried(model: models.Model, word: str, folder: Path) -> str:
    """A table of the part `stop`: without the look, and with it at each cutoff of TRIED."""
    if model.look is None:
        raise UserError(f"{model.name} has no look yet.", FAILED)
    without, seen = hearings(model, "stop", word, folder)
    text = STOP_HEAD + _tried_row("without", without, cutoff_q8(model, 0))
    window, lowest, scale = model.look.window, model.look.lowest, model.look.scale
    for logit in TRIED:
        text += _tried_row(logit, seen, round((opening_sum(model.network, window, logit) - lowest) / scale))
    return text


def _tried_row(name: str | float, hearing: judge.Hearing, cutoff: int) -> str:
    verdict = hearing.verdict(cutoff)
    quiet, noise = (condition.curve.at(cutoff) for condition in verdict.conditions)
    opened, of = map(sum, zip(*verdict.near.values(), strict=True))
    return f"| {name} | {missed_text(quiet)} | {missed_text(noise)} | {false_text(quiet)} | {opened} of {of} |\n"


def main() -> int:
    """Make one; 1 with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection.look", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="of the published network, as in `earlid model list`")
    parser.add_argument("--out", type=Path, default=look.FOLDER, metavar="FOLDER")
    parser.add_argument("--stop", action="store_true", help="instead of making one")
    parser.add_argument("--judge", action="store_true", help="instead of making one")
    options = parser.parse_args()
    try:
        model = models.load(options.name)
        word = model.manifest.wake_word.lower()
        folder = workspace.folder_of(word, "full")
        if options.stop or options.judge:
            print((tried if options.stop else judged)(model, word, folder), end="")
            return 0
        make(folder, options.out / f"{options.name}.tflite", settings_of(options.name))
        record = entry(options.name, model.digest, model.network)
        write_atomically(options.out / f"{options.name}.json", json.dumps(record) + "\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
