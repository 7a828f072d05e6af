# SPDX-License-Identifier: MIT
"""One evaluation: plans tasks, runs those without a cached result, sums up, writes tables and plots."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lid import config

from earlid.door import plain
from earlid.errors import FAILED, USAGE, UserError
from earlid.evaluate import engines, measure, output, summary
from earlid.evaluate.baseline import compare_with_pymicro
from earlid.evaluate.recordings import Recording, UnreadableFile, scan_recordings
from earlid.evaluate.result_cache import ResultCache
from earlid.evaluate.tasks import Condition, Task, plan_tasks
from earlid.files import read_json
from earlid.gate import models

SNR_LOWEST_DB, SNR_HIGHEST_DB = -20, 60


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of the verb."""

    positives: Path
    negatives: Path
    model: str
    config: Path | None = None
    snr_db: float | None = 10.0
    noise: Path | None = None
    out: Path = Path("earlid-evaluation")
    workers: int | None = None
    scheduler: str | None = None
    yardstick_min: float | None = None
    seed: int = 0


def read_settings(path: Path | None) -> dict[str, int]:
    """A complete configuration: the firmware's defaults, with a file's settings put in.

    Args:
        path: JSON, either the settings themselves or an object that holds them as `config`.

    Raises:
        UserError: naming the setting and its range.
    """
    if path is None:
        return dict(config.defaults())
    values = read_json(path)
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = {name: value for name, value in values["config"].items() if name not in config.GONE}
    try:
        return dict(config.complete(values))
    except ValueError as error:
        raise UserError(f"{path}: {plain(error)}", USAGE) from error


def _check_options(options: EvaluationOptions) -> None:
    if options.workers is not None and options.workers < 1:
        raise UserError("--workers must be 1 or more", USAGE)
    if options.snr_db is not None and not SNR_LOWEST_DB <= options.snr_db <= SNR_HIGHEST_DB:
        raise UserError(f"--snr must be from {SNR_LOWEST_DB} to {SNR_HIGHEST_DB} dB", USAGE)
    if options.seed < 0:
        raise UserError("--seed must be 0 or more", USAGE)
    if options.yardstick_min is not None and not options.yardstick_min > 0:
        raise UserError("--yardstick takes minutes above 0", USAGE)
    if options.scheduler is not None and not re.fullmatch(r"\w+://[^/]+:\d+", options.scheduler):
        raise UserError(f"--scheduler {options.scheduler}: an address as tcp://host:8786 is needed", USAGE)


class Evaluation:
    """Runs one evaluation.

    Raises:
        UserError: folders, settings or model that cannot be used.
    """

    def __init__(self, options: EvaluationOptions) -> None:
        self._options = options
        _check_options(options)
        self._settings = read_settings(options.config)
        self._model = models.load(options.model)
        window, cutoff_sum = self._model.decided(self._settings["decision"])
        self._cutoff_q8 = self._settings["cutoff_q8"] or cutoff_sum // window
        self._left_out: list[UnreadableFile] = []

    def run(self, as_json: bool = False) -> int:
        """Run to the end; the result goes to stdout (`as_json`) or stderr, and into the output folder.

        Returns:
            0, or 1 when files had to be left out.
        """
        options = self._options
        started_s = time.monotonic()
        with ResultCache(options.out / "state.jsonl") as cache:
            tasks = self._plan_tasks(cache)
            remaining = [task for task in tasks if cache.get(task.key) is None]
            if len(remaining) < len(tasks):
                print(f"{len(tasks) - len(remaining)} of {len(tasks)} streams are done already", file=sys.stderr)
            run_now_s = 0.0
            seconds = {task.key: task.seconds for task in remaining}
            try:
                with output.progress(sum(seconds.values()), "evaluating") as advance:
                    for result in self._results(remaining):
                        if cache.put(result):
                            run_now_s += result["audio_s"]
                            advance(seconds[result["key"]])
            except KeyboardInterrupt:
                done = sum(cache.get(task.key) is not None for task in tasks)
                print(f"{done} of {len(tasks)} streams are kept: the same command goes on from here", file=sys.stderr)
                raise
            # By a task's own names: settings with the same numbers share a result
            results = [(cache.get(task.key) or {}) | task.describe() for task in tasks]
        wall_s = time.monotonic() - started_s
        totals = summary.sum_results(results, [self._cutoff_q8])
        totals.broken += [(item.name, item.reason) for item in self._left_out if item.sound]
        totals.ignored += [item.name for item in self._left_out if not item.sound]
        document = self._document(totals, wall_s, run_now_s)
        if options.yardstick_min:
            document["yardstick"] = compare_with_pymicro(tasks, self._model, options.yardstick_min * 60)
        output.write_results(options.out, totals, document, self._cutoff_q8)
        if as_json:
            print(json.dumps(document))
        output.print_results(totals, document, self._cutoff_q8, options.out)
        return FAILED if totals.broken else 0

    def _plan_tasks(self, cache: ResultCache) -> list[Task]:
        options = self._options

        def list_recordings(folder: Path) -> list[Recording]:
            recordings, left_out = scan_recordings(folder, cache.digest_of, cache.store_digest)
            self._left_out += left_out
            if not recordings:
                broken = [item for item in left_out if item.sound]
                raise UserError(f"{folder}: none of its sound files can be read: {broken[0].name}: {broken[0].reason}", USAGE)
            return recordings

        conditions = [Condition()]
        if options.snr_db is not None:
            noise = list_recordings(options.noise) if options.noise else []
            conditions.append(Condition(options.snr_db, tuple(noise)))
        return plan_tasks(
            list_recordings(options.positives), list_recordings(options.negatives), conditions,
            options.model, self._model.digest.hex(), measure.code_digest(), options.seed,
            self._settings["decision"],
        )  # fmt: skip

    def _results(self, tasks: list[Task]) -> Iterator[dict[str, Any]]:
        if not tasks:
            return iter(())
        if self._options.scheduler:
            return engines.run_dask(tasks, self._options.scheduler)
        return engines.run_local(tasks, self._options.workers or engines.cpu_count())

    def _document(self, totals: summary.EvaluationTotals, wall_s: float, run_now_s: float) -> dict[str, Any]:
        return {
            "model": self._model.name, "model_digest": self._model.digest.hex(), "word": self._model.manifest.wake_word,
            "code_digest": measure.code_digest(), "config": self._settings, "cutoff": self._cutoff_q8,
            "seed": self._options.seed, "wall_s": round(wall_s, 2), "run_now_hours": round(run_now_s / 3600, 4),
        } | summary.to_json(totals, self._cutoff_q8)  # fmt: skip
