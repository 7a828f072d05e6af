# SPDX-License-Identifier: MIT
"""Runs tasks in parallel: in processes of this machine, or on a Dask cluster. Each result comes as soon as it is ready."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from earlid.errors import FAILED, USAGE, UserError
from earlid.evaluate import measure
from earlid.evaluate.tasks import Task

DEATHS_MAX = 3  # of worker processes, in a row without a result between them
WAITING_PER_WORKER = 3  # tasks handed out ahead
CONNECT_S = 20


def cpu_count() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_local(tasks: Sequence[Task], workers: int) -> Iterator[dict[str, Any]]:
    """Run tasks in processes; results in the order they are ready.

    A worker that dies takes its pool with it: a new pool goes on with what has no result yet.

    Raises:
        UserError: a task failed, or workers keep dying.
    """
    remaining = {task.key: task for task in tasks}
    deaths = 0
    while remaining:
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
        try:
            for result in _run_in_pool(pool, list(remaining.values()), workers):
                deaths = 0
                del remaining[result["key"]]
                yield result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths >= DEATHS_MAX:
                raise UserError(
                    f"worker processes died {deaths} times in a row (out of memory?); try --workers 1", FAILED
                ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _run_in_pool(pool: ProcessPoolExecutor, tasks: list[Task], workers: int) -> Iterator[dict[str, Any]]:
    waiting: set[Future[dict[str, Any]]] = set()
    queue = iter(tasks)
    while True:
        for task in queue:
            waiting.add(pool.submit(measure.run_task, task))
            if len(waiting) >= workers * WAITING_PER_WORKER:
                break
        if not waiting:
            return
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        broken: BaseException | None = None
        for future in done:
            error = future.exception()
            if error is None:
                yield future.result()
            elif not isinstance(error, BrokenProcessPool):
                raise error
            else:
                broken = error
        if broken is not None:
            raise broken


def run_dask(tasks: Sequence[Task], address: str) -> Iterator[dict[str, Any]]:
    """Run tasks on a Dask cluster that is already there; its workers see the recordings under the same paths.

    Dask gives the tasks of a worker that is lost to others; a task's key is its result's, so that none counts twice.

    Args:
        address: of the scheduler, as `tcp://host:8786`.

    Raises:
        UserError: no scheduler there, or a task failed.
    """
    from distributed import Client, as_completed  # here and on the workers

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(f"no Dask scheduler answers at {address}: {error}", USAGE) from error
    with client:
        futures = [client.submit(measure.run_task, task, key=f"earlid-{task.key}", retries=2) for task in tasks]
        for future in as_completed(futures, loop=client.loop):
            failure = future.exception()
            if isinstance(failure, UserError):
                raise failure
            if failure is not None:
                raise UserError(f"a worker of the cluster failed: {failure}", FAILED) from failure
            yield future.result()
            future.release()
