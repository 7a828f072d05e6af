# SPDX-License-Identifier: MIT
"""Fixtures: one Chromium for all, and pages that meet a fake `navigator.serial`."""

from __future__ import annotations

import pytest

from tests.page.conftest import PATIENCE_MS, browser  # noqa: F401
from tests.web.serial_server import SCRIPT

FAKE_SERIAL = SCRIPT.read_text()


@pytest.fixture
def visit(browser):  # noqa: F811
    """Opens an address in a fresh page with a fake `navigator.serial`, or whatever `script` makes of it.

    At the end no page may have failed, broken its policy, complained, or asked another origin for anything.
    """
    contexts, complaints = [], []

    def open_page(url, script=FAKE_SERIAL, **options):
        context = browser.new_context(**{"viewport": {"width": 1100, "height": 900}} | options)
        contexts.append(context)
        origin = "/".join(url.split("/")[:3]) + "/"
        context.set_default_timeout(PATIENCE_MS)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith((origin, "data:")) or complaints.append(request.url))
        page.goto(url)
        return page

    open_page.complaints = complaints
    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
