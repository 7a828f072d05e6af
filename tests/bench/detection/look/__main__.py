# SPDX-License-Identifier: MIT
"""Makes the look of "alexa": `python -m tests.bench.detection.look --out FILE`. Ten minutes of one processor, and the voices.

From the same recordings, on the same computer, it makes the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from earlid.files import write_atomically
from earlid.gate import models

from tests.bench.detection import data
from tests.bench.detection.look import examples, rows, train

# The decision that the README's table is of; what each is: earlid.gate.network.Look
SCORE = 70  # above which it opens: logits of network and look, sums of 12, in bytes without their zero points
DECISION = {"window": examples.MEAN, "in_a_row": 8, "bound": 614, "lowest": 12 * 280 + SCORE - 1002, "scale": 6, "cutoff": 1002}


def main() -> int:
    """Train on one half, write the look's file."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection.look", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--half", choices=data.HALVES, default="dev", help="that it learns from: dev, as the shipped one")
    parser.add_argument("--seed", type=int, default=0, help="of the fit")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = models.load("alexa")
    learnt = examples.make(options.half, options.processes)
    kinds = {str(kind): int(number) for kind, number in zip(*np.unique(learnt.kind, return_counts=True), strict=True)}
    print(f"half {options.half}, seed {options.seed}, examples: {kinds}", flush=True)
    fitted = train.fit(learnt, model.network, options.seed)
    ring = {"channels": len(rows.SOURCES) * train.UNITS, "zero": -128, "rows": rows.ROWS, "sliding": True}
    entry = {"model": model.digest.hex(), **DECISION, "buffers": [ring, {"channels": 1, "zero": 0}],
             "layers": train.layers(fitted, learnt, model.network)}  # fmt: skip
    write_atomically(options.out, json.dumps(entry) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
