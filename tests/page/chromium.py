# SPDX-License-Identifier: MIT
"""A headless Chromium of this machine for tests, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = Path("/usr/bin/chromium")
_QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(PROGRAM), args=list(_QUIET))
        try:
            yield started
        finally:
            started.close()


def wait(check: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait until a check holds. Playwright's own way evaluates text in the page, which the page's policy forbids."""
    ends_s = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < ends_s, "waited in vain"
        time.sleep(0.05)


def beyond_its_card(page: Any) -> list[str]:
    """The beginnings of the elements that stick out of their card on the right."""
    return page.evaluate(
        "[...document.querySelectorAll('.card *, .lead *')].filter((item) => !item.closest('.scroll, .unseen') && "
        "item.getBoundingClientRect().right > item.closest('section').getBoundingClientRect().right)"
        ".map((item) => item.outerHTML.slice(0, 80))"
    )
