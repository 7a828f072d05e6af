# SPDX-License-Identifier: MIT
"""Comparison with pymicro-wakeword over the same streams: speed, and differences of scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from earlid.evaluate import measure
from earlid.evaluate.tasks import Task
from earlid.gate import models, score
from earlid.gate.audio import RATE_HZ


def pymicro_scores(pcm: NDArray[np.int16], model: models.Model) -> NDArray[np.int64]:
    """The score of every inference that pymicro-wakeword makes, as `score.Scores.values` has it."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures

    word = MicroWakeWord.from_config(models.find_manifest(str(model.manifest.model)))
    window = model.manifest.window
    means = []
    for number, column in enumerate(MicroWakeWordFeatures().process_streaming(pcm.tobytes()), 1):
        mean = word.process_streaming_prob(column)
        if number % word.stride == 0:
            means.append(mean or 0.0)
    sums: npt.NDArray[np.int64] = np.rint(np.array(means) / word.output_scale * window).astype(np.int64)
    word.close()
    return -(-sums // window)


def compare_with_pymicro(tasks: Sequence[Task], model: models.Model, limit_s: float) -> dict[str, Any]:
    """Run both over the streams, up to so many seconds of audio.

    Returns:
        `audio_s`; seconds of audio a processor second for each; how many scores were compared, how many were not equal,
        and by how much (of 255) they differ at most.
    """
    audio_s = gate_s = pymicro_s = 0.0
    compared = different = largest = 0
    for task in tasks:
        if audio_s >= limit_s:
            continue
        pcm = measure.build_stream(task, int((limit_s - audio_s) * RATE_HZ))
        started_s = _cpu_s()
        ours = score.run_gate(pcm, model, 0).values
        gate_s += _cpu_s() - started_s
        started_s = _cpu_s()
        theirs = pymicro_scores(pcm, model)
        pymicro_s += _cpu_s() - started_s
        audio_s += len(pcm) / RATE_HZ
        cold, count = score.COLD_COLUMNS // model.network.stride + model.manifest.window - 1, min(len(ours), len(theirs))
        steps = np.abs(ours[cold:count] - theirs[cold:count])
        compared += len(steps)
        different += int(np.count_nonzero(steps))
        largest = max(largest, int(steps.max(initial=0)))
    return {
        "audio_s": round(audio_s, 2), "gate_per_s": round(audio_s / max(gate_s, 1e-9), 1),
        "pymicro_per_s": round(audio_s / max(pymicro_s, 1e-9), 1), "scores": compared, "scores_apart": different,
        "most_apart": largest,
    }  # fmt: skip


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system
