# SPDX-License-Identifier: MIT
"""Trains the network of each seed in a process of its own, and makes of each what the board can run."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from earlid.errors import FAILED, UserError
from earlid.files import write_atomically
from earlid.train import material, workers

if TYPE_CHECKING:
    from earlid.train.columns import Progress
    from earlid.train.examples import Columns, Examples
    from earlid.train.fit import Settings

PROCESSES = 2
LOOK_EVERY_S = 1.0
CALIBRATED = 512  # windows of each kind by which the ranges of activations are found


class Candidate(NamedTuple):
    """A trained network: its file, the share of words that it missed on the part `stop` while it was trained, and its seed."""

    network: Path
    missed: float
    seed: int


def fit_all(seeds: Sequence[int], settings: Settings, folder: Path, stem: str, progress: Progress) -> list[Candidate]:
    """Train every seed, two at a time; each goes on from its own checkpoint.

    Args:
        folder: of the workspace, with `columns/` in it.
        stem: of the files that are made: of checkpoints, progress and networks.
        progress: told steps done, of all.

    Raises:
        UserError: a process died, or could not write.
    """
    total = settings.steps * len(seeds)
    with workers.pool(min(PROCESSES, len(seeds))) as pool:
        waiting: set[Future[Candidate]] = {
            pool.submit(fit_one, replace(settings, seed=seed), folder, f"{stem}-{seed}") for seed in seeds
        }
        done: list[Candidate] = []
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                done += [future.result() for future in finished]
                progress(sum(_steps_done(_steps_path(folder, f"{stem}-{seed}")) for seed in seeds), total)
        except BrokenProcessPool as error:
            raise UserError(
                "a training process died, perhaps for want of memory: end other programs, and give the same command again.",
                FAILED,
            ) from error
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
    return sorted(done, key=lambda candidate: candidate.seed)


def fit_one(settings: Settings, folder: Path, stem: str) -> Candidate:
    """Train one seed, and write its network as a file. In a process of its own: its sums have one order."""
    from earlid.train import fit, integers, tflite_file

    examples, stop = (material.load(part, folder / "columns") for part in ("fit", "stop"))
    steps = _steps_path(folder, stem)

    def progress(done: float, total: float) -> None:
        write_atomically(steps, f"{done:.0f}\n")

    checkpoint = folder / "checkpoints" / f"{stem}.pt"
    fitted = fit.fit(examples, stop, settings, checkpoint, progress)
    path = folder / "networks" / f"{stem}.tflite"
    write_atomically(
        path,
        tflite_file.write(integers.quantise(fitted.net, calibration_windows(examples, settings))),
        make_folder=True,
        next_step=material.NEXT_STEP,
    )
    return Candidate(path, fitted.missed, settings.seed)


def calibration_windows(examples: Examples, settings: Settings) -> Columns:
    """Windows uint8 [n, hops, 40] by which the ranges of activations are found: words, the largest of which are theirs, and what
    lacks the word."""
    from earlid.train.examples import drawn_windows, windows

    hops, rng = settings.shape.receptive_hops, np.random.default_rng(settings.seed)
    said = [heard for heard in (examples.words, examples.owner) if heard is not None]
    words = [drawn_windows(heard, CALIBRATED, (0, settings.late[0]), hops, rng)[0] for heard in said]
    last = rng.integers(hops, len(examples.negatives), CALIBRATED)
    return np.concatenate([*words, windows(examples.negatives, last, hops)])


def _steps_path(folder: Path, stem: str) -> Path:
    return folder / "checkpoints" / f"{stem}.steps"


def _steps_done(path: Path) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 0.0
