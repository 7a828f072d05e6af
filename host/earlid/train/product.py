# SPDX-License-Identifier: MIT
"""The files that a training ends in: NAME.tflite and .json (microWakeWord v2), .elww (the board's), .training.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from earlid.errors import USAGE, UserError
from earlid.files import read_bytes, read_json, write_atomically
from earlid.gate import blob_format, models
from earlid.gate.tflite import MAX_FILE_BYTES
from earlid.train import provenance

SUFFIXES = (models.NETWORK_SUFFIX, ".json", blob_format.SUFFIX)
NEXT_STEP = "Name another folder with --out; what was trained is kept."


def check_place(folder: Path, name: str) -> None:
    """Look whether the files can be written, before anything is trained.

    Raises:
        UserError: code 2 when a file of that name is there that no training made.
    """
    there = [folder / (name + suffix) for suffix in SUFFIXES if (folder / (name + suffix)).exists()]
    if there and not (folder / (name + provenance.SUFFIX)).exists():
        raise UserError(f"{there[0]} is there already, and no training made it: name another folder with --out.", USAGE)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder: name one with --out.", USAGE)


def write(network: Path, document: dict[str, Any], folder: Path, name: str) -> models.Model:
    """Write the four files, the provenance last.

    Args:
        network: a .tflite file with its manifest beside it.
        document: its provenance.

    Returns:
        the network as it now lies in the folder.

    Raises:
        UserError: the folder cannot be written.
    """
    to = folder / (name + models.NETWORK_SUFFIX)
    manifest = {**read_json(network.with_suffix(".json")), "model": to.name}
    write_atomically(to, read_bytes(network, MAX_FILE_BYTES), make_folder=True, next_step=NEXT_STEP)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_atomically(to.with_suffix(".json"), text, next_step=NEXT_STEP)
    model = models.load(str(to))
    write_atomically(to.with_suffix(blob_format.SUFFIX), model.blob, next_step=NEXT_STEP)
    write_atomically(provenance.path_beside(to), provenance.text_of(document), next_step=NEXT_STEP)
    return model
