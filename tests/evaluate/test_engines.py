# SPDX-License-Identifier: MIT
"""Parallel runs in processes and on a Dask cluster: a killed worker loses no result, and none counts twice."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest
from earlid.errors import UserError
from earlid.evaluate import engines, measure
from earlid.evaluate.recordings import scan_recordings
from earlid.evaluate.tasks import Condition, plan_tasks
from earlid.gate import models

from tests.evaluate.conftest import write_noise

LIMIT_S = 120.0


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Eight streams of 12 s, and what each should come to."""
    folder = tmp_path_factory.mktemp("streams")
    write_noise(folder, files=[f"{kind}_1" for kind in ("a", "b", "c", "d", "e", "f", "talk", "talker")])
    model = models.load("alexa")
    planned = plan_tasks([], scan_recordings(folder)[0], [Condition()], "alexa", model.digest.hex(), measure.code_digest(), 0)
    return planned, {task.key: measure.run_task(task) for task in planned}


def alike(result):
    return {name: value for name, value in result.items() if name not in ("wall_s", "cpu_s")}


def check(results, expected):
    keys = [result["key"] for result in results]
    assert sorted(keys) == sorted(expected), "a stream is missing or counted twice"
    for result in results:
        assert alike(result) == alike(expected[result["key"]])


def kill_one_child():
    """SIGKILL one process of this interpreter's pool."""
    os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def test_killed_worker_loses_no_result(tasks):
    results = []
    for result in engines.run_local(tasks[0], 2):
        if not results:
            kill_one_child()
        results.append(result)
    check(results, tasks[1])


def test_workers_that_keep_dying_are_an_error(tasks):
    with pytest.raises(UserError, match="died 3 times"):
        list(engines.run_local([_Deadly(task) for task in tasks[0][:1]], 1))


class _Deadly:
    """A task whose arrival ends the process."""

    def __init__(self, task):
        self.key = task.key

    def __reduce__(self):
        return os._exit, (9,)


def test_missing_scheduler_is_an_error(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(engines, "CONNECT_S", 1)
    with pytest.raises(UserError, match="no Dask scheduler"):
        list(engines.run_dask([], "tcp://127.0.0.1:9"))


class Cluster:
    """A Dask scheduler and workers, each a process of its own, as `dask scheduler` and `dask worker` start them."""

    def __init__(self, folder):
        self._folder = folder
        self._processes = []
        self.address = ""
        scheduler_file = folder / "scheduler.json"
        self._start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1", "--scheduler-file", scheduler_file)
        end_s = time.monotonic() + LIMIT_S
        while not self.address:
            assert time.monotonic() < end_s, (folder / "0.log").read_text()
            time.sleep(0.05)
            with contextlib.suppress(OSError, ValueError):  # not there yet, or not whole
                self.address = json.loads(scheduler_file.read_text())["address"]

    def _start(self, *words):
        command = [sys.executable, "-m", "dask", *map(str, words)]
        log = (self._folder / f"{len(self._processes)}.log").open("wb")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._folder)
        self._processes.append(process)
        return process

    def worker(self):
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--local-directory", self._folder
        )

    def close(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    pytest.importorskip("distributed")
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_cluster_that_loses_a_worker_loses_no_result(tasks, cluster):
    victim, _ = cluster.worker(), cluster.worker()
    results = []
    for result in engines.run_dask(tasks[0], cluster.address):
        if not results:
            victim.kill()
        results.append(result)
    check(results, tasks[1])
    assert victim.wait() == -signal.SIGKILL
