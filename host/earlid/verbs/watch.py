# SPDX-License-Identifier: MIT
"""`earlid watch`: collect the records of every board, and show what happens now."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from earlid.arguments import Subparsers, add_json_argument, add_ledger_argument
from earlid.errors import NO_BOARD, UserError
from earlid.ledger.location import Location, locate

if TYPE_CHECKING:
    from earlid.board.link import Record
    from earlid.collect.sync import Sync
    from earlid.collect.watcher import Happening, Watcher
    from earlid.ledger.store import Ledger

TELEMETRY_MS = 200
RESCAN_S = 2.0
REDRAW_S = 0.25
DAY_S = 86_400.0
_QUIET_KINDS = ("away", "here", "gap", "restart", "note", "trouble")


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "watch",
        help="collect the journal of every board, and see what happens now",
        description="Fetches what the ledger lacks, then stays. Never resets a board or opens a lid. Ctrl-C ends it.",
    )
    parser.add_argument(
        "-p", "--port", action="append", metavar="PORT",
        help="a board's serial port, may be repeated (else EARLID_PORT, ESPTOOL_PORT, every board plugged in)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="fetch what is missing and end")
    add_json_argument(parser, "one record a line on stdout, once it is durable")
    parser.add_argument("-q", "--quiet", action="store_true", help="only boards coming and going, gaps and troubles")
    parser.add_argument("--pair", action="store_true", help="fetch the board's key (hold its talk button), then go on")
    parser.add_argument(
        "--service", nargs="?", const="auto", choices=("auto", "systemd", "launchd"), metavar="systemd|launchd",
        help="print the file that makes this a service, and end",
    )  # fmt: skip
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Watch until interrupted."""
    if args.service:
        return _print_service(args)
    from earlid.ledger.store import Ledger

    location = locate(args.ledger)
    with Ledger(location) as ledger:
        if args.pair:
            from earlid.board.port import pick_port
            from earlid.collect.pairing import pair

            pair((args.port or [None])[0] or pick_port(None))
        if args.once:
            return _once(args, ledger)
        return _Watch(args, ledger, location).run()


def _ports(args: argparse.Namespace) -> list[str]:
    from earlid.board.port import candidate_ports, named_port

    if args.port:
        return list(args.port)
    named = named_port(None)
    return [named] if named else [str(port.device) for port in candidate_ports()]


def _once(args: argparse.Namespace, ledger: Ledger) -> int:
    from earlid.board.link import Link
    from earlid.collect.sync import Sync

    ports = _ports(args)
    if not ports:
        raise UserError("no board found. Plug one in with a data cable, or name its port with -p.", NO_BOARD)

    def told(sync: Sync, item: Record) -> None:
        if args.json:
            _print_json(sync.board, item, sync.wall(item))

    for port in ports:
        with Link(port) as link:
            sync = Sync(link, ledger, on_stored=told)
            sync.greet()
            sync.set_clock()
            result = sync.catch_up()
        print(f"{result.board}: {result.stored} records fetched, up to number {result.head_seq}", file=sys.stderr)
        for note in (*result.notes, *(f"records {a} to {b} were never fetched" for a, b in result.missing)):
            print(f"{result.board}: {note}", file=sys.stderr)
    return 0


def _print_json(board: str, item: Record, wall_ms: int | None) -> None:
    values = item._asdict()
    del values["slot"]
    print(json.dumps({"board": board, "at_ms": wall_ms} | values), flush=True)


def _print_service(args: argparse.Namespace) -> int:
    from earlid.collect.service import launchd_plist, systemd_unit

    command = [sys.executable, "-m", "earlid.cli", "watch", "--quiet"]
    for port in args.port or []:
        command += ["--port", port]
    if args.ledger:
        command += ["--ledger", args.ledger]
    apple = args.service == "launchd" or (args.service == "auto" and sys.platform == "darwin")
    print((launchd_plist if apple else systemd_unit)(command), end="")
    return 0


class _Watch:
    """The verb while it runs: threads that watch, and this one that shows."""

    def __init__(self, args: argparse.Namespace, ledger: Ledger, location: Location) -> None:
        self._args, self._ledger, self._location = args, ledger, location
        self._watchers: dict[str, Watcher] = {}
        self._happenings: deque[Happening] = deque(maxlen=10)
        self._screen = sys.stdout.isatty() and not args.json and not args.quiet
        self._names: dict[str, str] = {}
        self._waiting = False
        self._live_ms: dict[str, int] = {}
        self._stale = threading.Event()
        self._out = threading.Lock()
        self._retained_s = float("-inf")

    def run(self) -> int:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
        ended = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: ended.set())
        self._stale.set()
        try:
            if self._screen:
                self._show(ended)
            else:
                self._tick()
                while not ended.wait(RESCAN_S):
                    self._tick()
        finally:
            for watcher in self._watchers.values():
                watcher.stop()
            for watcher in self._watchers.values():
                watcher.join(5)
        return 0

    def _show(self, ended: threading.Event) -> None:
        from rich.console import Console
        from rich.live import Live

        from earlid.collect.liveview import screen

        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            scanned_s = float("-inf")
            while not ended.wait(REDRAW_S):
                if time.monotonic() - scanned_s > RESCAN_S:
                    self._tick()
                    scanned_s = time.monotonic()
                statuses = [watcher.status for watcher in self._watchers.values()]
                live.update(screen(statuses, list(self._happenings), self._title, self._live_ms), refresh=True)

    def _tick(self) -> None:
        """Look for boards, refresh the names and today's sums, keep to the retention."""
        self._look_for_boards()
        if self._stale.is_set():
            self._stale.clear()
            try:
                self._refresh()
            except UserError as error:  # a trouble of the ledger is told; the boards' records wait for its end
                self._log(str(error))
        if time.monotonic() - self._retained_s > DAY_S:
            self._retained_s = time.monotonic()
            self._retain()

    def _look_for_boards(self) -> None:
        from earlid.collect.watcher import Watcher

        ports = _ports(self._args)
        if not ports and not self._watchers and not self._waiting:
            self._waiting = True
            self._log("waiting for a board to be plugged in")
        for port in ports:
            if port not in self._watchers:
                self._watchers[port] = Watcher(port, self._ledger, self._tell, TELEMETRY_MS if self._screen else 0)
                self._watchers[port].start()
        for port in [port for port in self._watchers if port not in ports]:
            if not self._watchers[port].status.here:  # plugged in again, a board may get another name
                self._watchers.pop(port).stop()

    def _refresh(self) -> None:
        from earlid.ledger.boards import boards
        from earlid.ledger.reader import open_reader
        from earlid.ledger.report import live_today

        with open_reader(self._location) as reader:
            known = boards(reader)
            self._names.update({board.board: board.title for board in known})
            if self._screen:
                self._live_ms = live_today(reader, known, int(time.time() * 1000))

    def _retain(self) -> None:
        from earlid.ledger.purge import keep_retention

        try:
            for board, count in keep_retention(self._ledger).items():
                self._log(f"{self._title(board)}: {count} records older than the retention purged")
        except UserError as error:
            self._log(str(error))

    def _title(self, board: str) -> str:
        return self._names.get(board, board)

    def _tell(self, happening: Happening) -> None:
        from earlid.collect.liveview import happening_text

        self._stale.set()
        self._happenings.append(happening)
        if self._args.json and happening.record:
            with self._out:
                _print_json(happening.board, happening.record, happening.wall_ms)
        elif not self._screen and (not self._args.quiet or happening.kind in _QUIET_KINDS):
            self._log(happening_text(happening, self._title(happening.board)))

    def _log(self, line: str) -> None:
        if not self._screen:
            logging.getLogger("earlid.watch").info(line)
