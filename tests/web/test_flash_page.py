# SPDX-License-Identifier: MIT
"""The flashing page writes a chip, says what it found and what went wrong, and writes nothing it was not told to."""

from __future__ import annotations

import re

import pytest
from earlid.flash import one_file
from littlefs import LittleFS

from tests.flash.harness import flash_id
from tests.flash.release_image import esp_image
from tests.flash.test_foreign import application
from tests.web import programs
from tests.web.conftest import WORD
from tests.web.dev_board import DevBoard, Speaker

ERASED = b"\xff" * (4 << 20)


@pytest.fixture
def flash(server, visit):
    """The page's flow: its Chromium page, waiting for the word."""
    page = visit(server.url)
    state(page, "word")
    return page


def state(page, *expected):
    """Wait until the flow is in one of these states."""
    from playwright.sync_api import expect

    expect(page.locator("#flash")).to_have_attribute("data-state", re.compile(f"^({'|'.join(expected)})$"))


def ended(page, expected):
    """Wait for the flow's end."""
    state(page, "found", "passed", "failed", "untested", "silent", "refused", "broken")
    assert page.get_attribute("#flash", "data-state") == expected, page.inner_text("#flash")


def connect(page, word=WORD):
    page.check(f"#words input[value='earlid-{word}.bin']")
    page.click("#connect")


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
    board = server.plug(DevBoard(start=programs.start, unplug_at_block=4))
    connect(flash)
    ended(flash, "found")
    flash.click("#write")
    ended(flash, "broken")
    assert "unplugged" in flash.inner_text("#trouble-say")
    assert flash.evaluate("document.activeElement.id") == "title-trouble"
    board.unplug_at_block = None
    server.plug(board)
    flash.click("#again")
    state(flash, "word")
    connect(flash)
    ended(flash, "found")
    assert flash.is_enabled("#write"), flash.inner_text("#step-overwrite")
    flash.click("#write")
    ended(flash, "passed")


@pytest.mark.parametrize(("chip", "size", "says"), [("esp32s3", 0x164020, "ESP32-S3"), ("esp32", 0x154020, "2MB")])
def test_another_chip_or_too_little_flash_is_refused(server, flash, chip, size, says):
    board = server.plug(DevBoard(chip))
    with flash_id(size):
        connect(flash)
        ended(flash, "refused")
    assert says in flash.inner_text("#trouble-say")
    assert "Nothing was written" in flash.inner_text("#trouble-say")
    assert board.flash == ERASED[: len(board.flash)]
    assert board.blocks == 0
    assert board.starts[-1] == "program"


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
    connect(flash)
    ended(flash, "found")
    flash.click("#write")
    ended(flash, "refused")
    assert "damaged" in flash.inner_text("#trouble-say")
    assert board.blocks == 0
    assert board.starts[-1] == "program"
    assert board.flash == ERASED


def test_foreign_program_is_named_and_kept_without_consent(server, flash):
    before = bytearray(ERASED)
    before[0x1000:0x1100] = esp_image(b"boot loader")[:0x100].ljust(0x100, b"\xff")
    name = "<b>smart</b> kettle"
    before[0x10000 : 0x10000 + len(application(name))] = application(name, "2.1")
    board = server.plug(DevBoard(flash=bytes(before)))
    connect(flash)
    ended(flash, "found")
    assert flash.get_attribute("#overwritten", "data-found") == "foreign"
    assert f"{name} 2.1" in flash.inner_text("#overwritten")
    assert flash.is_disabled("#write")
    flash.check("#foreign-check")
    assert flash.is_enabled("#write")
    flash.click("#leave")
    state(flash, "word")
    assert board.flash == before
    assert board.starts[-1] == "program"


@pytest.mark.parametrize("answers", [True, False])
def test_journal_and_key_of_an_earlid_are_kept_without_consent(server, flash, image, answers):
    """Whether it answers or is silent: what it has written is recognised, and erased only for the typed word."""
    board = server.plug(DevBoard(flash=image, start=programs.start))
    board.program.board.wait_for('"selftest"')
    if not answers:
        board.start = programs.no_program
        server.call(board.reset)
    connect(flash)
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
    board.start = programs.start
    flash.click("#write")
    ended(flash, "passed")


def test_worn_file_system_that_hides_its_root_is_kept_without_consent(server, flash, image):
    """littlefs moves the root's entries away from a file system's first blocks when these were written often."""
    at = one_file.inspect(image).layout.file_system.offset
    worn = LittleFS(block_size=4096, block_count=(len(image) - at) // 4096, block_cycles=1)
    for count in range(400):
        with worn.open("/identity", "w") as file:
            file.write(f"{count}")
    assert b"identity" not in worn.context.buffer[:8192]
    board = server.plug(DevBoard(flash=image[:at] + bytes(worn.context.buffer)))
    connect(flash)
    ended(flash, "found")
    assert flash.get_attribute("#overwritten", "data-found") == "earlid"
    assert flash.is_disabled("#write")
    assert board.blocks == 0


def test_connection_that_fails_at_the_fast_rate_goes_on_at_the_slow_one(server, flash):
    board = server.plug(DevBoard(start=programs.start, fastest_baud=115_200))
    connect(flash)
    ended(flash, "found")
    flash.click("#write")
    ended(flash, "passed")
    assert board.blocks > 1


def test_board_without_reset_transistors_is_told_of_its_boot_button(server, flash):
    server.plug(DevBoard(transistors=False))
    connect(flash)
    ended(flash, "refused")
    assert "BOOT" in flash.inner_text("#trouble-say")


def test_firmware_that_does_not_start_is_said_with_its_error(server, flash):
    board = server.plug(DevBoard())
    connect(flash)
    ended(flash, "found")
    board.start = lambda data: Speaker(b"Traceback (most recent call last):\r\nOSError: [Errno 5] EIO\r\n>>> ")
    flash.click("#write")
    ended(flash, "silent")
    assert "did not start (OSError: [Errno 5] EIO)" in flash.inner_text("#test-say")
