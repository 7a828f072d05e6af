# SPDX-License-Identifier: MIT
"""The manifest of a network: the `.json` beside its `.tflite`, version 2, with the entries that ESPHome takes and no other."""

from __future__ import annotations

from math import prod
from typing import Any

from earlid.gate import tflite
from earlid.gate.models import MANIFEST_VERSION, STEP_MS

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
MINIMUM_ESPHOME_VERSION = "2024.7.0"  # the first with version 2
# Memory that TensorFlow Lite Micro takes for each of them beside variables and rows: fitted to what nine networks of
# several shapes needed on a processor of 64 bits (found by trying), so that it is 4 to 10 % more. One of 32 bits needs less.
_TENSOR_BYTES, _OPERATOR_BYTES, _CHANNEL_BYTES, _VARIABLE_BYTES, _INTERPRETER_BYTES = 94, 112, 8, 16, 400


def manifest(word: str, author: str, model: str, data: bytes, languages: list[str], cutoff: float, window: int) -> dict[str, Any]:
    """The entries of a manifest.

    Args:
        word: as people say it. author: who made the network.
        model: the name of the `.tflite` file, of which `data` is the content.
        languages: codes such as "en".
        cutoff: the mean probability of `window` inferences that a detection must exceed, 0 to below 1.
    """
    return {
        "type": "micro",
        "wake_word": word,
        "author": author,
        "model": model,
        "trained_languages": languages,
        "version": MANIFEST_VERSION,
        "micro": {
            "probability_cutoff": cutoff,
            "sliding_window_size": window,
            "feature_step_size": STEP_MS,
            "tensor_arena_size": arena_bytes(data),
            "minimum_esphome_version": MINIMUM_ESPHOME_VERSION,
        },
    }


def arena_bytes(data: bytes) -> int:
    """Memory that TensorFlow Lite Micro needs for a network: its variables, the largest rows that are joined, and its records
    of tensors, operators and channels."""
    graphs = tflite.read(data)
    main, first = graphs
    tensors = sum(len(graph.tensors) for graph in graphs)
    operators = sum(len(graph.operators) for graph in graphs)
    variables = [first.tensors[step.inputs[1]].shape for step in first.operators if step.name == "ASSIGN_VARIABLE"]
    made = [(step.name, main.tensors[index].shape) for step in main.operators for index in step.outputs]
    channels = sum(shape[-1] for name, shape in made if name in WEIGHTED)
    rows = max(prod(shape) for _, shape in made)
    need = _INTERPRETER_BYTES + _TENSOR_BYTES * tensors + _OPERATOR_BYTES * operators + _CHANNEL_BYTES * channels
    return need + sum(map(prod, variables)) + _VARIABLE_BYTES * len(variables) + rows
