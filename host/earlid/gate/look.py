# SPDX-License-Identifier: MIT
"""Looks that come with Earlid: a file of `looks` for each network that has one, found by the SHA-256 of its .tflite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from earlid.files import read_json
from earlid.gate.network import Buffer, Layer, Look, Network, View

FOLDER = Path(__file__).parent / "looks"


def find(digest: bytes) -> dict[str, Any] | None:
    """The content of the look's file of the network with this SHA-256, or None."""
    found = (read_json(path) for path in sorted(FOLDER.glob("*.json")))
    return next((entry for entry in found if isinstance(entry, dict) and entry["model"] == digest.hex()), None)


def build(entry: dict[str, Any], network: Network) -> Look:
    """The look that a file describes, over the buffers of its network.

    Args:
        entry: of `find`: `window`, `in_a_row`, `bound`, `lowest`, `scale` and `cutoff` of a Look; `buffers`, numbered on from
            the network's; `layers` with the fields of a Layer, a view being [buffer, rows, first, last].
        network: that it looks at.
    """
    first = len(network.buffers)
    buffers = [Buffer(first + number, **fields) for number, fields in enumerate(entry["buffers"])]
    every = network.buffers + buffers

    def view(fields: list[int]) -> View:
        return View(every[fields[0]], *fields[1:])

    layers = [
        Layer(
            item["kind"], item["where"], [view(item["input"])], view(item["output"]), [item["scale_in"]], [item["zero_in"]],
            item["scale_out"], item["zero_out"], item["lowest"], np.array(item["weights"], np.int8),
            np.array(item["weight_scales"], np.float32), np.array(item["bias"], np.int32), item["fully_connected"],
        )
        for item in entry["layers"]
    ]  # fmt: skip
    names = ("window", "in_a_row", "bound", "lowest", "scale", "cutoff")
    return Look(buffers, layers, *(entry[name] for name in names))
