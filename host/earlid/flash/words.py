# SPDX-License-Identifier: MIT
"""The published words, compiled for the board: a wheel brings them, a checkout compiles them of `pymicro-wakeword`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlid.errors import USAGE, UserError
from earlid.files import read_json, write_atomically
from earlid.flash import memory_plan
from earlid.gate import blob_format

if TYPE_CHECKING:
    from earlid.gate.models import Model

FOLDER = Path(__file__).parents[1] / "words"  # in a wheel only: the build puts it there
INDEX = "words.json"


def summary(model: Model) -> dict[str, Any]:
    """What `earlid model list` tells of a network, as plain values."""
    manifest, look = model.manifest, model.look
    return {
        "name": model.name, "wake_word": manifest.wake_word, "languages": manifest.languages, "author": manifest.author,
        "website": manifest.website, "stride": model.network.stride, "window": manifest.window,
        "cutoff": manifest.probability_cutoff, "cutoff_sum": model.cutoff_sum, "macs": model.network.macs,
        "blob_bytes": len(model.blob), "arena_bytes": memory_plan.word_sizes(model.blob).arena, "sha256": model.digest.hex(),
        "look": look and {"window": look.window, "cutoff_q8": look.cutoff // look.scale},
    }  # fmt: skip


def summaries() -> list[dict[str, Any]]:
    """Those of the published words, by name."""
    if FOLDER.is_dir():
        return list(read_json(FOLDER / INDEX))
    from earlid.gate import models  # numpy

    return [summary(models.load(name)) for name in models.builtin_names()]


def blob(name: str) -> bytes:
    """The compiled word of a name of `earlid model list`, or of a .tflite file with its .json beside it.

    Raises:
        UserError: code 2 when there is no such word.
    """
    if FOLDER.is_dir() and Path(name).suffix not in (".json", ".tflite"):
        known = [entry["name"] for entry in summaries()]
        if name not in known:
            raise UserError(
                f"no model {name!r}: there are {', '.join(known)}; or give the path of a .tflite file with its .json", USAGE
            )
        return (FOLDER / name).with_suffix(blob_format.SUFFIX).read_bytes()
    from earlid.gate import models

    return models.load(name).blob


def compile_published(folder: Path) -> None:
    """Write what a wheel brings: each published word's blob, and their summaries."""
    from earlid.gate import models

    every = [models.load(name) for name in models.builtin_names()]
    for model in every:
        write_atomically(folder / (model.name + blob_format.SUFFIX), model.blob)
    write_atomically(folder / INDEX, json.dumps([summary(model) for model in every], indent=1) + "\n")
