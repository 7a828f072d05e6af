# SPDX-License-Identifier: MIT
"""Drives the firmware's gate on the emulated board, hop by hop, and its oracles on the same samples."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lid
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from earlid.gate import models
from numpy.typing import NDArray
from pymicro_features import MicroFrontend

from .board import EmulatedBoard
from .sounds import Samples

HOP_SAMPLES = 160
_FEATURE_SCALE = 0.0390625  # pymicro-features gives 16-bit features times this
FIRMWARE = Path(lid.__path__[0]).parent


def hops_of(pcm: Samples) -> Iterator[bytes]:
    """Whole hops as the bytes that the board sees."""
    data = pcm.astype("<i2").tobytes()
    for at in range(0, len(data) - 2 * HOP_SAMPLES + 1, 2 * HOP_SAMPLES):
        yield data[at : at + 2 * HOP_SAMPLES]


def slots_of(pcm: Samples) -> Iterator[bytes]:
    """Whole hops as the I2S driver gives them: 32-bit slots, the sample in the upper half."""
    words = pcm.astype("<i4") << 16
    for at in range(0, len(words) - HOP_SAMPLES + 1, HOP_SAMPLES):
        yield words[at : at + HOP_SAMPLES].tobytes()


class Gate:
    """Makes the gate's parts on one emulated board."""

    def __init__(self, *, profiled: bool = False) -> None:
        self.board = EmulatedBoard(FIRMWARE, profiled=profiled)
        self.machine = self.board.machine
        self._hop = self.machine.memory.bytearray(2 * HOP_SAMPLES)

    def hop(self, content: bytes) -> memoryview:
        """The hop's samples in the one buffer that the board has for them."""
        self._hop[:] = content
        return self._hop

    def frontend(self) -> Any:
        return self.board.module("lid.gate.frontend").Frontend()

    def _layout(self, model: str | bytes) -> Any:
        blob = models.load(model).blob if isinstance(model, str) else model
        pieces = self.board.module("lid.gate.weights").read(io.BytesIO(blob), len(blob))
        return self.board.module("lid.gate.model_file").Layout(pieces)

    def wakeword(self, model: str) -> Any:
        return self.board.module("lid.gate.wakeword").WakeWord(self._layout(model))

    def detector(self, model: str | bytes, decision: int = 0) -> Any:
        """model: a published network's name, or a board's file."""
        detector = self.board.module("lid.gate.detector").Detector(self._layout(model))
        detector.network.decide(decision, 0)
        return detector

    def ear(self, detector: Any) -> Callable[[bytes], Any]:
        """What the app does with each hop's slots: pcm_input, then detector. Returns what the detector says."""
        pcm_input = self.board.module("lid.gate.pcm").PcmInput()
        slots = self.machine.memory.bytearray(4 * HOP_SAMPLES)

        def push(content: bytes) -> Any:
            slots[:] = content
            return detector.push(pcm_input.push(slots))

        return push


def features(gate: Gate, pcm: Samples) -> NDArray[np.uint16]:
    """The emulated frontend's columns of 40 features, one a hop from the third on."""
    frontend = gate.frontend()
    columns = [list(frontend.features) for hop in hops_of(pcm) if frontend.push(gate.hop(hop))]
    return np.array(columns, dtype=np.uint16).reshape(-1, 40)


def outputs(gate: Gate, model: str, columns: NDArray[np.uint16]) -> list[int]:
    """The emulated network's output byte for each inference."""
    network = gate.wakeword(model)
    module = gate.board.module("lid.gate.columns")
    gathered, state = module.empty(network.stride, network.feature_scale)
    column = gate.machine.memory.array("H", bytes(80))
    probs = []
    for content in columns:
        column[:] = memoryview(content)
        if module.push_column(0, column, gathered, state) == network.stride:
            network.infer(gathered)
            probs.append(network.prob)
    return probs


def reference_features(pcm: Samples) -> NDArray[np.uint16]:
    """TensorFlow Lite Micro's features, by pymicro-features."""
    frontend = MicroFrontend()
    columns = [out.features for hop in hops_of(pcm) if (out := frontend.process_samples(hop)).features]
    return np.rint(np.array(columns).reshape(-1, 40) / _FEATURE_SCALE).astype(np.uint16)


def reference_outputs(model: str, columns: NDArray[np.uint16]) -> list[int]:
    """The network's output bytes by TensorFlow Lite's reference kernels, fed as pymicro-wakeword feeds them."""
    path = models.load(model).manifest.model
    reference = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    reference.allocate_tensors()
    entry, exit_ = reference.get_input_details()[0], reference.get_output_details()[0]
    scale, zero = entry["quantization"]
    stride = entry["shape"][1]
    found = []
    for at in range(0, len(columns) - stride + 1, stride):
        scaled = np.round(columns[at : at + stride].astype(np.float32) * np.float32(_FEATURE_SCALE) / scale + zero)
        limited = np.clip(scaled, -128, 127)  # as ESPHome does, see columns.py
        reference.set_tensor(entry["index"], limited.astype(entry["dtype"])[np.newaxis])
        reference.invoke()
        found.append(int(reference.get_tensor(exit_["index"]).item()))
    return found
