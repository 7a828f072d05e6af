# SPDX-License-Identifier: MIT
"""Makes the look of a published word, its second network and how both decide: `python -m tests.bench.detection.look alexa`.

After `earlid model train` with what the word's manifest says, whose columns it learns from: computed voices, recordings where
they were given, and sound without the word. Of the same columns, on the same computer, it makes the same files. LOOK.md tells
what they do, and why they are so. `--judge`, after that, prints what the word's network does on computed voices and sounds that
decided nothing, without and with its look.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from earlid.errors import FAILED, UserError
from earlid.files import write_atomically
from earlid.gate import look, models
from earlid.gate.network import Network
from earlid.train import course, fitting, negatives, provenance, stage_display, workspace
from earlid.train.fit import Settings
from earlid.train.shape import Block, Shape

from tests.bench import words

STEM = "look"
# A third of the published network, which is what the board's memory leaves. Near words weigh three times what `earlid model
# train` gives them: two networks miss few words, and both take near words for one. Windows end sooner after the word, so that it
# also decides where somebody talks on.
SETTINGS = Settings(
    shape=Shape(first_filters=16, blocks=tuple(Block(32, (rows,)) for rows in (9, 13, 21))),
    weights=(1.0, 1.0, 4.0), late=(20, 32), inferences=13, seed=1,
)  # fmt: skip
WINDOW = 12  # pairs of logits that a score is the sum of
CUTOFF = 1.0  # the mean of a pair that opens, in logits
SHOWN_CUTOFF_Q8, SHOWN_LOGITS = 167, 16.1  # where a score's 255 steps have that cutoff, and what they span


def make(folder: Path, out: Path, settings: Settings = SETTINGS) -> None:
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


def entry(name: str, digest: bytes, network: Network) -> dict[str, Any]:
    """The content of a look's file (`earlid.gate.look.find`).

    Args:
        name: of the published network. digest: SHA-256 of its file.
        network: the same; a score's unit is a step of its logit.
    """
    scale = round(SHOWN_LOGITS / network.logit_scale * WINDOW / 255)
    opens = WINDOW * (network.logit_zero + 2 * 128 + CUTOFF / network.logit_scale)
    shown = SHOWN_CUTOFF_Q8 * scale
    return {
        "model": digest.hex(), "network": f"{name}.tflite", "window": WINDOW, "lowest": math.ceil(opens) - shown, "scale": scale,
        "cutoff": shown,
    }  # fmt: skip


def judged(model: models.Model, word: str, folder: Path) -> str:
    """A row of words.HEAD's table for each decision, at the cutoff that it comes with.

    Args:
        word, folder: of the word's training.
    """
    rows, decisions = "", (0, 1)
    order = course.Order(word, "full", (0,), negatives.default_folder(False))
    with workspace.opened(folder, word) as room, stage_display.shown(course.EXPECTED_S["full"], False) as display:
        verdicts = course.verdicts_of(model, decisions, order, room, display)
    for decision, verdict in zip(decisions, verdicts, strict=True):
        unit, cutoff_sum = model.decided(decision)
        values = provenance.verdict_json(verdict, cutoff_sum // unit)
        rows += words.row({"word": f"{model.name}, {decision}", "on": provenance.today(), "warnings": [], **values})
    return rows


def main() -> int:
    """Make one; 1 with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection.look", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("name", help="of the published network, as in `earlid model list`")
    parser.add_argument("--out", type=Path, default=look.FOLDER, metavar="FOLDER")
    parser.add_argument("--judge", action="store_true", help="instead of making one")
    options = parser.parse_args()
    try:
        model = models.load(options.name)
        word = model.manifest.wake_word.lower()
        folder = workspace.folder_of(word, "full")
        if options.judge:
            print(judged(model, word, folder), end="")
            return 0
        make(folder, options.out / f"{options.name}.tflite")
        record = entry(options.name, model.digest, model.network)
        write_atomically(options.out / f"{options.name}.json", json.dumps(record) + "\n")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
