# SPDX-License-Identifier: MIT
"""The small install: what a fresh environment takes with `pip install earlid`, and how long its help computes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_MIB, MOST_HELP_S = 120, 0.25


def measure_bytes(folder: Path) -> int:
    """Bytes of all files and folders below, as `du` counts them: whole blocks, pip and compiled modules included."""
    return sum(os.lstat(Path(at) / name).st_blocks * 512 for at, folders, files in os.walk(folder) for name in folders + files)


def cpu_s(*command: str) -> float:
    """Processor time of a command, the least of seven runs."""
    used = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(used)


def main() -> None:
    """Print both figures."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, str(ROOT)]
        subprocess.run(build, check=True)
        (wheel,) = Path(folder).glob("earlid-*.whl")
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/v"], check=True)
        subprocess.run([f"{folder}/v/bin/pip", "install", "--quiet", str(wheel)], check=True)
        size = measure_bytes(Path(folder) / "v")
        print(f"  a fresh environment with `pip install earlid`: {size / 2**20:.0f} MiB (at most {MOST_MIB})")
        for verb in ([], ["watch"], ["review"], ["list"]):
            words = ["earlid", *verb, "--help"]
            used = cpu_s(f"{folder}/v/bin/earlid", *words[1:])
            print(f"  `{' '.join(words)}`: {used:.3f} s of processor time" + ("" if verb else f" (at most {MOST_HELP_S})"))


if __name__ == "__main__":
    main()
