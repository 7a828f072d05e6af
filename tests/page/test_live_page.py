# SPDX-License-Identifier: MIT
"""The live page in a real browser: labels persist, new records appear, a lost server is reported."""

from __future__ import annotations

import queue
import sqlite3
import threading

import pytest
from earlid.ledger.boards import boards
from earlid.ledger.queries import labels
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.page.feed import Feed
from earlid.page.serve import serve

from tests.page.chromium import beyond_its_card, wait
from tests.page.synthetic import KITCHEN, last_ms, store

expect = pytest.importorskip("playwright.sync_api").expect


def kept(location):
    with Reader(location) as reader:
        return {key: word for board in boards(reader) for key, word in labels(reader, board).items()}


def test_clicked_label_persists(served, opened):
    url, location, _ = served
    page = opened(url)
    expect(page.locator("#link")).to_have_text("Live")
    before = kept(location)
    page.select_option("#kind", "unlabelled")
    row = page.locator("#list tbody tr").first
    key = row.get_attribute("data-key")
    boot, seq = (int(part) for part in key.split(".")[1:])
    page.select_option("#kind", "openings")
    button = page.locator(f"tr[data-key='{key}'] button[data-word=No]")
    assert "not meant" in button.get_attribute("aria-label")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"tr[data-key='{key}'] button[data-word=No][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.word") == "No"  # drawn anew, focus kept
    assert kept(location) == before | {(boot, seq): False}
    page.reload()
    page.wait_for_selector(f"tr[data-key='{key}'] button[data-word=No][aria-pressed=true]")
    page.click(f"tr[data-key='{key}'] button[data-word=Yes]")
    page.wait_for_selector(f"tr[data-key='{key}'] button[data-word=Yes][aria-pressed=true]")
    assert kept(location)[boot, seq] is True
    page.click(f"tr[data-key='{key}'] button[data-word=Yes]")
    page.wait_for_selector(f"tr[data-key='{key}'] button[data-word=Yes][aria-pressed=false]")
    assert kept(location) == before
    for width in (360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert beyond_its_card(page) == []
    other = opened(url)
    other.click(f"tr[data-key='{key}'] button[data-word=No]")
    page.wait_for_selector(f"tr[data-key='{key}'] button[data-word=No][aria-pressed=true]")  # told by the server


def test_new_records_appear_without_reload(served, opened):
    url, location, kitchen = served
    page = opened(url)
    expect(page.locator("#link")).to_have_text("Live")
    page.wait_for_selector("#verdicts h3")
    assert "kitchen: Intact" in page.locator("#verdicts").inner_text()
    with Ledger(location) as ledger:
        at_ms = last_ms(kitchen) + 3000
        number = kitchen.add(at_ms, "open", "button", a=8000, b=200)
        store(ledger, kitchen)
        page.wait_for_selector("#boards [data-state=open]")
        row = page.locator(f"#list tr[data-key='0.{kitchen.boot}.{number}']")  # the first, where the office has no later one
        expect(row).to_contain_text("not recorded yet")
        kitchen.add(at_ms + 4000, "close", "button", a=4000, b=4020 << 16 | 3980)
        store(ledger, kitchen)
        expect(row).to_contain_text("4.0 s")
        assert page.locator("#boards [data-state=open]").count() == 0
        kitchen.add(at_ms + 5000, "mute")
        store(ledger, kitchen)
        page.wait_for_selector("#boards [data-state=muted]")
        kitchen.add(at_ms + 6000, "live", "unexpected", a=3010, b=20)  # a rail that the copper should have cut
        store(ledger, kitchen)
        page.wait_for_selector("#boards [data-state=live]")
        expect(page.locator("#boards [data-state=live]")).to_contain_text("LIVE with its lid closed since")
        first = page.locator("#list tbody tr").first
        expect(first).to_have_class("outside")
        expect(first).to_contain_text("unexpected")
        expect(page.locator("#tiles")).to_contain_text("1 time with the lid closed")
        for before in (7000, 3600_000):  # a later opening's row does not push it from its place
            kitchen.opening(at_ms + before, "button", 2000, "button")
        store(ledger, kitchen)
        expect(first).to_have_class("outside")
        assert page.locator("#boards [data-state=live]").count() == 1
        # It began before what is shown, and lasts until now: the newest record of the days before is a minute old or hours.
        page.evaluate(f"earlid.view.set({at_ms} + 6500, {at_ms} + 8500)")
        expect(page.locator("#list tbody tr")).to_have_count(2)
        expect(first).to_have_class("outside")
        expect(page.locator("#tiles")).to_contain_text("1 time with the lid closed")
        kitchen.add(at_ms + 7_200_000, "dead", "mute", a=7_193_990, b=7_194_030)
        store(ledger, kitchen)
        page.wait_for_selector("#boards [data-state=live]", state="detached")
        expect(first).to_contain_text("1 h 59 min")
        ledger.set_name(KITCHEN, "<b>scullery</b>")
        expect(page.locator("#boards")).to_contain_text("<b>scullery</b>")
    page.click("#again")
    expect(page.locator("#verdicts")).to_contain_text("<b>scullery</b>: Intact")


def test_older_records_follow_the_recent_days(home, past, opened, monkeypatch):
    monkeypatch.setattr("earlid.page.feed.FEW_RECORDS", 100)
    feed = Feed(past[0], [], None, None, lambda: last_ms(past[1]) + 60_000)
    started: queue.Queue[str] = queue.Queue()
    server = threading.Thread(
        target=serve, args=(feed, "127.0.0.1:0"), kwargs={"browser": False, "started": started.put}, daemon=True
    )
    server.start()
    page = opened(started.get(timeout=60))
    expect(page.locator("#link")).to_contain_text("Nothing collects since ")
    assert page.evaluate("earlid.ledger.header.whole")
    page.click("button[data-span=all]")
    expect(page.locator("#range")).to_contain_text("Sep 2026 to")


def test_label_that_cannot_be_stored_shows_an_error(served, opened):
    url, _, _ = served
    opened.may_say.append("status of 500")  # the browser's own line
    page = opened(url)
    page.route("**/label", lambda route: route.fulfill(status=500, json={"say": "The disk is full: <b>make room</b>."}))
    page.locator("#list button[data-word=No]").first.click()
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.locator("#trouble").inner_text() == "The disk is full: <b>make room</b>."


def test_pressed_button_survives_a_refresh(served, opened):
    page = opened(served[0])
    expect(page.locator("#link")).to_have_text("Live")
    page.select_option("#scope", "all")
    button = page.locator("#list button[data-word=No]").first.element_handle()
    page.evaluate("earlid.main.refresh(); earlid.listing.draw()")  # as every second while the newest is in sight
    assert button.evaluate("(item) => item.isConnected")
    page.evaluate("earlid.ledger.openings.rows = 0; earlid.ledger.recordsVersion += 1; earlid.listing.draw()")
    assert not button.evaluate("(item) => item.isConnected")
    assert page.locator("#list thead th").first.inner_text() == "When"


def test_late_content_shifts_no_button(served, opened):
    page = opened("about:blank", ready=False)
    late = []
    page.route("**/verdict", lambda route: late.append(route))
    page.goto(served[0])
    button = page.locator("#list button[data-word=No]").first
    button.scroll_into_view_if_needed()
    expect(page.locator("#link")).to_have_text("Live")
    wait(lambda: page.wait_for_timeout(20) or late)
    before = button.bounding_box()
    late[0].continue_()
    expect(page.locator("#verdicts")).to_contain_text("kitchen: Intact")
    assert button.bounding_box() == before


def test_broken_chain_is_shown_at_the_top(served, opened):
    url, location, _ = served
    with sqlite3.connect(location.path) as database:
        database.execute("UPDATE records SET score = 1 WHERE board_id = (SELECT id FROM boards WHERE board = ?)", (KITCHEN,))
    page = opened(url)
    expect(page.locator("#boards li", has_text="kitchen")).to_contain_text("its chain is broken")
    assert page.locator("#boards .bad").count() == 1
    page.click("#boards .bad")
    expect(page.locator("#verdicts .bad")).to_be_in_viewport()
