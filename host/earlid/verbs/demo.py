"""`earlid demo`: a board made of copper that is computed and firmware that is real, and what it does when people talk."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from earlid.errors import FAILED, USAGE, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from earlid.board.link import Link, Record
    from earlid.board.sync import Sync
    from earlid.ledger.location import Location
    from earlid.virtual.board import VirtualBoard

SPEED = 2.0
TAIL_MS = 10_000
WATCH_STEP_MS = 100


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "demo",
        help="see a lid at work without any hardware",
        description="A virtual board: the firmware as it is flashed, on real MicroPython, in a computed circuit, behind a "
        "real serial port. Tells a story in half a minute; or listens to a recording, or to this PC's microphone.",
    )
    parser.add_argument("--model", default="alexa", metavar="M", help="the word: a name of `earlid model list`, or a file")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--wav", metavar="FILE", help="play this recording to the board (WAV or FLAC of any kind)")
    source.add_argument("--mic", action="store_true", help="let the board hear this PC's microphone, until Ctrl-C")
    parser.add_argument("--speed", type=float, default=SPEED, metavar="X", help="how many times faster than life (default 2)")
    parser.add_argument(
        "--stay", action="store_true", help="keep the board running afterwards, with keys to speak, press and unplug"
    )
    parser.add_argument("--no-story", action="store_true", help="only the board, as with --stay")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the story, or listen along."""
    if not 0.1 <= args.speed <= 100:
        raise UserError("--speed must be from 0.1 to 100.", USAGE)
    if args.model != "alexa" and not (args.wav or args.mic or args.no_story):
        raise UserError("the story is told with the word Alexa; for another model give --wav FILE or --mic.", USAGE)
    if args.no_story and (args.wav or args.mic):
        raise UserError("--no-story leaves nothing to do for --wav and --mic.", USAGE)
    from earlid.gate import audio, models, runner

    if not runner.has_micropython():
        raise UserError(runner.MISSING, FAILED)
    from earlid.ledger.location import Location
    from earlid.virtual.board import VirtualBoard
    from earlid.virtual.story import QUIET_ROOM_DBFS

    sound = audio.read_audio(Path(args.wav)) if args.wav else None
    model = models.load(args.model)
    if args.mic:
        from earlid.virtual import pc_microphone

        pc_microphone.package()
    from rich.console import Console

    out = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
    with tempfile.TemporaryDirectory(prefix="earlid-demo-") as folder:
        location = Location(Path(folder) / "ledger.sqlite", "")
        board = VirtualBoard(files={"model.bin": model.blob})
        board.noise(QUIET_ROOM_DBFS)
        out.print(
            f'[bold]Earlid demo[/]: a virtual board that listens for "{model.manifest.wake_word}". The firmware, MicroPython, '
            "the network and the serial port are real; the circuit, the relay and the microphone are computed.\n"
        )
        board.start()
        try:
            if args.no_story:
                _stay(board, out, word=args.model == "alexa")
                return 0
            board.run_background(speed=1.0 if args.mic else args.speed)
            if sound is not None or args.mic:
                told = _listen_along(board, location, out, sound)
            else:
                told = _tell(board, location, out)
            _review(location, out)
            if args.stay:
                _stay(board, out, word=args.model == "alexa")
        finally:
            board.stop()
    return 0 if told else FAILED


def _tell(board: VirtualBoard, location: Location, out: Console) -> bool:
    """Play the scenes; whether each came out as its title says."""
    from earlid.board.link import Link
    from earlid.ledger.store import Ledger
    from earlid.virtual.story import SCENES

    good = True
    with Ledger(location) as ledger, Link(board.serial_port) as link:
        sync: Sync | None = None
        for number, scene in enumerate(SCENES, 1):
            out.print(_wrapped(f"{number}. {scene.title}", out.width), style="bold", markup=False)
            before = len(board.events("guarded_rail"))
            opened = ""
            for record in _watch(board, link, scene.act(board)):
                out.print(_line(record, out.width), style=_STYLES.get(record.event), markup=False)
                opened = record.reason if record.event == "open" else opened
            if sync is None:
                sync = _meet(board, link, ledger)
            live = any(value for _, value in board.events("guarded_rail")[before:])
            if (opened or None) != scene.opens or live != bool(scene.opens):
                good = False
                powered = "powered" if live else "not powered"
                out.print(f"   [bold red]not as expected[/]: opened by {opened or 'nothing'}, microphone {powered}")
            elif not scene.opens:
                out.print("   [dim]the guarded microphone had no power[/]")
        if sync:
            sync.catch_up()
    _compare(board, out)
    return good


def _listen_along(board: VirtualBoard, location: Location, out: Console, sound: object) -> bool:
    """Play a recording, or the PC's microphone until Ctrl-C, and show the records as they come."""
    from earlid.board.link import Link
    from earlid.ledger.store import Ledger

    with Ledger(location) as ledger, Link(board.serial_port) as link:
        out.print("[bold]1.[/] Power on.")
        for record in _watch(board, link, 7000):
            out.print(_line(record, out.width), style=_STYLES.get(record.event), markup=False)
        sync = _meet(board, link, ledger)
        if sound is not None:
            out.print("[bold]2.[/] The recording plays.")
            length_ms = board.play(sound) - board.now_ms + TAIL_MS  # type: ignore[arg-type]
            for record in _watch(board, link, length_ms):
                out.print(_line(record, out.width), style=_STYLES.get(record.event), markup=False)
        else:
            out.print("[bold]2.[/] Say the word. Ctrl-C ends it.")
            from earlid.virtual.pc_microphone import listening

            with listening(board):
                try:
                    while True:
                        for record in _watch(board, link, 1000):
                            out.print(_line(record, out.width), style=_STYLES.get(record.event), markup=False)
                except KeyboardInterrupt:
                    out.print()
        sync.catch_up()
    _compare(board, out)
    return True


def _meet(board: VirtualBoard, link: Link, ledger: object) -> Sync:
    """The first talk with the board: who it is, and what time it is, by the board's own (perhaps faster) time."""
    from earlid.board.sync import Sync

    started_ms = time.time() * 1000 - board.now_ms
    sync = Sync(link, ledger, clock_ms=lambda: int(started_ms + board.now_ms))  # type: ignore[arg-type]
    sync.catch_up()
    sync.set_clock()
    return sync


def _watch(board: VirtualBoard, link: Link, duration_ms: float) -> Iterator[Record]:
    """Records as they come over the serial port while board time passes."""
    from earlid.board.link import Record

    end_ms = board.now_ms + duration_ms
    while board.now_ms < end_ms:
        board.run_ms(min(WATCH_STEP_MS, max(1, end_ms - board.now_ms)))
        for message in link.messages(0.01):
            if isinstance(message, Record):
                yield message


_STYLES = {"open": "yellow", "close": "green", "fault": "bold red", "mute": "cyan", "unmute": "cyan"}


def _wrapped(text: str, width: int) -> str:
    """A text in lines of a width, later ones indented as the first one's words."""
    return textwrap.fill(text, width, subsequent_indent="   ")


def _line(record: Record, width: int) -> str:
    """One record for a person; what it means stands on a line of its own where there is no room beside it."""
    what = f"{record.event} by {record.reason}" if record.event == "open" else f"{record.event} {record.reason}".strip()
    detail = {
        "open": f"receipt written; score {record.score} of 255, at most {record.a / 1000:.0f} s",
        "close": f"after {record.a / 1000:.1f} s; the rail was gone {record.b} ms later",
        "selftest": f"relay drops in {record.b} ms; rails, switch and microphone checked",
        "near-miss": f"score {record.score}, cutoff {record.b}",
    }.get(record.event, "")
    head = f"   {record.ms / 1000:7.2f} s  #{record.seq:<3} {what:<22} "
    if len(head + detail) <= width or not detail:
        return (head + detail).rstrip()
    return head.rstrip() + "\n" + textwrap.fill(detail, width, initial_indent=" " * 14, subsequent_indent=" " * 14)


def _compare(board: VirtualBoard, out: Console) -> None:
    """What the copper did, measured outside of the firmware, to be held against the receipts."""
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


def _review(location: Location, out: Console) -> None:
    from datetime import datetime, timedelta

    from earlid.ledger.boards import boards
    from earlid.ledger.judge import judge
    from earlid.ledger.reader import open_reader
    from earlid.ledger.render import show_story
    from earlid.ledger.report import tell

    now = datetime.now()
    since = (now - timedelta(minutes=15)).timestamp() * 1000
    with open_reader(location) as reader:
        known = boards(reader)
        show_story(tell(reader, known, int(since), int((now + timedelta(minutes=5)).timestamp() * 1000)), sys.stdout)
        for board in known:
            for finding in judge(reader, board, None).findings:
                out.print(f"\nThe chain of records ({finding.verdict}): {finding.say}")


def _stay(board: VirtualBoard, out: Console, word: bool) -> None:
    """Keep the board at its port, in real time, until Ctrl-C; keys act on it where there is a keyboard."""
    from earlid.virtual.hands import Hands
    from earlid.virtual.keyboard import keys

    board.pause()
    board.run_background(speed=1.0)
    port = board.serial_port
    out.print(f"\nThe board stays at {port}. In another terminal:")
    for verb in ("list", "watch", "doctor", "calibrate", "safe"):
        out.print(f"   earlid {verb} --port {port}")
    text = "They keep what they collect beside your real boards' records; EARLID_DATA_DIR=FOLDER keeps it apart."
    out.print(_wrapped(text, out.width), markup=False)
    hands = Hands(board, word)
    if sys.stdin.isatty():
        out.print(_wrapped(f"Keys: {hands.help()}   q end", out.width), markup=False)
    else:
        out.print("Ctrl-C ends it.")
    sys.stdout.flush()
    seen = len(board.events("guarded_rail"))
    with contextlib.suppress(KeyboardInterrupt), keys() as pressed:
        while (key := pressed(0.1)) != "q":
            if said := hands.press(key):
                out.print(_wrapped(f"   {said}", out.width), markup=False)
            for _, live in board.events("guarded_rail")[seen:]:
                seen += 1
                text = "The lid is open: the guarded microphone has power." if live else "The lid is closed: no power."
                out.print(f"   {text}", style="yellow" if live else "green")
    out.print("The board is gone.")
