# SPDX-License-Identifier: MIT
"""`make bench-detection`: every engine over the same streams; then tables and plots. A run that was killed goes on.

    python -m tests.bench.detection [--quick] [--half held|dev|both] [--engines NAME ...] [--conditions NAME ...] [--report FILE]

Results lie in `EARLID_BENCH_CACHE` (`build/bench-detection`), named by the digest of the samples, of the engine and its setting.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from earlid.evaluate.result_cache import ResultCache

from tests.bench.detection import conditions, count, data, engines, peers, report
from tests.bench.detection.job import Job, pieces, run, run_key

WORKERS = 2


def plan(options: argparse.Namespace) -> list[Job]:
    """Jobs, those that every engine takes part in first; conditions without data are named and left out."""
    jobs = []
    halves: tuple[data.Half, ...] = data.HALVES if options.half == "both" else (options.half,)
    for condition in sorted(conditions.TABLE, key=lambda condition: engines.rank(condition.name)):
        if options.conditions and condition.name not in options.conditions:
            continue
        names = tuple(
            name for name in engines.ENGINES
            if (not options.engines or name in options.engines) and engines.hears(name, condition.name, options.quick)
        )  # fmt: skip
        for half in halves:
            try:
                parts = pieces(condition.name, half, options.quick)
            except data.Missing as missing:
                print(f"{condition.name}, {half}: left out: {missing}", file=sys.stderr)
                continue
            jobs += [Job(condition.name, half, number, options.quick, names) for number in range(len(parts)) if names]
    return jobs


def _taking_part(jobs: list[Job]) -> dict[str, peers.Engine]:
    """The engines that take part; the others need not be installed."""
    taking_part = {name for job in jobs for name in job.engines}
    return {name: make() for name, make in engines.ENGINES.items() if name in taking_part}


def measure(jobs: list[Job], cache: ResultCache) -> None:
    """Run what has no result yet."""
    keys = _taking_part(jobs)
    waiting = []
    for job in jobs:
        stream = cache.get(job.stream_key())
        if stream is None or any(cache.get(run_key(stream["samples"], keys[name])) is None for name in job.engines):
            waiting.append(job)
    print(f"{len(jobs) - len(waiting)} of {len(jobs)} streams are done already", file=sys.stderr)
    started_s = time.monotonic()
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        known = cache.keys()
        futures = {pool.submit(run, job, known): job for job in waiting}
        for number, future in enumerate(as_completed(futures), 1):
            for result in future.result():
                cache.put(result)
            spent_s = time.monotonic() - started_s
            print(f"{number}/{len(waiting)} {spent_s:.0f} s {futures[future].name}", file=sys.stderr, flush=True)


def collect(jobs: list[Job], cache: ResultCache) -> report.Results:
    """Counts of each engine in each condition and half, over the streams that every engine there has heard."""
    keys = _taking_part(jobs)
    found: dict[tuple[str, str], list[dict[str, dict[str, Any]]]] = {}
    for job in jobs:
        stream = cache.get(job.stream_key())
        results = {name: cache.get(run_key(stream["samples"], keys[name])) for name in job.engines} if stream else {}
        found.setdefault((job.half, job.condition), []).append({name: each for name, each in results.items() if each})
    collected: report.Results = {}
    for (half, condition), streams in found.items():
        taking_part = {name for stream in streams for name in stream}
        parts = [stream for stream in streams if stream and len(stream) == len(taking_part)]
        for name in keys:
            if parts and name in taking_part:
                collected[half, condition, name] = count.total(_counts(stream[name]) for stream in parts)
    return collected


def _counts(result: dict[str, Any]) -> count.Counts:
    events = result.get("events")
    return count.Counts(
        result.get("words", []), result.get("ends_ms", []), [] if events is None else [events],
        0.0 if events is None else result["audio_s"] / 3600, result["audio_s"], result["cpu_s"],
    )  # fmt: skip


def main() -> int:
    """Run; 1 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detection", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes: the first words and minutes of the main conditions")
    parser.add_argument("--half", choices=("held", "dev", "both"), default="held")
    parser.add_argument("--engines", nargs="+", choices=list(engines.ENGINES), metavar="NAME", help=", ".join(engines.ENGINES))
    parser.add_argument("--conditions", nargs="+", metavar="NAME", choices=[each.name for each in conditions.TABLE])
    parser.add_argument("--report", type=Path, help="write the report there, its plots beside it")
    parser.add_argument("--no-runs", action="store_true", help="only what is in the cache")
    options = parser.parse_args()
    jobs = plan(options)
    if not jobs:
        return 1
    with ResultCache(data.cache() / "results.jsonl") as cache:
        if not options.no_runs:
            measure(jobs, cache)
        results = collect(jobs, cache)
    out = options.report or data.cache() / "report.md"
    out.parent.mkdir(parents=True, exist_ok=True)
    arguments = " ".join(f'"{each}"' if " " in each else each for each in sys.argv[1:])
    command = "make bench-detection" + (f" ARGS='{arguments}'" if arguments else "")
    text = report.write(results, out, command)
    (data.cache() / "results.json").write_text(json.dumps(report.as_json(results), indent=1))
    print(text)
    print(f"report: {out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
