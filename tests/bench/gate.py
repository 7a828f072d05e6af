# SPDX-License-Identifier: MIT
"""The gate's cost on this machine: native instructions, processor time next to the originals, heap. One audio for all."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from earlid.demo.scenes import SPEECH
from earlid.gate import models
from earlid.gate.runner import micropython_command, micropython_environment
from earlid.virtual.sound import load

RATE_HZ = 16000
SEED = 20
COUNTED_S = (1, 4)  # callgrind runs of two lengths: their difference leaves the start-up out
TIMED_S = 120
PARTS = ("read", "frontend", "network", "detector")
SCRIPT = Path(__file__).parent / "mp_gate.py"


def speech(seconds: int) -> np.ndarray:
    """The demo's clips over and over with seeded noise: int16 at 16 kHz."""
    rng = np.random.default_rng(SEED)
    clips = [load(SPEECH / f"{name}.flac") for name in ("babble-awb", "word-slt", "babble-gb", "request-slt", "word-rms")]
    once = np.concatenate([part for clip in clips for part in (clip, np.zeros(RATE_HZ, np.int16))])
    count = seconds * RATE_HZ
    long = np.tile(once, count // len(once) + 1)[:count]
    return np.clip(long + rng.normal(0, 40, count), -32768, 32767).astype("<i2")


def run_part(part: str, path: Path, pcm: np.ndarray, prefix: list[str] | None = None) -> str:
    command = [*(prefix or []), *micropython_command(SCRIPT, part, str(path))]
    done = subprocess.run(command, input=pcm.tobytes(), capture_output=True, env=micropython_environment(), check=True)
    return done.stdout.decode() + done.stderr.decode()


def instructions(part: str, path: Path, seconds: int) -> int:
    """Native instructions of the whole process, by valgrind's callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = ["valgrind", "--tool=callgrind", "--smc-check=all-non-file", f"--callgrind-out-file={folder}/out"]
        report = run_part(part, path, speech(seconds), prefix)
    line = next(line for line in report.splitlines() if "Collected" in line)
    return int(line.split(":")[1].split()[0])


def count_instructions(path: Path) -> None:
    if not shutil.which("valgrind"):
        print("  native instructions: not counted, valgrind is missing (apt-get install valgrind)")
        return
    short, long = COUNTED_S
    rates = {part: (instructions(part, path, long) - instructions(part, path, short)) / (long - short) for part in
             ("read", "frontend", "detector")}  # fmt: skip
    print("  native x86-64 instructions a second of audio (callgrind):")
    print(f"    frontend                            {(rates['frontend'] - rates['read']) / 1e6:8.1f} M")
    print(f"    network, activity and glue          {(rates['detector'] - rates['frontend']) / 1e6:8.1f} M")


def cpu_s(work: Callable[[], object]) -> float:
    """Processor seconds of this process and of those that it waited for."""

    def spent_s() -> float:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system

    before_s = spent_s()
    work()
    return spent_s() - before_s


def time_parts(path: Path) -> None:
    from pymicro_features import MicroFrontend
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    pcm = speech(TIMED_S)

    def features() -> None:
        frontend, data = MicroFrontend(), pcm.tobytes()
        for at in range(0, len(data) - 319, 320):
            frontend.process_samples(data[at : at + 320])

    def wakeword() -> None:
        word, frontend = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
        for column in frontend.process_streaming(pcm.tobytes()):
            word.process_streaming_prob(column)

    print(f"  processor milliseconds a second of audio, {TIMED_S} s of speech in noise:")
    spent_s = {part: cpu_s(lambda part=part: run_part(part, path, pcm)) for part in PARTS}  # type: ignore[misc]
    for name, part, without in (
        ("frontend", "frontend", "read"), ("network", "network", "frontend"),
        ("whole gate", "detector", "read"),
    ):  # fmt: skip
        print(f"    lid.gate on MicroPython: {name:<30} {(spent_s[part] - spent_s[without]) * 1000 / TIMED_S:6.2f}")
    print(f"    pymicro-features (C++)                                 {cpu_s(features) * 1000 / TIMED_S:6.2f}")
    print(f"    pymicro-wakeword (TensorFlow Lite, features included)  {cpu_s(wakeword) * 1000 / TIMED_S:6.2f}")


def main() -> None:
    """Print the three tables."""
    model = models.load("alexa")
    with tempfile.TemporaryDirectory(prefix="earlid-bench-") as folder:
        path = Path(folder) / "alexa.elww"
        path.write_bytes(model.blob)
        heap = run_part("heap", path, speech(1)).split()[0]
        print(f"  heap of the gate with alexa, weights included: {heap} bytes (64-bit objects; limit on the board 65536)")
        time_parts(path)
        count_instructions(path)


if __name__ == "__main__":
    main()
