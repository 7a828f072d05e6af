# SPDX-License-Identifier: MIT
"""The report's page in a real browser: figures, mouse, keyboard, accessibility, contrast, security."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.exposure import Bounds, sum_bounds
from earlid.ledger.queries import openings
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import bounds_text, span_text
from earlid.page.report import make_page

from tests.page.chromium import wait
from tests.page.heavy import heavy_page
from tests.page.synthetic import KITCHEN, household

expect = pytest.importorskip("playwright.sync_api").expect
HOSTILE = '<img src=x onerror="hacked=1"><script>hacked=2</script>&lt;'  # as long as a name is shown
SPAN = "earlid.view.t1 - earlid.view.t0"


@pytest.fixture
def page(opened, report):
    return opened(report.as_uri())


def text_of(page, selector):
    return page.locator(selector).inner_text().replace("\u00a0", " ")


def test_page_shows_the_ledgers_figures(page, past):
    with Reader(past[0]) as reader:
        known = boards(reader)
        day = int(datetime(2026, 11, 21).timestamp() * 1000)
        found = openings(reader, known, day)
        every = openings(reader, known)
        everything = sum_bounds(Bounds(opening.least_ms, opening.most_ms) for opening in every)
    lead = text_of(page, "#lead")
    assert lead.startswith("On Sat 21 Nov 2026, your microphones were live for ")
    assert f"in {len(found)} openings" in lead
    page.click("button[data-span='86400000']")
    expect(page.locator("#listed")).to_have_text(f"{len(found)} records")
    expect(page.locator("#range")).to_have_text("Sat 21 Nov 2026")
    newest = found[-1]
    row = page.locator("#list tbody tr").first.inner_text()
    assert bounds_text(newest.least_ms, newest.most_ms) in row
    assert datetime.fromtimestamp(newest.start_ms / 1000).strftime("Sat 21 Nov, %H:%M:%S") in re.sub(r"\s+", " ", row)
    page.click("button[data-span=all]")
    expect(page.locator("#listed")).to_have_text(f"{len(every)} records")
    sums = page.evaluate("(({ least_ms, most_ms }) => [least_ms, most_ms])(earlid.ledger.totals(-Infinity, Infinity, -1))")
    daily = page.evaluate("['least_ms', 'live_ms'].map((name) => earlid.ledger.daily(-1)[name].reduce((a, b) => a + b))")
    assert sums == daily == list(everything)
    assert "kitchen: Intact" in text_of(page, "#verdicts")
    page.select_option("#board", label="office")
    expect(page.locator("#list")).not_to_contain_text("kitchen")
    assert "your microphone was" in text_of(page, "#lead")


def test_spans_are_the_command_lines(page):
    spans = [0, 900, 59_949, 59_999, 60_000, 3_599_999, 3_600_000]
    assert page.evaluate("(spans) => spans.map(earlid.durationText)", spans) == [span_text(ms) for ms in spans]


def test_timeline_zooms_from_a_year_to_a_second(page):
    page.click("button[data-span=all]")
    page.focus("#lanes")
    for _ in range(6):
        page.keyboard.press("-")
    assert page.evaluate(SPAN) >= 365 * 86_400_000
    page.keyboard.press("n")
    for _ in range(40):
        page.keyboard.press("+")
    assert page.evaluate(SPAN) == 1000
    chosen = page.evaluate("earlid.view.selected.t")
    assert abs(chosen - (page.evaluate("earlid.view.t0") + 500)) <= 1  # in the middle
    expect(page.locator("#range")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    box = page.locator("#lanes").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 60)
    page.keyboard.down("Control")
    page.mouse.wheel(0, 400)
    page.keyboard.up("Control")
    wait(lambda: page.evaluate(SPAN) > 1000)
    before = page.evaluate("earlid.view.t0")
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 60, steps=4)
    page.mouse.up()
    assert page.evaluate("earlid.view.t0") > before


def test_keyboard_reaches_every_control_and_is_announced(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the timeline"
    page.keyboard.press("Enter")
    seen = []
    while len(seen) < 120:
        page.keyboard.press("Tab")
        focus = page.evaluate(
            "(({ id, dataset, textContent }) => [id || dataset.span || dataset.do || textContent, "
            "getComputedStyle(document.activeElement).outlineStyle])(document.activeElement)"
        )
        if page.evaluate("document.activeElement === document.body"):
            break
        assert focus[1] == "solid", focus
        seen.append(focus[0])
        if focus[0] == "lanes":
            said = text_of(page, "#said")
            page.keyboard.press("ArrowLeft")
            wait(lambda before=said: text_of(page, "#said") != before)
            assert "openings" in text_of(page, "#said")
            page.keyboard.press("p")
            assert text_of(page, "#said").startswith("Opened by the ")
            page.keyboard.press("Escape")
        if focus[0] == "days-canvas":
            page.keyboard.press("ArrowLeft")
            assert text_of(page, "#days-said").startswith("Fri 20 Nov 2026: live ")
            page.keyboard.press("Enter")
            expect(page.locator("#range")).to_have_text("Fri 20 Nov 2026")
    wanted = ["earlier", "in", "86400000", "all", "next", "lanes", "days-canvas", "kind", "scope"]
    assert [name for name in wanted if name in seen] == wanted


def test_controls_and_table_have_accessible_names(page):
    page.click("#days-details summary")
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]

    def value(node, key):
        return node.get(key, {}).get("value", "")

    focusable = [
        node for node in nodes
        if not node["ignored"] and any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))
        and value(node, "role") not in ("RootWebArea", "generic")
    ]  # fmt: skip
    assert len(focusable) > 40
    assert [value(node, "role") for node in focusable if not value(node, "name")] == []
    roles = [value(node, "role") for node in nodes]
    for role in ("table", "columnheader", "rowheader", "banner", "main", "contentinfo", "status"):
        assert role in roles
    headings = [value(node, "name") for node in nodes if value(node, "role") == "heading"]
    assert {"Timeline", "Days and hours", "Scores against the cutoff", "The chain's verdict", "Openings"} <= set(headings)


def test_contrast_suffices_in_dark_and_light(page):
    grounds = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colours = page.evaluate(
            "() => { const style = getComputedStyle(document.documentElement);"
            "return Object.fromEntries(['ground', 'card', 'ink', 'soft', 'false', 'fault'].map((n) => "
            "[n, style.getPropertyValue('--' + n).trim()])); }"
        )
        grounds.append(colours["ground"])
        for name in ("ink", "soft", "false", "fault"):
            for under in ("card", "ground"):
                assert contrast(colours[name], colours[under]) >= 4.5, (scheme, name, under)
    assert grounds[0] != grounds[1]


def contrast(one, other):
    """The ratio of WCAG 2.1 for two colours as #rgb or #rrggbb."""

    def luminance(colour):
        digits = colour.lstrip("#")
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_names_are_inserted_as_text(home, opened, tmp_path):
    location, _, _ = household(tmp_path / "hostile.sqlite", days=3, end=datetime(2026, 11, 21, 22))
    with Ledger(location) as ledger:
        ledger.set_name(KITCHEN, HOSTILE)
    with Reader(location) as reader:
        text = make_page(reader, boards(reader), 1_795_300_000_000, None, None)
        (tmp_path / "report.html").write_text(text, encoding="utf-8")
    page = opened((tmp_path / "report.html").as_uri())
    assert HOSTILE in page.locator("#boards").inner_text()
    assert HOSTILE in page.locator("#verdicts").inner_text()
    assert HOSTILE in page.locator("#list").inner_text()
    page.focus("#lanes")
    page.keyboard.press("p")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_content_security_policy_blocks_injected_script(opened, page):
    opened.may_say += ["Content Security Policy", "net::ERR"]  # the browser's own words about it
    assert page.evaluate("typeof earlid.ledger") == "object"
    stopped = page.evaluate(
        """async () => {
            const stopped = [];
            document.addEventListener('securitypolicyviolation', (event) => stopped.push(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'window.hacked = 1';
            document.body.append(script);
            const image = document.createElement('div');
            image.innerHTML = '<img src="http://127.0.0.1:9/x" onerror="window.hacked = 2">';
            document.body.append(image);
            await fetch('http://127.0.0.1:9/').catch(() => {});
            for (let turn = 0; turn < 600 && new Set(stopped).size < 4; turn += 1) {
                await new Promise((done) => setTimeout(done, 100));
            }
            return [window.hacked ?? null, ...new Set(stopped)];
        }"""
    )
    assert stopped[0] is None
    assert {"script-src-elem", "script-src-attr", "img-src", "connect-src"} <= set(stopped)


def test_page_of_200000_records_responds_in_time(opened, tmp_path):
    file = tmp_path / "heavy.html"
    file.write_text(heavy_page(100_000, 100_000))
    page = opened(file.as_uri())
    painted_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    page.click("button[data-span=all]")
    expect(page.locator("#listed")).to_have_text("100,000 records")
    page.focus("#lanes")
    took = page.evaluate(
        """async () => {
            const took = [];
            for (let turn = 0; turn < 30; turn += 1) {
                const began = performance.now();
                earlid.view.zoom(turn < 15 ? 0.7 : 1.5);
                earlid.timeline.draw();
                took.push(performance.now() - began);
                await new Promise(requestAnimationFrame);
            }
            return took.sort((a, b) => a - b);
        }"""
    )
    print(f"\n200,000 records, {file.stat().st_size / 1e6:.1f} MB: first paint {painted_ms:.0f} ms; a frame {took[15]:.1f} ms "
          f"median, {took[-1]:.1f} ms worst")  # fmt: skip
    page.keyboard.press("n")
    assert text_of(page, "#said").startswith("Opened by the ")
    page.click("#older")
    expect(page.locator("#page-number")).to_contain_text("Page 2 of ")
