# SPDX-License-Identifier: MIT
"""People of one half as somebody's takes: `python -m tests.bench.detection.takes HALF DRAW FOLDER` copies 15 recordings there.

DRAW `all` copies all of them. `earlid model train alexa --recordings FOLDER` learns from ten of 15 and keeps five; what it makes
is judged on the other half:

    EARLID_BENCH_WORD=alexa.json python -m tests.bench.detection --half held --engines "earlid, decision 0"
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from tests.bench.detection import data

TAKES = 15


def drawn(half: data.Half, draw: int) -> list[data.Clip]:
    """Recordings of a half, none twice; the same ones for the same draw.

    Raises:
        data.Missing: there are no recordings.
    """
    return random.Random(f"{half} {draw}").sample(data.words(half), TAKES)


if __name__ == "__main__":
    half, draw, folder = sys.argv[1:]
    part: data.Half = "held" if half == "held" else "dev"
    Path(folder).mkdir(parents=True, exist_ok=True)
    for clip in data.words(part) if draw == "all" else drawn(part, int(draw)):
        shutil.copy(clip.path, folder)
