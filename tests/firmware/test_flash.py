# SPDX-License-Identifier: MIT
"""Nothing acknowledged is lost to a power cut: the journal and the configuration on a real littlefs, cut at every write."""

import os
import re
import subprocess
import sys
from pathlib import Path

import lid
import pytest

FIRMWARE = Path(lid.__file__).parent.parent
MICROPYTHON = str(Path(sys.executable).parent / "micropython")
WORLD = Path(__file__).parent / "flash_world.py"


def run_world(seed: int, mode: str, first: int, last: int, step: int = 1) -> tuple[subprocess.CompletedProcess, str]:
    done = subprocess.run(
        [MICROPYTHON, "-X", "heapsize=64M", str(WORLD), str(seed), mode, str(first), str(last), str(step)],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"seed {seed}: {done.stdout.strip()}")
    return done, f"seed {seed}, {mode}\n{done.stdout}\n{done.stderr[-3000:]}"


def counts(done: subprocess.CompletedProcess) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("part", range(2))
def test_a_cut_at_every_write_of_a_scripted_hour(part, seed):
    """Each of the hour's writes in turn is the last one, torn: the odd ones here, the even ones there."""
    done, told = run_world(seed, "every", 1 + part, 100000, 2)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["cuts"] == seen["runs"] > 500, told


def test_cuts_at_random_writes_of_a_long_run(seed):
    done, told = run_world(seed, "random", 1, 600, 10)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["cuts"] >= seen["runs"] == 60, told
    assert seen["again"] > 3, told


def test_a_cut_at_any_write_while_a_full_ring_gives_way(seed):
    """The oldest segment goes for a new one: what nobody had read is counted, whenever the power goes."""
    done, told = run_world(seed, "ring", 1 + seed % 4, 100000, 4)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["cuts"] == seen["runs"] > 100, told


def test_the_ring_wraps_and_counts_what_nobody_read(seed):
    done, told = run_world(seed, "wrap", 96, 9000)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["oldest"] > 1000, told
    # What was acknowledged went uncounted; of the rest, before and after, exactly what is gone was counted.
    assert seen["lost"] == seen["gone"] + max(0, seen["oldest"] - 1 - seen["acked"]), told
    assert seen["lost"] > 500, told


def test_the_cuts_find_a_planted_careless_write(seed):
    done, told = run_world(seed, "planted", 1050, 100000, 1)  # the first change of the configuration is not far
    assert done.returncode != 0, told
    assert "configuration" in done.stderr or "configuration" in done.stdout, told


@pytest.mark.soak
def test_a_cut_at_every_write_while_a_full_ring_gives_way(seed):
    done, told = run_world(seed, "ring", 1, 100000)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["cuts"] == seen["runs"] > 400, told


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_cuts(part, seed):
    """10,000 runs, each cut at a random write of a long random history; a quarter of them again, soon after the restart."""
    done, told = run_world(seed, "random", 1, 5000, 5)
    assert done.returncode == 0, told
    seen = counts(done)
    assert seen["cuts"] >= seen["runs"] == 1000, told
    assert seen["again"] > 150, told
