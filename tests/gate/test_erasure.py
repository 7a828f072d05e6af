# SPDX-License-Identifier: MIT
"""Mute erases sound: nothing of what was heard stays in any buffer, whatever ends the hearing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from earlid import firmware
from earlid.gate import models, runner

SCRIPT = Path(__file__).parent / "mp_erasure.py"
NOT_ZERO = {  # of what sound changes: how rows of activations begin (their zero points), and the middle of the slots' range
    "hearing._detector.network._arena", "hearing.pcm._state",
}  # fmt: skip
FRONTEND_ERASURE = "            arena.fill_words(buffer, 0, 0, _CHANNELS // 2 if buffer is self.features else len(buffer) // 4)\n"
ERASURES = [  # file, a line that stands there once
    ("hearing.py", "        fill_words(self.slots, 0, 0, HOP_SAMPLES)  # type: ignore[arg-type]\n"),
    ("hearing.py", "        self.pcm.reset()\n"),
    ("hearing.py", "            self._detector.reset()\n"),
    ("gate/pcm.py", "        fill_words(self._state, _OFFSET, 0, 3)  # the mean starts in the middle: 2^10 times 2^19\n"),
    ("gate/pcm.py", "        fill_words(self.hop, 0, 0, _HOP_BYTES // 4)\n"),
    ("gate/detector.py", "        super().reset()\n"),
    ("gate/frontend.py", "        self._count[0] = 0\n"),
    ("gate/frontend.py", FRONTEND_ERASURE),
    ("gate/wakeword.py", "            self._recent[i] = 0\n"),
    ("gate/wakeword.py", "        arena.fill_words(self._mean_state, 0, 0, 3)\n"),
    ("gate/wakeword.py", "        arena.fill_words(self._fused_state, 0, 0, FUSED_WORDS)\n"),
    ("gate/wakeword.py", "            self._fused[i] = 0\n"),
    ("gate/wakeword.py", "        arena.fill_words(self._arena, 0, at, count)\n"),
    ("gate/wakeword.py", "            arena.fill_rows(self._arena, *initial[at + 2 : at + _INITIAL_WORDS])\n"),
]


def run(folder: Path, root: Path, name: str = "alexa", decision: int = 0) -> dict[str, Any]:
    path = folder / "word.elww"
    path.write_bytes(models.load(name).blob)
    done = subprocess.run(
        runner.micropython_command(SCRIPT, str(path), str(decision)),
        env={**os.environ, "MICROPYPATH": str(root)}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("name", "decision"), [*((name, 0) for name in models.builtin_names()), ("alexa", 1)])
def test_nothing_heard_stays_in_any_buffer(tmp_path: Path, name: str, decision: int) -> None:
    found = run(tmp_path, firmware.root(), name, decision)
    assert set(found["left"]) == {"mute", "unmute", "fault", "room", "probe"}
    assert not any(found["left"].values()), found["left"]
    assert {path[path.index("hearing") :] for path, values in found["heard"].items() if values} == NOT_ZERO
    text = " ".join(found["heard"])
    parts = ["slots", "pcm.hop", "_arena", *["_fused", "_fused_state"] * decision]
    assert [part for part in parts if part not in text] == [], "the walk did not come to it, or it held no sound"
    assert sum("._detector._buffers" in path for path in found["heard"]) >= 8, text


@pytest.mark.parametrize(("file", "line"), ERASURES, ids=[f"{file}-{line.split('#')[0].strip()}" for file, line in ERASURES])
def test_erasure_left_out_is_noticed(tmp_path: Path, file: str, line: str) -> None:
    shutil.copytree(firmware.root() / "lid", tmp_path / "lid", ignore=shutil.ignore_patterns("__pycache__"))
    text = (tmp_path / "lid" / file).read_text()
    assert text.count(line) == 1, "the erasure was renamed"
    (tmp_path / "lid" / file).write_text(text.replace(line, line[: len(line) - len(line.lstrip())] + "pass\n"))
    assert any(run(tmp_path, tmp_path, decision=int("_fused" in line))["left"].values())
