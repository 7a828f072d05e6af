# SPDX-License-Identifier: MIT
"""Layout at a phone's width: nothing overflows, with long words and wide letters too."""

from __future__ import annotations

import pytest

from tests.page.chromium import beyond_its_card

pytest.importorskip("playwright.sync_api")

STYLES = {
    "as it is": "",
    "a fifth larger": "html { font-size: 19.2px } body { font-size: 18px !important }",
    "spaced as WCAG 1.4.12 asks": "* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important }",
    "wide letters": ":root { --font: 'DejaVu Sans Mono', monospace !important }",
}
SET_STYLE = "(css) => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css); document.adoptedStyleSheets = [sheet]; }"
# The longest words there are: great doubt about the time, labels pressed, hours live, long names of reasons and boards.
WORDY = """() => {
    const { ledger, live, main, showError } = earlid;
    const { openings, points } = ledger;
    const long = ledger.code['config-damaged'] ?? ledger.header.names.push('config-damaged') - 1;
    const event = ledger.code.maintenance ?? ledger.header.names.push('maintenance') - 1;
    const doubts = [90e3, 119 * 6e4, 47 * 36e5, 4e9];
    ledger.live = true;
    ledger.boards[0].name = 'The kitchen above the old Donaudampfschifffahrtsgesellschaft';
    for (let i = 0; i < openings.rows; i += 1) {
        openings.unc[i] = doubts[i % 4];
        openings.label[i] = i % 2;
        openings.live[i] = i % 5 ? 23 * 36e5 + i : -1;
        openings.most[i] = openings.live[i];
        openings.outside[i] = i % 7 === 0;
    }
    for (let i = 0; i < points.rows; i += 1) {
        points.unc[i] = doubts[i % 4];
        if (points.event[i] !== ledger.code['near-miss']) [points.event[i], points.reason[i]] = [event, long];
    }
    live.status('The server has ended: start earlid review --serve again', 'gone');
    showError('The server cannot be reached: is `earlid review --serve` still running on Donaudampfschifffahrtsgesellschaft?');
    ledger.recordsVersion += 1;
    main.refresh();
}"""
LIST_SCROLLS = "(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector('#list').parentElement)"


@pytest.fixture
def phone(opened, report):
    page = opened(report.as_uri(), viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.click("#days-details summary")
    return page


def shows_all(page, width):
    """What sticks out at this width: the page's own width where it is too wide, then the elements beyond their cards."""
    page.set_viewport_size({"width": width, "height": 740})
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [wide] * (wide > width) + beyond_its_card(page)


def test_phone_scrolls_vertically_only(phone):
    for width in (360, 320):
        assert shows_all(phone, width) == []


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_long_words_and_wide_letters_stay_inside(phone, style):
    phone.evaluate(WORDY)
    phone.evaluate(SET_STYLE, style)
    phone.select_option("#scope", "all")
    for kind in ("openings", "near-miss", "other"):
        phone.select_option("#kind", kind)
        assert phone.locator("#list tbody tr").count() > 5
        for width in (360, 320):
            assert shows_all(phone, width) == [], (kind, width)
            assert not phone.evaluate(LIST_SCROLLS), (kind, width)  # it may, but need not at these widths


def test_wide_table_scrolls_by_itself_on_a_phone(phone):
    phone.evaluate(WORDY)
    phone.evaluate(SET_STYLE, "#list * { font-size: 40px !important }")
    wide = phone.evaluate("document.querySelector('#list').getBoundingClientRect().width")
    assert wide > 360
    assert phone.evaluate("document.documentElement.scrollWidth") == 360


def test_tooltip_stays_inside_at_the_edge(phone):
    phone.click("button[data-span=all]")
    found = phone.evaluate(
        """async () => {
            const canvas = document.querySelector('#lanes');
            const tip = document.querySelector('#tip');
            const box = canvas.getBoundingClientRect();
            const sizes = new Set();
            for (let x = 0; x < box.width; x += 2) {
                const at = { clientX: box.left + x, clientY: box.top + 60, pointerId: 9, bubbles: true };
                canvas.dispatchEvent(new PointerEvent('pointermove', at));
                if (tip.hidden) continue;
                sizes.add(Math.round(tip.offsetHeight));
                if (tip.getBoundingClientRect().right > box.right + 1) return 'out at ' + x;
            }
            return [...sizes];
        }"""
    )
    assert isinstance(found, list), found
    assert found, "nothing lay under the pointer"
    phone.set_viewport_size({"width": 320, "height": 740})
    assert phone.evaluate("document.documentElement.scrollWidth") == 320
