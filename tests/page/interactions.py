# SPDX-License-Identifier: MIT
"""Costs of interactions with the page: time from input to screen, and processor time of the longest task."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, NamedTuple

REST_MS = 400
WATCH = (
    "window.took = []; new PerformanceObserver((list) => list.getEntries().forEach((entry) => "
    "window.took.push(entry.duration))).observe({ type: 'event', durationThreshold: 16 });"
)
# A label as the server tells of it: the page of a file has no server to click for.
_LABEL = (
    "() => { const { ledger, main } = earlid; const { openings } = ledger; const i = openings.rows - 1; ledger.apply({ labels: "
    "[[ledger.boards[openings.board[i]].board, openings.boot[i], openings.seq[i], openings.label[i] === 0 ? 1 : 0]] }); "
    "main.refresh(); }"
)
Act = Callable[[Any], None]


class Cost(NamedTuple):
    """Worst of some turns, ms; `shown_ms` is 0 where the browser saw no input of 16 ms or more."""

    name: str
    shown_ms: float
    task_cpu_ms: float


def _key(name: str) -> Act:
    return lambda page: page.keyboard.press(name)


def _click(selector: str) -> Act:
    return lambda page: page.click(selector)


def _choose(selector: str, value: str) -> Act:
    return lambda page: page.select_option(selector, value)


def _drag(page: Any) -> None:
    box = page.locator("#lanes").bounding_box()
    page.mouse.move(box["x"] + 500, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 420, box["y"] + 60, steps=5)
    page.mouse.up()


def _wheel(page: Any) -> None:
    box = page.locator("#lanes").bounding_box()
    page.mouse.move(box["x"] + 500, box["y"] + 60)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -60)
    page.keyboard.up("Control")


def _at(selector: str, x: int, y: int) -> Act:
    return lambda page: page.click(selector, position={"x": x, "y": y})


ACTS: dict[str, tuple[Act, ...]] = {
    "zoom by key": (_key("-"), _key("+")),
    "pan by key": (_key("ArrowLeft"), _key("ArrowRight")),
    "next, previous opening": (_key("n"), _key("n"), _key("p")),
    "zoom by wheel": (_wheel,),
    "drag": (_drag,),
    "click on a record": (_at("#lanes", 300, 60), _at("#lanes", 500, 170), _at("#lanes", 700, 170)),
    "board": tuple(_choose("#board", value) for value in ("0", "1", "-1")),
    "what is listed": tuple(
        _choose("#kind", value) for value in ("word", "unlabelled", "check", "near-miss", "other", "openings")
    ),
    "page of the list": (_click("#older"), _click("#newer")),
    "day, all": (_at("#days-canvas", 400, 50), _click("button[data-span=all]")),
    "overview": (_at("#overview", 300, 10), _at("#overview", 600, 10)),
    "was it me": (_click("[data-answer=later]"), _click("[data-answer=show]")),
    "label": (lambda page: page.evaluate(_LABEL),),
}


def costs(browser: Any, page: Any, turns: int = 12) -> Iterator[Cost]:
    """Does each of ACTS `turns` times with everything in view; the page must have WATCH as a script of its start."""
    for name, acts in ACTS.items():
        if name == "board" and not page.is_visible("#board"):  # there is but one
            continue
        page.click("button[data-span=all]")
        page.focus("#lanes")
        page.wait_for_timeout(REST_MS)
        page.evaluate("window.took.length = 0")
        browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
        for _, act in zip(range(turns), cycle(acts), strict=False):
            act(page)
            page.wait_for_timeout(REST_MS)
        trace = json.loads(browser.stop_tracing())["traceEvents"]
        yield Cost(name, max(page.evaluate("window.took"), default=0.0), _longest_cpu_ms(trace))


def _longest_cpu_ms(trace: list[dict[str, Any]]) -> float:
    """Processor time of the longest task on the page's main thread."""
    mains = {(e["pid"], e["tid"]) for e in trace if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"}
    tasks = [e for e in trace if e.get("ph") == "X" and (e["pid"], e["tid"]) in mains and e["name"].endswith("RunTask")]
    return max((e.get("tdur", 0) for e in tasks), default=0) / 1000
