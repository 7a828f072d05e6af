# SPDX-License-Identifier: MIT
"""Each file of the corpus once through its reader, without a fuzzer; a few changes through those in JavaScript; and a planted
fault, which is found and made small."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.worker import CORPUS, minimise

ROOT = Path(__file__).parents[2]
SEED = 20261127


def in_a_process(*words: str) -> str:
    """What a Python says: targets replace parts of the firmware, and set folders."""
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_corpus_is_read_and_refused_by_each_target():
    rows = [line.split() for line in in_a_process("-m", "tests.fuzz.worker", "--corpus").splitlines()]
    assert sorted(name for name, _, _ in rows) == sorted(path.name for path in CORPUS.iterdir())
    for name, read, refused in rows:
        assert int(read) > 0, f"{name}: nothing in its corpus shows that it can read"
        assert int(refused) > 0, f"{name}: nothing in its corpus is refused"
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 40_000


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here (apt-get install npm)")
def test_mutated_input_throws_nowhere_in_javascript():
    assert in_a_process("-m", "tests.fuzz.javascript", str(SEED), "400").strip() == "nothing found"


def test_input_that_ends_in_an_error_is_made_small():
    def read(data: bytes) -> None:
        if b"\x07" in data:
            raise KeyError

    assert minimise(read, bytes(range(200))) == b"\x07"


def test_undocumented_error_is_no_refusal():
    code = "from tests.fuzz.targets import is_read; is_read(lambda: {}['x'], ValueError)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "KeyError" in done.stderr
