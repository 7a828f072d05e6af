# SPDX-License-Identifier: MIT
"""`make bench`: every figure that the documents quote, in one run. Nothing here passes or fails."""

from __future__ import annotations

import importlib
import os
import platform
import sys
import traceback

PARTS = (
    ("The gate on this machine", "tests.bench.gate"),
    ("The gate on an emulated ESP32 core", "tests.xtensa.bench_gate"),
    ("The whole virtual board", "tests.bench.board"),
    ("Deploying firmware", "tests.flash.bench_deploy"),
    ("The ledger", "tests.ledger.bench_ledger"),
    ("Sixteen boards on one watch", "tests.collect.bench_watch"),
    ("The review page", "tests.page.bench_page"),
    ("The small install", "tests.bench.small_install"),
)


def main() -> int:
    """Run the parts, or those whose module names contain a word of the command line; 1 when one could not run."""
    failed = 0
    load, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{platform.machine()}, {cores} processors, load {load:.1f} before it began: what is timed wants one below 1")
    chosen = sys.argv[1:]
    for title, module in PARTS:
        if chosen and not any(word in module for word in chosen):
            continue
        print(f"\n{title}", flush=True)
        try:
            sys.argv = [module]  # a part with options of its own must not read ours
            importlib.import_module(module).main()
        except Exception:
            traceback.print_exc()
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
