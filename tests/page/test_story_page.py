# SPDX-License-Identifier: MIT
"""The page's story in a real browser: was it me, bulk labels, undo, lids, details, print, small ledgers, a night of 25 hours."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from earlid.cli import main
from earlid.ledger.boards import boards
from earlid.ledger.check import to_check
from earlid.ledger.gaps import find_gaps
from earlid.ledger.location import locate
from earlid.ledger.queries import labels, openings
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger
from earlid.ledger.time_format import moment_text
from earlid.ledger.time_parse import parse_when
from earlid.page.report import make_page

from tests.page.synthetic import KITCHEN, SyntheticBoard, household, store

expect = pytest.importorskip("playwright.sync_api").expect


def kept(location):
    with Reader(location) as reader:
        return {key: word for board in boards(reader) for key, word in labels(reader, board).items()}


def write_page(location, file, now_ms):
    with Reader(location) as reader:
        file.write_text(make_page(reader, boards(reader), now_ms, None, None), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def doubtful(served):
    """(url, location, kitchen): the kitchen has three openings just now that hardly reached the cutoff."""
    url, location, kitchen = served
    now_ms = int(time.time() * 1000)
    for i in range(3):
        kitchen.opening(now_ms - 600_000 + 200_000 * i, "word", 3000, "silence", 201 + i)
    with Ledger(location) as ledger:
        store(ledger, kitchen)
    return url, location, kitchen


def test_questions_are_answered_by_keys_and_taken_back(doubtful, opened):
    url, location, _ = doubtful
    with Reader(location) as reader:
        questions = to_check(reader, boards(reader), openings(reader, boards(reader)))
    page = opened(url)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#to-check")).to_have_text(f"{len(questions)} to check")
    first = questions[0]
    expect(page.locator("#asked")).to_contain_text(moment_text(first.opening.start_ms))
    for sign in first.doubt.words:
        expect(page.locator("#asked")).to_contain_text(sign)
    before = kept(location)
    page.focus("#answers [data-answer=yes]")
    page.keyboard.press("n")
    said = page.locator("#check [data-said]")
    expect(said).to_have_text(f"Record {first.opening.seq}, {moment_text(first.opening.start_ms)}: not meant.")
    assert kept(location) == before | {(first.opening.boot, first.opening.seq): False}
    page.keyboard.press("l")  # later: the next one is asked about
    page.keyboard.press("y")
    expect(said).to_contain_text(": meant.")
    assert kept(location)[questions[2].opening.boot, questions[2].opening.seq] is True
    for _ in range(2):
        page.keyboard.press("u")
        expect(said).to_contain_text("Taken back.")
        page.wait_for_timeout(200)
    expect(page.locator("#to-check")).to_have_text(f"{len(questions)} to check")
    assert kept(location) == before
    page.focus("#lanes")
    page.keyboard.press("n")  # there it is the next opening
    expect(page.locator("#details")).to_contain_text("Record ")
    assert kept(location) == before


def test_many_are_labelled_at_once_and_taken_back(doubtful, opened):
    url, location, _ = doubtful
    page = opened(url)
    expect(page.locator("#link")).to_have_text("Live")
    before = kept(location)
    page.select_option("#scope", "all")
    page.select_option("#kind", "check")
    expect(page.locator("#bulk-count")).to_contain_text("without a label")
    count = int(page.locator("#bulk-count").inner_text().split()[1])
    page.click("#bulk button[data-word=No]")
    expect(page.locator("#openings [data-said]")).to_contain_text(f"{count} openings: not meant.")
    after = kept(location)
    assert len(after) == len(before) + count
    assert {after[key] for key in after.keys() - before.keys()} == {False}
    expect(page.locator("#listed")).to_have_text("None in the time shown above.")
    page.click("#openings [data-undo]")
    expect(page.locator("#openings [data-said]")).to_contain_text(f"Taken back. {count} openings: no label.")
    assert kept(location) == before


def test_lids_are_unknown_and_the_page_not_live_while_nobody_collects(served, opened):
    url, location, _ = served
    with Ledger(location) as ledger, ledger.transaction() as connection:
        seen_ms = int(time.time() * 1000) - 600_000
        connection.exec_driver_sql("UPDATE boards SET last_seen_ms = ?", (seen_ms,))
    page = opened(url)
    when = moment_text(seen_ms)
    expect(page.locator("#link")).to_have_text(f"Nothing collects since {when}: run earlid watch")
    expect(page.locator("#boards li").first).to_contain_text("unknown since ")
    assert page.locator("#boards li.alarm").count() == 0
    with Ledger(location) as ledger:
        ledger.mark_seen(KITCHEN)
    expect(page.locator("#link")).to_have_text("Live")
    expect(page.locator("#boards li", has_text="kitchen")).not_to_contain_text("unknown")
    expect(page.locator("#boards li", has_text="office")).to_contain_text("unknown since ")


def test_fault_and_maybe_live_stand_on_top_in_red(served, opened):
    url, location, kitchen = served
    page = opened(url)
    expect(page.locator("#link")).to_have_text("Live")
    now_ms = int(time.time() * 1000)
    with Ledger(location) as ledger:
        kitchen.add(now_ms - 9000, "open", "word", score=230, a=8000, b=200)
        kitchen.add(now_ms - 1000, "close", "timeout", a=8000, b=0xFFFF << 16 | 7900)  # no rail was seen to go
        store(ledger, kitchen)
        expect(page.locator("#alarms")).to_contain_text("kitchen: maybe live since ")
        kitchen.add(now_ms, "dead", "", a=100, b=1000)
        kitchen.add(now_ms + 1, "fault", "pump-stuck", a=3000, b=300)
        store(ledger, kitchen)
        expect(page.locator("#alarms")).to_contain_text("kitchen: FAULT (pump-stuck) since ")
    red = page.evaluate(
        "[getComputedStyle(document.querySelector('#alarms')).color, getComputedStyle(document.querySelector('#boards .alarm'))"
        ".color, getComputedStyle(document.querySelector('#lead')).color]"
    )
    assert red[0] == red[1] != red[2]


def test_details_of_what_is_chosen_are_seen(opened, report):
    page = opened(report.as_uri())
    expect(page.locator("#details")).to_contain_text("Choose an opening")
    page.locator("#list tbody tr button.quiet").first.click()
    expect(page.locator("#details strong")).to_contain_text("Opened by the ")
    assert page.locator("#details").inner_text().splitlines() == page.evaluate("earlid.gestures.describe(earlid.view.selected)")
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_contain_text("Choose an opening")


def test_print_has_every_row_the_anchor_and_the_gaps(opened, tmp_path):
    location, kitchen, _ = household(tmp_path / "gap.sqlite", days=8, end=datetime(2026, 11, 21, 22, 30))
    with Ledger(location) as ledger:
        kitchen.add(int(datetime(2026, 11, 21, 22, 31).timestamp() * 1000), "mute")
        kitchen.slots = kitchen.slots[:-1]
        kitchen.add(int(datetime(2026, 11, 21, 22, 32).timestamp() * 1000), "unmute")
        store(ledger, kitchen)
    url = write_page(location, tmp_path / "gap.html", int(datetime(2026, 11, 21, 23).timestamp() * 1000))
    with Reader(location) as reader:
        gap = find_gaps(reader, boards(reader))[0]
        count = len(openings(reader, boards(reader)))
    page = opened(url, color_scheme="dark")
    page.click("button[data-span=all]")
    expect(page.locator("#listed")).to_have_text(f"{count} records")
    ink = "earlid.paint.colours().ink"
    dark = page.evaluate(ink)
    page.emulate_media(media="print")
    assert page.pdf()[:4] == b"%PDF"
    page.evaluate("dispatchEvent(new Event('beforeprint')); earlid.listing.draw()")
    assert page.evaluate(ink) == "#000"  # paper is light
    expect(page.locator("#list tbody tr")).to_have_count(count)
    assert count > 25
    assert page.locator("#verdicts code").first.is_visible()
    expect(page.locator("#verdicts")).to_contain_text(f"kitchen: records {gap.first} to {gap.last} are missing.")
    for hidden in ("#keys", "#check", "#details", ".pages", "#timeline .tools"):
        assert not page.locator(hidden).first.is_visible(), hidden
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(ink) == dark
    expect(page.locator("#list tbody tr")).to_have_count(25)


def test_empty_and_one_day_ledgers_show_no_empty_charts(home, opened, tmp_path):
    now_ms = int(time.time() * 1000)
    empty = locate(str(tmp_path / "empty.sqlite"))
    with Ledger(empty):
        pass
    page = opened(write_page(empty, tmp_path / "empty.html", now_ms), ready=False)
    expect(page.locator("#lead")).to_have_text("The ledger has no board yet: run earlid watch with a board plugged in.")
    assert [card for card in page.locator(".card").all() if card.is_visible()] == []
    fresh = locate(str(tmp_path / "fresh.sqlite"))
    board = SyntheticBoard(KITCHEN, 0)
    board.start(now_ms - 5000)
    with Ledger(fresh) as ledger:
        store(ledger, board)
    page = opened(write_page(fresh, tmp_path / "fresh.html", now_ms))
    for card, seen in (("#timeline", True), ("#openings", True), ("#verdict", True), ("#days", False), ("#scores-card", False)):
        assert page.locator(card).is_visible() == seen, card
    assert main(["review", "--ledger", str(fresh.path)]) == 0


def test_times_of_the_night_of_25_hours_are_taken_back(opened, tmp_path):
    location = locate(str(tmp_path / "night.sqlite"))
    board = SyntheticBoard(KITCHEN, 0)
    start_ms = int(datetime(2026, 10, 25, 0, 30).timestamp() * 1000)
    board.start(start_ms)
    moments = [start_ms + hour * 3_600_000 for hour in range(1, 6)]
    for at_ms in moments:
        board.opening(at_ms, "button", 5000, "button")
    with Ledger(location) as ledger:
        store(ledger, board)
    page = opened(write_page(location, tmp_path / "night.html", start_ms + 9 * 3_600_000))
    shown = [row.inner_text().replace("\n", " ") for row in page.locator("#list tbody tr button.quiet").all()]
    assert shown[2].startswith("Sun 25 Oct, 02:30:00+01:00")
    assert shown[3] == "Sun 25 Oct, 02:30:00"
    now = datetime(2026, 11, 21)
    assert [parse_when(text.partition("±")[0], now) for text in shown] == moments[::-1]
    page.click("button[data-span='3600000']")
    expect(page.locator("#range")).to_contain_text(", ")
    text = page.locator("#range").inner_text()
    assert parse_when(text.partition(" to ")[0], now) == page.evaluate("earlid.view.t0") // 1000 * 1000
