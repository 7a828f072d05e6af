# SPDX-License-Identifier: MIT
"""Narrator: prints what a virtual board does while scenes, a recording or this PC's microphone are played to it."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from lid.wire_schema import Wait
from rich.console import Console

from earlid.board.consent import announcement
from earlid.board.link import Link, Record
from earlid.collect.pairing import PAIRING
from earlid.collect.sync import Sync
from earlid.demo.pc_microphone import feeding
from earlid.demo.scenes import LEAD_MS, SCENES, consent
from earlid.ledger.boards import boards
from earlid.ledger.judge import judge
from earlid.ledger.keys import PairedKey
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.render import print_report
from earlid.ledger.report import make_report
from earlid.ledger.store import Ledger
from earlid.scores import score_text
from earlid.virtual.board import VirtualBoard
from earlid.virtual.sound import Samples

TAIL_MS = 10_000
WATCH_STEP_MS = 100
STYLES = {"open": "yellow", "close": "green", "fault": "bold red", "mute": "cyan", "unmute": "cyan"}


def play_story(board: VirtualBoard, location: Location, out: Console) -> tuple[bool, bytes | None]:
    """Play the scenes; returns whether the lid opened in exactly those in which it must, and the board's key."""
    as_expected = True
    key: bytes | None = None
    with Ledger(location) as ledger, Link(board.serial_port, lambda board, epoch: key) as link:
        sync: Sync | None = None
        for number, scene in enumerate(SCENES, 1):
            out.print(wrapped(f"{number}. {scene.title}", out.width), style="bold", markup=False)
            before = len(board.events("guarded_rail"))
            opened = ""
            if scene.pairs:
                key = _pair(board, link, out)
            for record in _watch(board, link, scene.act(board)):
                _show(record, out)
                opened = record.reason if record.event == "open" else opened
            if sync is None:
                sync = _first_sync(board, link, ledger)
            elif scene.pairs:
                sync.set_clock()  # no longer a hint
            live = any(value for _, value in board.events("guarded_rail")[before:])
            if (opened or None) != scene.opens or live != bool(scene.opens):
                as_expected = False
                powered = "powered" if live else "not powered"
                out.print(f"   [bold red]not as expected[/]: opened by {opened or 'nothing'}, microphone {powered}")
            elif not scene.opens:
                out.print("   [dim]the guarded microphone had no power[/]")
        if sync:
            sync.catch_up()
    _print_measured(board, out)
    return as_expected, key


def _pair(board: VirtualBoard, link: Link, out: Console) -> bytes:
    """Ask for the key, and show the announcement; the virtual board's own switches make the gesture."""
    shown: list[str] = []

    def on_wait(wait: Wait) -> None:
        if not shown:
            shown.extend(announcement(wait["ask"], PAIRING).splitlines())
            for line in shown:
                out.print(wrapped("   " + line, out.width), style="magenta", markup=False)
            consent(board)

    return bytes.fromhex(link.request_consent("pair", on_wait)["key"])


def listen_along(board: VirtualBoard, location: Location, out: Console, sound: Samples | None) -> None:
    """Play a recording, or the PC's microphone until Ctrl-C, and show the records as they come."""
    with Ledger(location) as ledger, Link(board.serial_port) as link:
        out.print("[bold]1.[/] Power on.")
        for record in _watch(board, link, 7000):
            _show(record, out)
        sync = _first_sync(board, link, ledger)
        if sound is not None:
            out.print("[bold]2.[/] The recording plays.")
            length_ms = board.play_at(board.now_ms + LEAD_MS, sound) - board.now_ms + TAIL_MS
            for record in _watch(board, link, length_ms):
                _show(record, out)
        else:
            out.print("[bold]2.[/] Say the word. Ctrl-C ends it.")
            with feeding(board):
                try:
                    while True:
                        for record in _watch(board, link, 1000):
                            _show(record, out)
                except KeyboardInterrupt:
                    out.print()
        sync.catch_up()
    _print_measured(board, out)


def _first_sync(board: VirtualBoard, link: Link, ledger: Ledger) -> Sync:
    """The first sync, on a clock that runs at the board's (perhaps faster) time."""
    started_ms = time.time() * 1000 - board.now_ms
    sync = Sync(link, ledger, clock_ms=lambda: int(started_ms + board.now_ms))
    sync.catch_up()
    sync.set_clock()
    return sync


def _watch(board: VirtualBoard, link: Link, duration_ms: float) -> Iterator[Record]:
    """Records as they come over the serial port while board time passes."""
    end_ms = board.now_ms + duration_ms
    while board.now_ms < end_ms:
        board.run_ms(min(WATCH_STEP_MS, max(1, end_ms - board.now_ms)))
        for message in link.messages(0.01):
            if isinstance(message, Record):
                yield message


def wrapped(text: str, width: int) -> str:
    """A text wrapped to a width, later lines indented as the first one's words."""
    return textwrap.fill(text, width, subsequent_indent="   ")


def _show(record: Record, out: Console) -> None:
    out.print(_line(record, out.width), style=STYLES.get(record.event), markup=False)


def _line(record: Record, width: int) -> str:
    """One record as text; its details stand on a line of their own where there is no room beside it."""
    what = f"{record.event} by {record.reason}" if record.event == "open" else f"{record.event} {record.reason}".strip()
    detail = {
        "open": f"receipt written; score {score_text(record.score, record.b, record.flags)}; at most {record.a / 1000:.0f} s",
        "close": f"after {record.a / 1000:.1f} s; the rail was live for {record.b >> 16} ms at most",
        "selftest": f"relay drops in {record.b} ms; rails, switch and microphone checked",
        "near-miss": f"score {score_text(record.score, record.b, record.flags)}",
    }.get(record.event, "")
    head = f"   {record.ms / 1000:7.2f} s  #{record.seq:<3} {what:<22} "
    if len(head + detail) <= width or not detail:
        return (head + detail).rstrip()
    return head.rstrip() + "\n" + textwrap.fill(detail, width, initial_indent=" " * 14, subsequent_indent=" " * 14)


def _print_measured(board: VirtualBoard, out: Console) -> None:
    """Print for how long the circuit fed the guarded microphone, to compare with the receipts."""
    live_ms, since = 0.0, None
    for at_ms, live in board.events("guarded_rail"):
        if live and since is None:
            since = at_ms
        elif not live and since is not None:
            live_ms, since = live_ms + at_ms - since, None
    if since is not None:
        live_ms += board.now_ms - since
    out.print(
        f"\nMeasured in the circuit, not told by the firmware: the guarded microphone had power for {live_ms / 1000:.1f} s. "
        "The receipts, as the ledger has them:\n"
    )


def show_receipts(location: Location, out: Console, key: bytes | None) -> None:
    """Print the last minutes as `earlid review` does, and whether the chain holds; with the board's key, the seals too."""
    now = datetime.now()
    since = (now - timedelta(minutes=15)).timestamp() * 1000
    with Reader(location) as reader:
        known = boards(reader)
        print_report(make_report(reader, known, int(since), int((now + timedelta(minutes=5)).timestamp() * 1000)), sys.stdout)
        for board in known:
            for finding in judge(reader, board, [PairedKey(key, 0, 1)] if key else ()).findings:
                out.print(f"\nThe chain of records: {finding.say}", markup=False)
