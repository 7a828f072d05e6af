# SPDX-License-Identifier: MIT
"""The gate on emulated Xtensa machine code, with its real 32-bit arithmetic, equals the oracles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import earlid.demo
import numpy as np
import pytest
import soundfile
from earlid.gate import models

from . import bench_gate, sounds
from . import gate as gates
from .sounds import Samples

SEED = 41
WORD = Path(earlid.demo.__path__[0]) / "speech" / "word-rms.flac"
PIECES = {
    "speech": sounds.speech_like(SEED, 1.5),
    "faint": sounds.speech_like(SEED + 1, 0.5, -70),
    "loud": sounds.loud_ends(SEED),
}


def assert_nothing_spilled(gate: gates.Gate) -> None:
    gate.machine.memory.check_guards()
    assert gate.machine.boxed == 0, "a kernel made an integer object beyond 31 bits, which allocates on the board"


@pytest.mark.parametrize("piece", PIECES)
def test_emulated_features_equal_the_oracle(piece: str) -> None:
    gate, pcm = gates.Gate(), PIECES[piece]
    expected = gates.reference_features(pcm)
    np.testing.assert_array_equal(gates.features(gate, pcm), expected, f"{piece}, seed {SEED}")
    assert_nothing_spilled(gate)


def word_and_more() -> Samples:
    """The word that one of the networks waits for, something else, and full scale."""
    word, _ = soundfile.read(WORD, dtype="int16")
    return np.concatenate([word, sounds.speech_like(SEED, 0.4), sounds.loud_ends(SEED, 0.05)])


@pytest.mark.parametrize("model", models.builtin_names())
def test_emulated_network_outputs_equal_the_oracle(model: str) -> None:
    gate = gates.Gate()
    columns = gates.reference_features(word_and_more())
    # the strongest features there are, which no sound makes: sums at their largest
    strongest = np.full((9, 40), 65535, np.uint16)
    columns = np.concatenate([columns, strongest, columns[:30]])
    expected = gates.reference_outputs(model, columns)
    assert gates.outputs(gate, model, columns) == expected, f"{model}, seed {SEED}"
    if model == "alexa":
        assert max(expected) > 200, "the word's recording no longer makes the network answer: the test sees only zeros"
    assert_nothing_spilled(gate)


def outputs_of(detector: Any, hop: Any, ran: bool) -> list[int]:
    """All that the detector says after a hop, and a checksum of the hop that the pcm_input made."""
    network = detector.network
    values = [int(ran), detector.activity, network.prob, network.mean_q8, int(network.hit)]
    return [*values, sum((place + 1) * value for place, value in enumerate(bytes(hop))) & 0xFFFFF]


ON_MICROPYTHON = """
import sys
from lid.gate import model_file
from lid.gate.detector import Detector
from lid.gate.pcm import PcmInput
detector = Detector(model_file.load(sys.argv[1]))
pcm_input = PcmInput()
slots = bytearray(640)
with open(sys.argv[2], "rb") as file:
    while file.readinto(slots) == 640:
        hop = pcm_input.push(slots)
        ran = detector.push(hop)
        network = detector.network
        values = [int(ran), detector.activity, network.prob, network.mean_q8, int(network.hit)]
        print(values + [sum((place + 1) * value for place, value in enumerate(hop)) & 0xFFFFF])
"""


def outputs_on_micropython(folder: Path, pcm: Samples) -> list[list[int]]:
    """The same on the unix MicroPython, whose viper integers have 64 bits."""
    (folder / "blob").write_bytes(models.load("alexa").blob)
    (folder / "slots").write_bytes(b"".join(gates.slots_of(pcm)))
    (folder / "run.py").write_text(ON_MICROPYTHON)
    script = [folder / "run.py", folder / "blob", folder / "slots"]
    environment = {**os.environ, "MICROPYPATH": str(gates.FIRMWARE)}
    micropython = Path(sys.executable).with_name("micropython")
    command = [micropython, "-X", "heapsize=8m", *script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_emulated_gate_equals_micropython(tmp_path: Path) -> None:
    word, _ = soundfile.read(WORD, dtype="int16")
    pcm = np.concatenate([sounds.room(SEED, 0.3), word, sounds.room(SEED, 0.2), sounds.loud_ends(SEED, 0.03)])
    gate = gates.Gate()
    detector = gate.detector("alexa")
    pcm_input = gate.board.module("lid.gate.pcm").PcmInput()
    slots = gate.machine.memory.bytearray(640)
    rows = []
    for content in gates.slots_of(pcm):
        slots[:] = content
        hop = pcm_input.push(slots)
        rows.append(outputs_of(detector, hop, detector.push(hop)))
    assert rows == outputs_on_micropython(tmp_path, pcm), f"seed {SEED}"
    assert {row[1] & 1 for row in rows} == {0, 1}, "nothing or everything was active: the test sees one half only"
    assert max(row[2] for row in rows) > 200, "the word was not heard"
    assert_nothing_spilled(gate)


def test_bench_counts_every_kernel() -> None:
    measured = bench_gate.whole_gate(gates.Gate(), "alexa", sounds.speech_like(SEED, 0.5))
    assert {kernel.name.partition(".")[0] for kernel in measured.kernels} >= {"fft", "channels", "kernels", "activity", "pcm"}
    assert measured.largest_hop > measured.per_hop > measured.own > 50_000
    assert measured.boxed == 0
    assert f"{measured.millions_a_second:.1f} million" in bench_gate.verdict(measured, bench_gate.GOAL)


def test_machine_code_fits_the_board() -> None:
    gate = gates.Gate()
    gate.detector("alexa")
    gate.board.module("lid.gate.pcm")
    assert sum(gate.board.native_bytes.values()) < 18_000, gate.board.native_bytes
