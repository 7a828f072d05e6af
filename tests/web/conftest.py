# SPDX-License-Identifier: MIT
"""Fixtures: one Chromium for all, the built page with two images beside it, and boards at its fake `navigator.serial`."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from earlid import firmware
from earlid.flash import content, firmware_build, one_file
from earlid.gate import models

from tests.flash import release_image
from tests.page.conftest import PATIENCE_MS
from tests.web.serial_server import SCRIPT, serve

BUILT = Path(__file__).parents[2] / "build" / "web"
PAGE_FILES = ("index.html", "page.css", "page.js", "licences.txt", "verify.html")
FAKE_SERIAL = SCRIPT.read_text()
WORD = "alexa"
SMALL = "small"  # an image that is quickly written, with a partition table of its own
SMALL_ROWS = (("factory", 0, 0, 0x10000, 0x20000), ("vfs", 1, 0x81, 0x30000, 0x80000))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built page, and in `images` one of no word and one of a word, of this firmware, and a small one."""
    if not (BUILT / "page.js").exists():
        if shutil.which("npm") is None:
            pytest.skip("no npm here (apt-get install npm)")
        pytest.fail("the page is not built: make web")
    folder = tmp_path_factory.mktemp("site")
    for name in PAGE_FILES:
        shutil.copy(BUILT / name, folder)
    images = folder / "images"
    images.mkdir()
    build = firmware_build.build(firmware.root(), firmware_build.ESP32_ARCH)
    releases = {None: release_image.release(), WORD: release_image.release(), SMALL: release_image.release(rows=SMALL_ROWS)}
    manifests = []
    for word, release in releases.items():
        files = content.files(build, models.load(word).blob if word == WORD else None)
        if word == SMALL:
            files = {"/boot.py": b"", "/incompressible": random.Random(SMALL).randbytes(200_000)}
        name, data = f"earlid-{word or 'no-word'}.bin", one_file.make(release, files)
        (images / name).write_bytes(data)
        manifests.append(one_file.manifest(name, data, release, files, recipe=firmware.RECIPES[0], word=word))
    (images / "index.json").write_text(json.dumps(manifests))
    return folder


@pytest.fixture(scope="session")
def image(site):
    """The bytes of the image with a word."""
    return (site / "images" / f"earlid-{WORD}.bin").read_bytes()


@pytest.fixture(scope="session")
def served_site(site):
    with serve(site) as serving:
        yield serving


@pytest.fixture
def server(served_site):
    """The server of the page, with nothing plugged in."""
    served_site.choice = None
    yield served_site
    served_site.unplug_all()


@pytest.fixture
def visit(browser):
    """Opens an address in a fresh page with a fake `navigator.serial`, or whatever `script` makes of it.

    At the end no page may have failed, broken its policy, complained, or asked another origin for anything.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
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
