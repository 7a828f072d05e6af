# SPDX-License-Identifier: MIT
"""The flashing page writes a chip, says what it found and what went wrong, and writes nothing it was not told to."""

from __future__ import annotations

import re

import pytest
from earlid.flash import one_file
from lid import wire, wire_schema
from littlefs import LittleFS

from tests.flash.harness import flash_id
from tests.flash.release_image import esp_image
from tests.flash.test_foreign import application
from tests.page.chromium import wait
from tests.web import programs
from tests.web.conftest import SMALL, WORD
from tests.web.dev_board import DevBoard, Speaker

ERASED = b"\xff" * (4 << 20)
SELF_TEST = sum(wire_schema.SELF_TEST)
LINK = "5ca1ab1e" * 3


@pytest.fixture
def open_flow(server, visit):
    """Opens the page's flow in a fresh Chromium page, waiting for the word."""

    def open_page():
        page = visit(server.url)
        state(page, "word")
        page.clock.install()
        return page

    return open_page


@pytest.fixture
def flash(open_flow):
    """The page's flow."""
    return open_flow()


def state(page, *expected):
    """Wait until the flow is in one of these states."""
    from playwright.sync_api import expect

    expect(page.locator("#flash")).to_have_attribute("data-state", re.compile(f"^({'|'.join(expected)})$"))


def ended(page, expected):
    """Wait for the flow's end."""
    state(page, "found", "passed", "failed", "untested", "silent", "refused", "broken")
    assert page.get_attribute("#flash", "data-state") == expected, page.inner_text("#flash")


def connect(page, word=WORD, silent=None):
    """Choose a word and click Connect; silent: a board on which no Earlid answers, so that the page need not wait for one."""
    page.check(f"#words input[value='earlid-{word}.bin']")
    before = len(silent.received) if silent else 0
    page.click("#connect")
    if silent:
        wait(lambda: len(silent.received) > before)
        page.clock.run_for(1500)
        page.clock.resume()


def start_lines(self_test=SELF_TEST, state="closed"):
    """What a board says when it starts: with these bits of its self-test, or None for none."""
    rows = [("boot", "power-on", 0)]
    if self_test is not None:
        rows.append(("selftest", "passed" if self_test == SELF_TEST else "failed", self_test))
    bodies = [
        {"rec": [n, 1, 5, event, reason, 0, 0, 0, 0, 0, 0, 0, a, 0, LINK, "0" * 16]}
        for n, (event, reason, a) in enumerate(rows, 1)
    ]
    bodies.append(
        {"hi": {"board": "0123456789abcdef", "fw": "0.2.0", "state": state, "seq": len(rows), "link": LINK, "word": ""}}
    )
    return b"".join(wire.encode(seq, body) for seq, body in enumerate(bodies))


def worn_file_system(size_bytes):
    """One whose first blocks were written so often that littlefs has moved the root's entries away."""
    worn = LittleFS(block_size=4096, block_count=size_bytes // 4096, block_cycles=1)
    for count in range(400):
        with worn.open("/identity", "w") as file:
            file.write(f"{count}")
    assert b"identity" not in worn.context.buffer[:8192]
    return bytes(worn.context.buffer)


def found_on(server, open_flow, board):
    """A page of its own for a board, which is ready to be written."""
    server.plug(board)
    page = open_flow()
    connect(page, SMALL, board)
    ended(page, "found")
    return page


def focus_on(page, what):
    """Press Tab until an element has the focus; nothing but the keyboard is used."""
    for _ in range(40):
        if page.evaluate("document.activeElement.id || document.activeElement.value") == what:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {what} by Tab")


def test_whole_flash_and_first_self_test_by_keyboard_alone(server, flash, image):
    """From the choice of a word to the self-test's end: the flash equals the image block for block, and Earlid runs from it."""
    board = server.plug(DevBoard(start=programs.start))
    focus_on(flash, "earlid-no-word.bin")
    flash.keyboard.press("ArrowDown")
    focus_on(flash, "connect")
    flash.keyboard.press("Enter")
    ended(flash, "found")
    assert flash.get_attribute("#overwritten", "data-found") == "empty"
    assert flash.evaluate("document.activeElement.id") == "title-overwrite"
    assert "ESP32" in flash.inner_text("#chip")
    assert board.blocks == 0
    focus_on(flash, "write")
    flash.keyboard.press("Enter")
    ended(flash, "passed")
    written = board.started_from
    assert [at for at in range(0, len(image), 4096) if written[at : at + 4096] != image[at : at + 4096]] == []
    assert len(written) == len(image)
    held = flash.eval_on_selector_all("#self-test li", "(items) => items.map((item) => item.dataset.held)")
    assert len(held) > 8
    assert set(held) == {"yes"}
    assert "“Alexa”" in flash.inner_text("#test-say")
    assert flash.evaluate("document.activeElement.id") == "title-next"
    assert board.program.board.console.count('"selftest","passed"') == 1


def test_unplugged_in_the_middle_says_so_and_a_second_try_works(server, flash):
    board = server.plug(DevBoard(unplug_at_block=6))
    connect(flash, SMALL, board)
    ended(flash, "found")
    flash.click("#write")
    ended(flash, "broken")
    assert "unplugged" in flash.inner_text("#trouble-say")
    assert flash.evaluate("document.activeElement.id") == "title-trouble"
    board.unplug_at_block = None
    server.plug(board)
    flash.click("#again")
    state(flash, "word")
    connect(flash, SMALL, board)
    ended(flash, "found")
    assert flash.is_enabled("#write"), flash.inner_text("#step-overwrite")
    board.start = lambda data: Speaker(start_lines())
    flash.click("#write")
    ended(flash, "passed")


def test_chips_that_are_not_to_be_written_are_named_and_left_as_they_are(server, open_flow, image):
    """Another chip, one that cannot be reset, another program, and a file system that may hide a journal: nothing is written."""
    at = one_file.inspect(image).layout.file_system.offset
    foreign = bytearray(ERASED)
    foreign[0x1000:0x1100] = esp_image(b"boot loader")[:0x100].ljust(0x100, b"\xff")
    name = "<b>smart</b> kettle"
    foreign[0x10000 : 0x10000 + len(application(name))] = application(name, "2.1")
    cases = [
        (DevBoard("esp32s3"), "refused", "#trouble-say", "ESP32-S3"),
        (DevBoard(transistors=False), "refused", "#trouble-say", "BOOT"),
        (DevBoard(flash=bytes(foreign)), "found", "#overwritten", f"{name} 2.1"),
        (DevBoard(flash=image[:at] + worn_file_system(len(image) - at)), "found", "#overwritten", "journal"),
    ]
    pages = []
    for board, *_ in cases:  # all at once: most of it is waiting
        server.plug(board)
        pages.append(open_flow())
        connect(pages[-1])
        pages[-1].wait_for_selector("#flash:not([data-state=word])")
    for page, (board, end, where, says) in zip(pages, cases, strict=True):
        ended(page, end)
        assert says in page.inner_text(where)
        assert page.query_selector(f"{where} b") is None
        assert page.is_disabled("#write")
        if end == "found":
            page.click("#leave")
            state(page, "word")
        else:
            assert "Nothing was written" in page.inner_text(where)
        assert board.starts[-1] == "program"
        assert board.blocks == 0
        assert board.flash == board.flash_at_first
    assert [page.get_attribute("#overwritten", "data-found") for page in pages[2:]] == ["foreign", "earlid"]


def test_too_little_flash_is_refused(server, flash):
    board = server.plug(DevBoard())
    with flash_id(0x154020):
        connect(flash, silent=board)
        ended(flash, "refused")
    assert "2MB" in flash.inner_text("#trouble-say")
    assert board.blocks == 0


def test_refusal_by_the_user_is_no_error(server, flash):
    flash.click("#connect")
    flash.wait_for_selector("#connect-say:not(:empty)")
    state(flash, "word")
    assert "No port was chosen" in flash.inner_text("#connect-say")
    assert flash.is_hidden("#trouble")
    assert flash.is_enabled("#connect")


def test_damaged_image_is_not_written(server, flash, image):
    damaged = bytearray(image)
    damaged[0x3000] ^= 1
    flash.route("**/images/*.bin", lambda route: route.fulfill(body=bytes(damaged)))
    board = server.plug(DevBoard())
    connect(flash, silent=board)
    ended(flash, "found")
    flash.click("#write")
    ended(flash, "refused")
    assert "damaged" in flash.inner_text("#trouble-say")
    assert board.blocks == 0
    assert board.starts[-1] == "program"
    assert board.flash == ERASED


@pytest.mark.parametrize("answers", [True, False])
def test_journal_and_key_of_an_earlid_are_kept_without_consent(server, flash, site, image, answers):
    """Whether it answers or is silent: what it has written is recognised, and erased only for the typed word."""
    board = server.plug(DevBoard(flash=image, start=programs.start))
    board.program.board.wait_for('"selftest"')
    if not answers:
        board.start = programs.no_program
        server.call(board.reset)
    connect(flash, SMALL, None if answers else board)
    ended(flash, "found")
    before = board.flash
    assert before != image
    assert flash.get_attribute("#overwritten", "data-found") == "earlid"
    assert "earlid flash" in flash.inner_text("#consent-erase")
    for text, agreed in (("", False), ("erases", False), ("erase", True)):
        flash.fill("#erase-word", text)
        assert flash.is_enabled("#write") == agreed
    if answers:
        flash.click("#leave")
        state(flash, "word")
        assert board.started_from == before
        return
    board.start = lambda data: Speaker(start_lines())
    flash.click("#write")
    ended(flash, "passed")
    assert board.started_from == (site / "images" / f"earlid-{SMALL}.bin").read_bytes().ljust(len(ERASED), b"\xff")


def test_connection_that_fails_at_the_fast_rate_goes_on_at_the_slow_one(server, open_flow):
    """Whether it fails at once or in the middle of an image."""
    boards = [DevBoard(fastest_baud=115_200), DevBoard(slow_from_block=5)]
    pages = [found_on(server, open_flow, board) for board in boards]
    for board, page in zip(boards, pages, strict=True):
        board.start = lambda data: Speaker(start_lines())
        page.click("#write")
    for board, page in zip(boards, pages, strict=True):
        ended(page, "passed")
        assert b"\xc0\x00\x0f" in board.received  # the fast rate was tried
        assert board.blocks > 5


def test_ends_of_a_first_start_are_told_apart(server, open_flow):
    """Muted, a failed self-test, an error at the start: each has its own sentence."""
    failed = SELF_TEST & ~1
    ends = {
        "silent": (
            b"Traceback (most recent call last):\r\nOSError: [Errno 5] EIO\r\n>>> ",
            "did not start (OSError: [Errno 5] EIO)",
        ),
        "untested": (start_lines(None, state="muted"), "Its mute switch is on"),
        "failed": (start_lines(failed), f"Its self-test failed (bits 0x{failed:x})"),
    }
    pages = {}
    for end, (lines, _) in ends.items():
        board = DevBoard()
        page = pages[end] = found_on(server, open_flow, board)
        board.start = lambda data, lines=lines: Speaker(lines)
        page.click("#write")
    for end, (_, says) in ends.items():
        ended(pages[end], end)
        assert says in pages[end].inner_text("#test-say")
    held = pages["failed"].eval_on_selector_all("#self-test li", "(items) => items.map((item) => item.dataset.held)")
    assert [held.count("no"), held[0]] == [1, "no"]


def test_unplugged_before_or_after_the_write_is_said_without_a_false_alarm(server, flash):
    board = server.plug(DevBoard())
    connect(flash, SMALL, board)
    ended(flash, "found")
    server.unplug(board)
    state(flash, "refused")
    assert "Nothing was written" in flash.inner_text("#trouble-say")
    server.plug(board)
    flash.click("#again")
    connect(flash, SMALL, board)
    ended(flash, "found")
    flash.click("#write")
    state(flash, "testing")
    server.unplug(board)
    ended(flash, "silent")
    assert "unplugged" in flash.inner_text("#test-say")
