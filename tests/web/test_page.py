# SPDX-License-Identifier: MIT
"""The page as a whole: its policy, its names for a screen reader, narrow windows, browsers without Web Serial, its build."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from itertools import pairwise

import pytest
import segno
from earlid.page.document import verify_document
from PIL import Image

from tests.page.chromium import wait
from tests.web.conftest import BUILT, PAGE_FILES
from tests.web.test_flash_page import state

ROOT = BUILT.parents[1]
NO_SERIAL = "delete Navigator.prototype.serial;"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)
BREACHES = """
window.breaches = [];
addEventListener("securitypolicyviolation", (event) => breaches.push(event.effectiveDirective));
"""
TRY_BREACHES = """() => {
    const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));
    add("script", {textContent: "window.broken = true"});
    add("style", {textContent: "body { color: red }"});
    add("img", {src: "https://example.invalid/x.png"});
    fetch("https://example.invalid/").catch(() => {});
}"""
NAMED = {
    "button", "checkbox", "radio", "textbox", "link", "progressbar", "meter", "region", "table", "radiogroup", "navigation",
    "list",
}  # fmt: skip
ROLES = {
    "main", "navigation", "banner", "contentinfo", "region", "heading", "status", "alert", "progressbar", "meter", "radio",
}  # fmt: skip


def test_the_pages_policy_is_strict_and_in_force(server, visit):
    page = visit(server.url)
    assert page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content") == POLICY
    page.evaluate(BREACHES)
    page.evaluate(TRY_BREACHES)
    wait(lambda: len(page.evaluate("breaches")) == 4)
    assert set(page.evaluate("breaches")) == {"script-src-elem", "style-src-elem", "img-src", "connect-src"}
    assert page.evaluate("window.broken") is None
    visit.complaints.clear()


@pytest.mark.parametrize("part", ["#flash", "#look"])
def test_every_part_has_its_name_in_the_accessibility_tree(server, visit, part):
    page = visit(server.url + part)
    state(page, "word")
    page.evaluate("document.querySelectorAll('main [hidden]').forEach((item) => { item.hidden = false; })")
    page.evaluate(
        "document.querySelectorAll('[role=status]').forEach((item) => { item.textContent += '.'; })"
    )  # empty ones are left out
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    assert [role for role, name in nodes if role in NAMED and not name.strip()] == []
    roles = {role for role, _ in nodes}
    assert roles >= ROLES
    levels = [int(level) for level in page.eval_on_selector_all("h1, h2, h3, h4", "(all) => all.map((one) => one.tagName[1])")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"


def test_browser_without_web_serial_is_told_so(server, visit):
    page = visit(server.url, script=NO_SERIAL)
    text = page.inner_text("#unsupported")
    assert all(word in text for word in ("Web Serial", "Chrome", "Edge", "earlid flash"))
    assert page.eval_on_selector_all("main button", "(all) => all.every((one) => one.disabled)")


def test_narrow_window_says_that_phones_cannot_and_nothing_sticks_out(server, visit):
    page = visit(server.url, viewport={"width": 360, "height": 740})
    state(page, "word")
    assert re.search("Phones .* cannot", page.inner_text("#phone"))
    page.evaluate("document.querySelectorAll('main [hidden]').forEach((item) => { item.hidden = false; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1100, "height": 900})
    assert page.is_hidden("#phone")


def test_images_that_are_missing_or_malformed_are_not_offered(server, visit):
    page = visit(server.url)
    bodies = ["", "{}", "<b>", '[{"schema": 1, "board": "esp32", "word": null, "image": {"name": "../x.bin"}}]']
    page.route("**/images/index.json", lambda route: route.fulfill(status=200 if bodies[0] else 404, body=bodies[0]))
    while bodies:
        page.reload()
        state(page, "word")
        assert "No images" in page.inner_text("#words-say")
        assert page.is_disabled("#connect")
        del bodies[0]
    visit.complaints[:] = [line for line in visit.complaints if "404" not in line]


@pytest.mark.parametrize("turned", [0, 8], ids=["straight", "held askew"])
def test_page_that_checks_reports_reads_a_photographed_code(site, visit, tmp_path, turned):
    """Not with the browser's own reader: Debian's Chromium has none."""
    photo = io.BytesIO()
    segno.make_qr("3C-7H2K-9XWD-S").save(photo, kind="png", scale=6, border=6, dark="#333", light="#ddd")
    with Image.open(photo) as picture:
        picture.convert("RGB").rotate(turned, expand=True, fillcolor="#ddd").save(tmp_path / "photo.png")
    page = visit((site / "verify.html").as_uri(), script="")
    page.evaluate("document.querySelector('#proof').hidden = false")
    page.wait_for_selector("#picture", state="visible")
    page.set_input_files("#picture-file", tmp_path / "photo.png")
    wait(lambda: page.input_value("#codes") == "3C-7H2K-9XWD-S")


def test_two_builds_of_the_page_are_identical(tmp_path):
    """Those of `make web`, and another made of the same sources in another folder."""
    tables = subprocess.run([sys.executable, "-m", "earlid.flash.web_tables"], check=True, capture_output=True, cwd=ROOT).stdout
    assert tables == (ROOT / "build" / "web-tables.mjs").read_bytes()
    assert verify_document() == (ROOT / "build" / "verify.html").read_text(encoding="utf-8")
    subprocess.run(["node", "web/build.mjs", str(tmp_path), "build/npm"], check=True, capture_output=True, cwd=ROOT)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PAGE_FILES)
    assert [name for name in PAGE_FILES if (tmp_path / name).read_bytes() != (BUILT / name).read_bytes()] == []


def test_readme_says_what_the_script_is_made_of():
    readme, lock = ((ROOT / "web" / name).read_text() for name in ("README.md", "package-lock.json"))
    said = re.findall(r"^\| `([^`]+)` ([\d.]+)[^|]*\| ([^|]+) \| (\d+) \|$", readme, re.MULTILINE)
    there = re.findall(
        r"^(\S+) ([\d.]+) \(\(?([^)]+)\)+, (\d+) bytes of (?:page\.js|verify\.html)$",
        (BUILT / "licences.txt").read_text(),
        re.MULTILINE,
    )
    assert sorted(said) == sorted(
        (name, version, licence, str(round(int(size) / 1000))) for name, version, licence, size in there
    )
    (all_kb,) = re.findall(r"has (\d+) KB", readme)
    assert int(all_kb) == pytest.approx((BUILT / "page.js").stat().st_size / 1000, abs=3)  # a line of code is no news
    assert '"resolved"' not in lock
