# SPDX-License-Identifier: MIT
"""The records that a report carries: all of its range and no others, and the acts on them; QR codes of anchor codes."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from datetime import datetime
from itertools import chain

import pytest
from earlid.ledger.anchor_qr import qr_lines, qr_modules
from earlid.ledger.boards import boards
from earlid.ledger.queries import entries, openings
from earlid.ledger.reader import Reader
from earlid.page.pack import unpack
from earlid.page.report import make_page
from lid import record

DAY = (int(datetime(2026, 11, 20).timestamp() * 1000), int(datetime(2026, 11, 21).timestamp() * 1000))


def carried(reader, from_ms, to_ms):
    """Header, slots of each board, and times of fetching of a report's block."""
    known = boards(reader)
    page = make_page(reader, known, 1_795_300_000_000, from_ms, to_ms)
    block = re.search('id="sealed">(.*?)<', page)[1]
    header, tables = unpack(base64.b64decode(block))
    data = bytes(tables["slots"]["bytes"])
    slots = [data[at : at + 64] for at in range(0, len(data), 64)]
    assert len(slots) == len(tables["taken"]["ms"]) == sum(board["count"] for board in header["boards"])
    of_board = []
    for board in header["boards"]:
        of_board.append(slots[: board["count"]])
        del slots[: board["count"]]
    return header, of_board, list(tables["taken"]["ms"])


def link_over(before, slot):
    """The link that a slot must have behind another link: PROTOCOL.md."""
    return hashlib.sha256(before + slot[:40] + slot[52:60]).digest()[:12]


def numbers(slots):
    return [int.from_bytes(slot[:4], "little") for slot in slots]


def test_report_of_everything_carries_every_slot_and_act(past):
    with Reader(past[0]) as reader:
        header, slots, taken_ms = carried(reader, None, None)
        acts = reader.rows("SELECT body FROM acts ORDER BY place")
        kept = reader.rows("SELECT link, taken_ms FROM records ORDER BY board_id, boot, seq")
    assert not header["partial"]
    assert [board["before"] for board in header["boards"]] == [None, None]
    assert [(slot[40:52], at) for slot, at in zip(chain(*slots), taken_ms, strict=True)] == kept
    for board, of_board in zip(header["boards"], slots, strict=True):
        link = record.genesis(board["board"])
        for slot in of_board:
            assert link_over(link, slot) == slot[40:52]
            link = slot[40:52]
    assert [act[4] for act in header["acts"]] == [body for (body,) in acts]


def test_report_of_a_day_carries_that_day_and_the_link_before_it(past):
    with Reader(past[0]) as reader:
        known = boards(reader)
        header, slots, _ = carried(reader, *DAY)
        for board, there, of_board in zip(known, header["boards"], slots, strict=True):
            shown = {entry.seq for entry in entries(reader, [board], *DAY)}
            shown |= {opening.seq for opening in openings(reader, [board], *DAY)}
            assert numbers(of_board) == list(range(min(shown), max(shown) + 1))
            assert there["before"]["seq"] == min(shown) - 1
            before = bytes.fromhex(there["before"]["link"])
            assert link_over(before, of_board[0]) == of_board[0][40:52]
            assert {row["seq"] for row in there["tables"]["labels"]} <= shown
        bodies = {(number, kind): body for _, number, _, kind, body, *_ in header["acts"]}
    assert header["partial"]
    assert any(body is None for (_, kind), body in bodies.items() if kind == "label")
    assert all(body for (_, kind), body in bodies.items() if kind in ("begin", "name"))


def test_opening_that_began_before_the_range_is_carried_whole(past):
    with Reader(past[0]) as reader:
        known = boards(reader)
        opening = next(item for item in openings(reader, known) if item.least_ms > 4000)
        index = [board.identifier for board in known].index(opening.board)
        middle_ms = opening.start_ms + 2000
        _, slots, _ = carried(reader, middle_ms, middle_ms + 1000)
    assert numbers(slots[index]) == [opening.seq, opening.seq + 1]  # with its close, on which the bounds rest


@pytest.mark.parametrize("code", ["3C-7H2K-9XWD-S", "0-0000-0000-0", "3ZZZZZZ-ZZZZ-ZZZZ-Z"])
def test_terminal_shows_the_modules_of_the_qr_code(code):
    modules = qr_modules(code)
    halves = {"█": "00", "▀": "01", "▄": "10", " ": "11"}  # light above and below, and so on
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    lines = [line.ljust(25) for line in qr_lines(code, terminal)]
    rows = ["".join(halves[char][half] for char in line) for line in lines for half in (0, 1)]
    assert (len(modules), {len(row) for row in modules}) == (21, {21})
    assert [row[2:23] for row in rows[2:23]] == modules
    assert {char for row in (*rows[:2], *rows[23:25]) for char in row} == {"0"}
    assert qr_lines(code, io.TextIOWrapper(io.BytesIO(), encoding="latin-1")) == []
