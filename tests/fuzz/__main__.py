# SPDX-License-Identifier: MIT
"""Fuzzes every reader of foreign bytes for a time that they share: `make fuzz [SECONDS=600] [ARGS="TARGET... --seed N"]`.

What a reader reaches is kept in build/fuzz/TARGET and built on the next time; what it should not do is kept beside it, in
build/fuzz/TARGET.found, made small, with the command that repeats it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import javascript
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import CORPUS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "fuzz"
MAX_BYTES = 8192  # of an input
ONE_INPUT_S = 20
MEMORY_MB = 2048
JAVASCRIPT_INPUTS = 4000
_PROGRESS = re.compile(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: \d+ corp: (\d+)/", re.MULTILINE)


class Outcome(NamedTuple):
    """What a run came to: inputs tried, edges of code reached, inputs kept for what they reach, files of what was found."""

    executions: int
    edges: int
    kept: int
    found: list[Path]
    log: str


def worker(*words: str) -> list[str]:
    """The command of a process of one target."""
    return [sys.executable, "-m", "tests.fuzz.worker", *words]


def run(name: str, seconds: int, seed: int) -> Outcome:
    """Fuzz a target for so long, or until it does what it should not."""
    kept, found = KEPT / name, KEPT / f"{name}.found"
    shutil.rmtree(found, ignore_errors=True)
    for folder in (kept, found):
        folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MAX_BYTES}", f"-timeout={ONE_INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={found}/",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="earlid-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as scratch:
        done = subprocess.run(
            worker(name, "--fuzz", str(kept), str(CORPUS / name), *options), cwd=ROOT, env={**os.environ, "TMPDIR": scratch},
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        artefacts = sorted(found.iterdir())
        for path in artefacts:
            if path.name.startswith("crash-"):
                small = worker(name, "--minimise", str(path), str(path.with_suffix(".small")))
                subprocess.run(small, cwd=ROOT, env={**os.environ, "TMPDIR": scratch}, capture_output=True, check=False)
    progress = _PROGRESS.findall(done.stderr)
    executions, edges, inputs = map(int, progress[-1]) if progress else (0, 0, 0)
    if done.returncode and not artefacts:
        (found / "log").write_text(done.stdout + done.stderr, encoding="utf-8")
    said = "\n".join(line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("#", "INFO")))
    return Outcome(executions, edges, inputs, sorted(found.iterdir()), said)


def main() -> int:
    """Every target, or those named; 1 when something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the readers of foreign bytes.")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all when none is named")
    parser.add_argument("--seconds", type=int, default=600, help="in all")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    each_s = max(5, options.seconds // len(names))
    print(f"seed {options.seed}, {each_s} s a target")
    print(f"{'target':<20}{'executions':>12}{'a second':>10}{'edges':>8}{'kept':>7}", flush=True)
    failed = False
    for name in names:
        outcome = run(name, each_s, options.seed)
        rate = outcome.executions // each_s
        print(f"{name:<20}{outcome.executions:>12,}{rate:>10,}{outcome.edges:>8,}{outcome.kept:>7,}", flush=True)
        if outcome.found:
            failed = True
            print(outcome.log[-2000:])
            for path in outcome.found:
                print(f"  FOUND: python -m tests.fuzz.worker {name} {path.relative_to(ROOT)}")
    if not options.targets:
        found = javascript.run(JAVASCRIPT_INPUTS, options.seed)
        print(f"JavaScript          {JAVASCRIPT_INPUTS:>12,}" + (f"\n  FOUND: {found}" if found else ""))
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
