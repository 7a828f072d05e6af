# SPDX-License-Identifier: MIT
"""Makes the second network of a published word's look: `python -m tests.bench.detection.look alexa --out FILE`.

After `earlid model train alexa --recordings FOLDER`, whose columns it learns from: computed voices, the recordings, and sound
without the word. Of the same columns, on the same computer, it makes the same file. LOOK.md tells what it does, and why it is so.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from earlid.errors import FAILED, UserError
from earlid.train import fitting, workspace
from earlid.train.fit import Settings
from earlid.train.shape import Block, Shape

STEM = "look"
# A third of the published network, which is what the board's memory leaves. Near words weigh three times what `earlid model
# train` gives them: two networks miss few words, and both take near words for one. Windows end sooner after the word, so that it
# also decides where somebody talks on.
SETTINGS = Settings(
    shape=Shape(first_filters=16, blocks=tuple(Block(32, (rows,)) for rows in (9, 13, 21))),
    weights=(1.0, 1.0, 4.0), late=(20, 32), inferences=13, seed=1,
)  # fmt: skip


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


def main() -> int:
    """Make one; 1 with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection.look", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("word", help="as it was given to `earlid model train`")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    try:
        make(workspace.folder_of(options.word, "full"), options.out)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
