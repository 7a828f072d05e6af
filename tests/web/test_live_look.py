# SPDX-License-Identifier: MIT
"""The live look shows what a board says and asks only `hello`; whatever a board sends stays text."""

from __future__ import annotations

import random
import re

import pytest
from earlid.board.framing import LineReader
from earlid.ledger.anchor_code import make_code
from lid import wire

from tests.page.chromium import wait
from tests.web import programs
from tests.web.dev_board import DevBoard, Speaker

SEED = 1711
MARKUP = "<img src=x onerror=alert(1)><b>bold</b>"


@pytest.fixture
def look(server, visit):
    """The page, at the live look."""
    page = visit(server.url + "#look")
    state(page, "idle")
    return page


def state(page, expected):
    """Wait until the live look is in a state."""
    from playwright.sync_api import expect

    expect(page.locator("#look")).to_have_attribute("data-state", expected)


def lid(page, expected):
    """Wait until the page shows this state of the lid."""
    from playwright.sync_api import expect

    expect(page.locator("#lid-state")).to_have_attribute("data-lid", expected)


def text(page, selector, pattern):
    """Wait until an element's text has a pattern in it."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(re.compile(pattern))


def frames(data):
    """(seq, body) of every line in these bytes, which are nothing else."""
    reader = LineReader(wire.HOST_LINE_MAX)
    found = reader.feed(data)
    assert (reader.noise_bytes, reader.bad_lines) == (0, 0)
    return found


def test_state_receipts_and_head_of_a_running_board_are_shown_and_only_hello_is_sent(server, look, image):
    board = server.plug(DevBoard(flash=image, start=programs.start))
    earlid = board.program.board
    earlid.wait_for('"selftest"')
    earlid.pause()
    earlid.run_background(speed=2.0)  # an opening lasts longer than the page's two seconds between questions
    look.click("#look-connect")
    state(look, "live")
    lid(look, "closed")
    assert "listens for “Alexa”" in look.inner_text("#lid-facts")
    earlid.talk(True)
    lid(look, "open")
    look.wait_for_selector("#receipts tr[data-event=open]")
    text(look, "#level-text", r"^-(59|6[01]) dBFS")  # the room's noise
    earlid.talk(False)
    lid(look, "closed")
    earlid.mute(True)
    lid(look, "muted")
    earlid.pause()
    newest = [body["rec"] for _, body in frames(earlid.console.partition("\n")[2].encode()) if "rec" in body][-1]
    look.wait_for_selector(f"#receipts tr[data-seq='{newest[0]}']")
    text(look, "#head-code", f"^{make_code(newest[0], bytes.fromhex(newest[14]))}$")
    events = look.eval_on_selector_all("#receipts tr[data-seq]", "(rows) => rows.map((row) => row.dataset.event)")
    assert [event for event in reversed(events) if event in ("open", "close")] == ["open", "close"]

    look.click("#look-disconnect")
    state(look, "idle")
    assert look.evaluate("navigator.serial.getPorts().then(([port]) => port.readable)") is None
    sent = bytes(board.received)
    assert sent == b"".join(wire.encode(seq, {"id": body["id"], "do": "hello"})[:-1] + b"\r\n" for seq, body in frames(sent))
    assert board.starts == ["program"]


def test_whatever_a_board_sends_stays_text(server, look):
    """Random bytes, endless lines, and well-formed lies with markup in every string: no element is made of them."""
    rng = random.Random(SEED)
    speaker = Speaker(b"")
    board = server.plug(DevBoard(start=lambda flash: speaker))
    look.click("#look-connect")
    wait(lambda: board.received)
    before = look.evaluate("document.querySelectorAll('*').length")
    link = "5ca1ab1e" * 3
    hi = {"board": "0123456789abcdef", "state": "closed", "seq": 7, "link": link, "word": MARKUP, "why": MARKUP, "fw": MARKUP}
    lies = [
        {"hi": hi},
        {"hi": {"board": MARKUP, "state": MARKUP, "seq": MARKUP, "link": MARKUP}},
        {"hi": {"__proto__": {"board": 1}, "constructor": MARKUP}},
        {"tm": {"state": MARKUP, "lvl": MARKUP}},
        {"rec": [8, 1, 5, MARKUP, MARKUP, 0, 0, 0, 0, 0, 0, 0, 0, 0, link, "0" * 16]},
        {"rec": [MARKUP] * 16},
        {"rec": MARKUP},
        {"hi": None},
    ]
    good = b"".join(wire.encode(seq, body) for seq, body in enumerate(lies))
    noise = rng.randbytes(3000).replace(b"\n", b"") + b"\n"
    damaged = wire.encode(90, {"hi": hi}).replace(b"closed", b"opened")
    pieces = [noise, b"#" * 20_000 + b"\n", b"x" * 20_000 + b"\n", damaged, good, rng.randbytes(3000), b"\n"]
    for piece in pieces:
        server.call(lambda data=piece: board.send(data))
    state(look, "live")
    lid(look, "closed")
    text(look, "#head-code", f"^{make_code(7, bytes.fromhex(link))}$")
    text(look, "#line-quality", "damaged")
    assert "<b>bold</b>" in look.inner_text("#lid-facts")
    assert look.query_selector_all("#look img, #look b, #look script, #look iframe, #look a") == []
    assert look.evaluate("document.querySelectorAll('*').length") < before + 60, f"seed {SEED}"
    assert look.query_selector_all("#receipts tbody tr") == []
    server.call(lambda: board.send(wire.encode(9, {"hi": {**hi, "state": "open"}})))
    lid(look, "open")


def test_unplugged_board_is_said_and_can_be_looked_at_again(server, look, image):
    board = server.plug(DevBoard(flash=image, start=programs.start))
    look.click("#look-connect")
    state(look, "live")
    server.unplug(board)
    state(look, "lost")
    text(look, "#look-say", "unplugged")
    server.plug(board)
    look.click("#look-connect")
    state(look, "live")


def test_refusal_and_a_port_in_use_are_said(server, look):
    look.click("#look-connect")
    text(look, "#look-say", "No port was chosen")
    state(look, "idle")
    board = server.plug(DevBoard(busy=True))
    look.click("#look-connect")
    text(look, "#look-say", "cannot be opened")
    state(look, "idle")
    assert board.received == b""


def test_silent_board_is_said_with_what_it_says(server, look):
    board = server.plug(DevBoard(start=lambda flash: Speaker(b"MicroPython v1.26.1 on 2025-09-11\r\n>>> ")))
    look.clock.install()
    look.click("#look-connect")
    wait(lambda: board.received)
    look.clock.run_for(6500)  # three questions without an answer
    state(look, "silent")
    text(look, "#look-say", "MicroPython answers")
