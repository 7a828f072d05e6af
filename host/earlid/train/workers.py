# SPDX-License-Identifier: MIT
"""Worker processes of a training: they leave Ctrl-C to their parent, and end when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def pool(processes: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()) -> ProcessPoolExecutor:
    """So many processes, each of which calls `initializer` first."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads of PyTorch and NumPy half
    return ProcessPoolExecutor(processes, context, _begin, (initializer, initargs))


def _begin(initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*initargs)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()  # the executor's own pipes do not tell that it is gone
        os._exit(1)
