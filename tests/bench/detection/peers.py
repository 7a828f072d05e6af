# SPDX-License-Identifier: MIT
"""Engines that wait for "alexa", each over one stream with its state carried through: when it said how much.

A score is on the engine's own scale; a cutoff c opens where it is above c. Where an engine only says yes or no, it runs once for
each of its settings, and the score is that of the strictest that said yes.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from earlid.evaluate import measure
from earlid.evaluate.baseline import pymicro_scores
from earlid.gate import models, score
from earlid.gate.score import HOP_MS
from lid import config
from numpy.typing import NDArray

RATE_HZ = 16000
WORD = "alexa"
NETWORK = os.environ.get("EARLID_BENCH_WORD") or WORD  # that hears it: the published one, or the manifest of another
PORCUPINE_FRAME = 512  # samples
PORCUPINE_STEPS = 10  # sensitivities tried: 0, 0.1 ... 1
OPENWAKEWORD_CHUNK = 1280  # samples, 80 ms
POCKETSPHINX_THRESHOLD = 1e-80  # so loose that what matters lies above it
POCKETSPHINX_DELAY = 10  # frames after a phrase's end in which it waits for a better one (its option kws_delay)
POCKETSPHINX_FRAME_MS = 10


class Scores(NamedTuple):
    """When (`t_ms`, from the start of the stream, ascending) the engine said how much (`values`)."""

    t_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Engine:
    """One engine with one setting.

    name: in tables. version: what its results hang on, for the cache. run: samples (int16, 16 kHz) to scores.
    shipped: the cutoff that its makers ship, or None. floor: scores up to this open nothing that anyone would want.
    files: what it has to carry for one word: name and bytes. decimals: of a cutoff in tables.
    """

    name: str
    version: str
    run: Callable[[NDArray[np.int16]], Scores]
    shipped: float | None
    floor: float
    files: tuple[tuple[str, int], ...]
    decimals: int = 2
    settings: int = 1  # that one run tries, each at the full cost
    gain: float = config.defaults()["gain_q8"] / 256  # of a board out of the box, where a condition has 24 bits

    @property
    def digest(self) -> str:
        """Names its results in the cache."""
        return hashlib.sha256(f"{self.name}\0{self.version}\0{self.floor}\0{self.gain}".encode()).hexdigest()


def _package(name: str) -> str:
    return f"{name} {importlib.metadata.version(name)}"


def _sizes(*paths: Path | str) -> tuple[tuple[str, int], ...]:
    return tuple((Path(path).name, os.path.getsize(path)) for path in paths)


# -- Earlid ----------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _model() -> models.Model:
    return models.load(NETWORK)


def earlid(name: str, decision: int = models.DECISION) -> Engine:
    """The firmware's gate, on MicroPython, by one decision."""

    def run(pcm: NDArray[np.int16]) -> Scores:
        scores = score.run_gate(pcm, _model(), decision)
        return Scores(scores.t_ms, scores.values.astype(float))

    model = _model()
    version = f"{measure.code_digest()} {model.digest.hex()} {decision}"
    unit, cutoff = model.decided(decision)
    return Engine(name, version, run, cutoff // unit, 25, (("network as the board has it", len(model.blob)),), 0)


# -- peers -----------------------------------------------------------------------------------------------------------------


def pymicro() -> Engine:
    """microWakeWord by its own runtime on computers; scores of 255, as the gate's."""
    model = _model()
    stride = model.network.stride

    def run(pcm: NDArray[np.int16]) -> Scores:
        values = pymicro_scores(pcm, model)
        # Its first column comes with the third hop, and a score with every stride's last column
        t_ms = (np.arange(1, len(values) + 1) * stride + 2) * HOP_MS
        return Scores(t_ms.astype(np.int64), values.astype(float))

    shipped = model.cutoff_sum // model.manifest.window
    path = models.find_manifest(NETWORK).parent / Path(str(model.manifest.model)).name
    version = f"{_package('pymicro-wakeword')} {_package('pymicro-features')}"
    return Engine("pymicro-wakeword", version, run, shipped, 25, _sizes(path), 0)


def openwakeword() -> Engine:
    """openWakeWord: a spectrogram, an embedding that serves every word, and a small network for this word."""
    import pyopen_wakeword

    folder = Path(pyopen_wakeword.__file__).parent / "models"

    def run(pcm: NDArray[np.int16]) -> Scores:
        features = pyopen_wakeword.OpenWakeWordFeatures.from_builtin()
        word = pyopen_wakeword.OpenWakeWord.from_builtin(pyopen_wakeword.Model.ALEXA)
        t_ms, values = [], []
        for at in range(0, len(pcm) - OPENWAKEWORD_CHUNK + 1, OPENWAKEWORD_CHUNK):
            end_ms = (at + OPENWAKEWORD_CHUNK) * 1000 // RATE_HZ
            for embedding in features.process_streaming(pcm[at : at + OPENWAKEWORD_CHUNK].tobytes()):
                for value in word.process_streaming(embedding):
                    t_ms.append(end_ms)
                    values.append(value)
        word.close()
        features.close()
        return Scores(np.array(t_ms, np.int64), np.array(values, float))

    files = _sizes(*(folder / f"{name}.tflite" for name in ("melspectrogram", "embedding_model", WORD)))
    return Engine("pyopen-wakeword", _package("pyopen-wakeword"), run, 0.5, 0.02, files, 4)


def porcupine() -> Engine:
    """Porcupine 1.9, the last that runs without an account. One engine for each sensitivity; score = 1 - sensitivity."""
    import pvporcupine

    def run(pcm: NDArray[np.int16]) -> Scores:
        events: dict[int, float] = {}
        said = ctypes.c_int()
        starts = range(0, len(pcm) - PORCUPINE_FRAME + 1, PORCUPINE_FRAME)
        base = pcm.ctypes.data  # of a contiguous array
        pointer = ctypes.POINTER(ctypes.c_short)
        for step in range(PORCUPINE_STEPS + 1):
            handle = pvporcupine.create(keywords=[WORD], sensitivities=[step / PORCUPINE_STEPS])
            for at in starts:
                handle.process_func(handle._handle, ctypes.cast(base + 2 * at, pointer), ctypes.byref(said))
                if said.value >= 0:
                    end_ms = (at + PORCUPINE_FRAME) * 1000 // RATE_HZ
                    events.setdefault(end_ms, 1 - (step - 0.5) / PORCUPINE_STEPS)  # above the cutoff of its own step
            handle.delete()
        t_ms = sorted(events)
        return Scores(np.array(t_ms, np.int64), np.array([events[t] for t in t_ms], float))

    files = _sizes(pvporcupine.LIBRARY_PATH, pvporcupine.MODEL_PATH, pvporcupine.KEYWORD_PATHS[WORD])
    return Engine("porcupine", f"{_package('pvporcupine')} {PORCUPINE_STEPS}", run, 0.5, 0.0, files, settings=PORCUPINE_STEPS + 1)


def pocketsphinx() -> Engine:
    """PocketSphinx spotting a key phrase, with its general English model; score = its log of probability, in steps of its own."""
    import pocketsphinx as sphinx

    def run(pcm: NDArray[np.int16]) -> Scores:
        decoder = sphinx.Decoder(keyphrase=WORD, kws_threshold=POCKETSPHINX_THRESHOLD, lm=None, loglevel="FATAL")
        decoder.start_utt()
        for at in range(0, len(pcm), 16000):
            decoder.process_raw(pcm[at : at + 16000].tobytes(), False, False)
        decoder.end_utt()
        found = list(decoder.seg()) if decoder.hyp() else []
        events = sorted(((segment.end_frame + POCKETSPHINX_DELAY) * POCKETSPHINX_FRAME_MS, segment.prob) for segment in found)
        return Scores(
            np.array([t_ms for t_ms, _ in events], np.int64), np.array([math.log(prob) for _, prob in events], float)
        )  # fmt: skip

    folder = Path(sphinx.get_model_path()) / "en-us" / "en-us"
    files = _sizes(*sorted(path for path in folder.iterdir() if path.name != "README"))
    return Engine("pocketsphinx", f"{_package('pocketsphinx')} {POCKETSPHINX_THRESHOLD}", run, None, -1e9, files, 4)


def cpu_s() -> float:
    """Processor time of this process and the children it waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def timed(engine: Engine, pcm: NDArray[np.int16]) -> tuple[Scores, float]:
    """Scores, and the processor seconds they took."""
    before_s = cpu_s()
    scores = engine.run(np.ascontiguousarray(pcm))
    return scores, cpu_s() - before_s
