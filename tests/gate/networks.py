# SPDX-License-Identifier: MIT
"""Oracles of the network's tests: TensorFlow Lite's reference kernels, fed as pymicro-wakeword feeds its own."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from earlid.gate import runner
from numpy.typing import NDArray
from pymicro_features import MicroFrontend

HERE = Path(__file__).parent
FEATURE_SCALE = 0.0390625
HOP_BYTES = 320

Columns = NDArray[np.uint16]


def features(pcm: NDArray[np.int16]) -> Columns:
    """uint16 [columns, 40] by pymicro-features."""
    frontend, data = MicroFrontend(), pcm.astype("<i2").tobytes()
    found = [frontend.process_samples(data[at : at + HOP_BYTES]).features for at in range(0, len(data) - 319, HOP_BYTES)]
    return np.rint(np.array([column for column in found if column]) / FEATURE_SCALE).astype(np.uint16).reshape(-1, 40)


def reference(model: bytes, columns: Columns) -> list[int]:
    """The output byte of every inference by TensorFlow Lite's reference kernels."""
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = entry["quantization"]
    stride = int(entry["shape"][1])
    # as pymicro-wakeword: in float64, to the nearest even; beyond 8 bits as ESPHome: the largest of them
    quantised = np.clip(np.round(columns * FEATURE_SCALE / float(np.float32(scale)) + zero), -128, 127).astype(np.int8)
    outputs = []
    for at in range(0, len(columns) - stride + 1, stride):
        interpreter.set_tensor(entry["index"], quantised[np.newaxis, at : at + stride])
        interpreter.invoke()
        outputs.append(int(interpreter.get_tensor(exit_["index"]).item()))
    return outputs


def micropython(script: str, data: bytes, *args: str) -> bytes:
    """What a MicroPython script of this folder writes, given bytes on its standard input."""
    command = runner.micropython_command(HERE / script, *args)
    done = subprocess.run(
        command, input=data, capture_output=True, env=runner.micropython_environment(), check=False, timeout=300
    )
    assert done.returncode == 0, f"{script}: exit {done.returncode}: {done.stdout[-300:]!r} {done.stderr[-600:]!r}"
    return done.stdout


def outputs_on_micropython(blob: bytes, columns: Columns) -> list[int]:
    """The output byte of every inference by the firmware on MicroPython."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.elww"
        path.write_bytes(blob)
        return list(micropython("mp_network.py", columns.astype("<u2").tobytes(), str(path)))
