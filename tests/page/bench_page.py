# SPDX-License-Identifier: MIT
"""Benchmark of the page with very many records: `python -m tests.page.bench_page [--records 200000] [--check]`.

First paint and first drawing of the data, for a file and for the live server (its ledger made for this, sealed records);
then how long a frame takes while the view moves, and for each kind of interaction what the browser says the worst took
until it was on the screen, and the processor time of its longest task, which other programs do not stretch.
Then how long a report takes to check itself, and the longest that the page stood still meanwhile.
With --check, more than 2 s of first drawing, 80 ms of such a task, or 3 s of checking ends with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from earlid.ledger.location import locate
from earlid.ledger.store import Ledger

from tests.page.chromium import browser, wait
from tests.page.heavy import heavy_page
from tests.page.interactions import WATCH, costs
from tests.page.synthetic import CUTOFF, KITCHEN, SyntheticBoard

FIRST_MS_MAX = 2000
TASK_MS_MAX = 80
CHECK_S_MAX = 3.0
# Clicks, and waits until the check has said what it found; resolves to its time, and the longest between two frames.
CHECK = """() => new Promise((done) => {
    const began = performance.now();
    let last = began, longest = 0;
    document.querySelector("#prove").click();
    const frame = (now) => {
        longest = Math.max(longest, now - last);
        last = now;
        if (document.querySelector("#proven h3")) done([performance.now() - began, longest]);
        else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
})"""


def fill(path: Path, records: int) -> None:
    """A ledger of one board: a year of openings and near misses, three records of every four an opening's."""
    end_ms = int(time.time() * 1000) - 60_000
    step_ms = 365 * 86_400_000 * 3 // records
    at_ms = end_ms - records // 3 * step_ms
    board = SyntheticBoard(KITCHEN, at_ms)
    board.start(at_ms)
    began_s = time.perf_counter()
    with Ledger(locate(str(path))) as ledger:
        while at_ms < end_ms - step_ms:
            at_ms += step_ms
            board.opening(at_ms, "word", 4000, "silence", 201 + at_ms // 1000 % 50)
            board.add(at_ms + 20_000, "near-miss", "word", score=140 + at_ms // 1000 % 60, a=140, b=CUTOFF)
        ledger.add(KITCHEN, board.slots, end_ms)
    print(f"made a ledger of {board.seq:,} records in {time.perf_counter() - began_s:.0f} s", file=sys.stderr)


def measure(chromium: Any, url: str, name: str) -> tuple[float, float]:
    """Prints a page's figures; returns ms of the first drawing of its data, and of the longest task of an interaction."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_selector("#list tbody tr", timeout=120_000)
    wait(
        lambda: page.evaluate(
            "earlid.ledger.header.whole && document.querySelector('#verdicts').children.length > 1 ||"
            "earlid.ledger.header.verdicts !== undefined"
        ),
        120,
    )
    whole_ms = page.evaluate("performance.now()")
    page.wait_for_timeout(500)
    painted_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    drawn_ms = page.evaluate("performance.getEntriesByName('earlid drawn')[0].startTime")
    rows = page.evaluate("earlid.ledger.openings.rows + earlid.ledger.points.rows")
    found = list(costs(chromium, page))
    frames = page.evaluate(
        "() => { const took = []; for (let turn = 0; turn < 40; turn += 1) { const began = performance.now();"
        "earlid.view.zoom(turn % 20 < 10 ? 0.7 : 1.43); earlid.timeline.draw(); earlid.days.draw();"
        "took.push(performance.now() - began); } return took.slice(5); }"
    )
    page.close()
    print(f"{name}, {rows:,} rows")
    print(f"  first paint {painted_ms:.0f} ms, last days drawn {drawn_ms:.0f} ms, all there and checked {whole_ms:.0f} ms")
    for cost in found:
        print(
            f"  {cost.name:22} at worst {cost.shown_ms:3.0f} ms to the screen, {cost.task_cpu_ms:3.0f} ms of processor in a task"
        )
    print(f"  drawing a frame {statistics.median(frames):.1f} ms median, {max(frames):.1f} ms worst")
    return drawn_ms, max(cost.task_cpu_ms for cost in found)


def measure_check(chromium: Any, url: str) -> float:
    """Prints how long a report takes to check itself, the shortest of three times; returns seconds."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector("#list tbody tr", timeout=120_000)
    page.wait_for_selector("#proof-state:not(:empty)", timeout=120_000)
    page.wait_for_timeout(500)
    took_ms, longest_ms = min(page.evaluate(CHECK) for _ in range(3))
    print(f"  checks itself in {took_ms / 1000:.2f} s ({page.inner_text('#proof-state')}), longest frame {longest_ms:.0f} ms")
    page.close()
    return took_ms / 1000


def main() -> int:
    """Measure file and server; 1 when --check finds them slow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, browser() as chromium:
        os.environ["EARLID_DATA_DIR"] = scratch
        file = Path(scratch) / "report.html"
        file.write_text(heavy_page(args.records // 2, args.records // 2))
        found = [measure(chromium, file.as_uri(), f"file of {file.stat().st_size / 1e6:.1f} MB")]
        ledger = Path(scratch) / "ledger.sqlite"
        fill(ledger, args.records)
        began_s = time.perf_counter()
        made = Path(scratch) / "made.html"
        words = ["review", "--html", str(made), "--ledger", str(ledger)]
        subprocess.run([sys.executable, "-m", "earlid.cli", *words], check=True)
        print(f"`review --html`, chain checked: {time.perf_counter() - began_s:.1f} s from process start, "
              f"{made.stat().st_size / 1e6:.1f} MB")  # fmt: skip
        check_s = measure_check(chromium, made.as_uri())
        words = ["review", "--serve", "--no-browser", "--ledger", str(ledger)]
        child = subprocess.Popen([sys.executable, "-m", "earlid.cli", *words], stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            url = child.stdout.readline().strip()
            found.append(measure(chromium, url, "live, at the server's start"))
            found.append(measure(chromium, url, "live, opened again"))
        finally:
            child.terminate()
            child.wait(10)
    slow = check_s > CHECK_S_MAX or any(drawn > FIRST_MS_MAX or task > TASK_MS_MAX for drawn, task in found)
    return 1 if args.check and slow else 0


if __name__ == "__main__":
    sys.exit(main())
