# SPDX-License-Identifier: MIT
"""Looks that come with Earlid: for some networks a second one, of the same columns, that decides with it (network.Look).

In `looks`, a file for each network that has one, found by the SHA-256 of its .tflite file; beside it the second network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from earlid.files import read_bytes, read_json
from earlid.gate.graph import build_network
from earlid.gate.network import Layer, Look, Network, View
from earlid.gate.tflite import MAX_FILE_BYTES, ModelError, read

FOLDER = Path(__file__).parent / "looks"


def find(digest: bytes) -> dict[str, Any] | None:
    """The content of the look's file of the network with this SHA-256, or None."""
    found = (read_json(path) for path in sorted(FOLDER.glob("*.json")))
    return next((entry for entry in found if isinstance(entry, dict) and entry["model"] == digest.hex()), None)


def load(entry: dict[str, Any], network: Network) -> Look:
    """The look that a file describes.

    Args:
        entry: of `find`: `network`, the second network's file; `window`, `lowest`, `scale` and `cutoff` of a Look.
        network: the first.
    """
    return build(entry, network, build_network(read(read_bytes(FOLDER / entry["network"], MAX_FILE_BYTES))))


def build(entry: dict[str, Any], network: Network, second: Network) -> Look:
    """A second network as a look: it reads the first one's columns, and its logit is on the first one's scale.

    Raises:
        ModelError: it wants other columns.
    """
    first = network.buffers[0]
    ours, theirs = ((one.stride, one.features, one.input_scale, one.input_zero) for one in (network, second))
    if ours != theirs or second.buffers[0].rows > first.rows:
        raise ModelError(
            f"the second network hears {second.buffers[0].rows} columns of {theirs}, the first {first.rows} of {ours}"
        )
    buffers = [first, *(replace(buffer, index=number) for number, buffer in enumerate(second.buffers[1:], len(network.buffers)))]

    def view(one: View) -> View:
        return replace(one, buffer=buffers[one.buffer.index])

    def moved(layer: Layer) -> Layer:
        return replace(
            layer, inputs=[view(one) for one in layer.inputs], output=view(layer.output), where=f"second {layer.where}"
        )

    layers = [moved(layer) for layer in second.layers]
    layers[-1] = replace(layers[-1], scale_out=network.logit_scale, zero_out=0)
    names = ("window", "lowest", "scale", "cutoff")
    return Look(buffers[1:], layers, *(entry[name] for name in names))
