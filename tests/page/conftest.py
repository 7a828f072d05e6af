# SPDX-License-Identifier: MIT
"""Fixtures: a household's ledger, its page in a file and on a server, and a browser to open both."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest
from earlid.ledger.store import Ledger

from tests.page.synthetic import household

ZONE = "Europe/Berlin"
PATIENCE_MS = 90_000  # a busy machine is slow, not wrong


@pytest.fixture(scope="session", autouse=True)
def berlin():
    """A zone with daylight saving, the same for server, page and tests."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = ZONE
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.fixture(scope="session")
def home(tmp_path_factory, berlin):
    """The folder of this session's keys and ledgers."""
    folder = tmp_path_factory.mktemp("page")
    before = {name: os.environ.pop(name, None) for name in ("EARLID_DATA_DIR", "EARLID_LEDGER")}
    os.environ["EARLID_DATA_DIR"] = str(folder)
    yield folder
    del os.environ["EARLID_DATA_DIR"]
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture(scope="session")
def past(home):
    """(location, kitchen, office): 60 days that end on Saturday 21 November 2026, 22:30."""
    return household(home / "past.sqlite", days=60, end=datetime(2026, 11, 21, 22, 30))


@pytest.fixture(scope="session")
def report(home, past):
    """The file that `earlid review --html` wrote of it."""
    from earlid.cli import main

    path = home / "report.html"
    words = ["review", "--html", str(path), "--since", "2026-09-01", "--until", "2026-11-21", "--ledger", str(past[0].path)]
    assert main(words) == 0
    return path


@pytest.fixture
def served(home, tmp_path):
    """(url, location, kitchen): `earlid review --serve` over three days that end now."""
    location, kitchen, _ = household(tmp_path / "live.sqlite", days=3)
    with Ledger(location) as ledger, ledger.transaction() as connection:  # as if `watch` ran for as long as the test
        connection.exec_driver_sql("UPDATE boards SET last_seen_ms = ?", (int(time.time() * 1000) + 3_600_000,))
    words = ["review", "--serve", "--no-browser", "--ledger", str(location.path)]
    child = subprocess.Popen([sys.executable, "-m", "earlid.cli", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip(), location, kitchen
    finally:
        child.send_signal(signal.SIGINT)
        try:
            assert child.wait(60) == 130
        finally:
            child.kill()


@pytest.fixture
def opened(browser):
    """Opens an address in a fresh page; at the end no page may have complained on its console of anything but `may_say`."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    pages, console_lines = [], []

    def open_page(url, ready=True, **options):
        page = browser.new_page(**{"viewport": {"width": 1100, "height": 900}} | options)
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: console_lines.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: console_lines.append(str(error)))
        pages.append(page)
        page.goto(url)
        if not ready:
            return page
        page.wait_for_selector("#list thead th")
        expect(page.locator("#page-number")).to_contain_text("Page ")
        return page

    open_page.console_lines, open_page.may_say = console_lines, []
    yield open_page
    for page in pages:
        page.close()
    assert [line for line in console_lines if not any(part in line for part in open_page.may_say)] == []
