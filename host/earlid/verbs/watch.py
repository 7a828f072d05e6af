# SPDX-License-Identifier: MIT
"""`earlid watch`: collect the records of every board, and show what happens now."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from earlid import config_file
from earlid.arguments import Subparsers, add_json_argument, add_ledger_argument, add_service_arguments, service_todo
from earlid.config_keys import ANCHOR_TSA, ANCHOR_WITNESS, HOOK_LIMIT_S, HOOKS, HOOKS_AT_ONCE
from earlid.errors import HUNG_UP, NO_BOARD, USAGE, UserError
from earlid.ledger.location import Location, locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from earlid.board.link import Record
    from earlid.collect.events import WatchEvent
    from earlid.collect.hooks import Hook
    from earlid.collect.supervisor import Ending
    from earlid.collect.sync import Sync
    from earlid.ledger.store import Ledger
    from earlid.witness.schedule import Renewal


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "watch",
        description="Fetches what the ledger lacks, then stays. Never resets a board or opens a lid. Ctrl-C ends it. Exit codes: "
        "0 asked to end (SIGTERM), or the reader of --json left; 1 its output cannot be written; 5 it can no longer collect, "
        "start it again; 129 its terminal has gone (SIGHUP); 130 interrupted.",
    )
    parser.add_argument(
        "-p", "--port", action="append", metavar="PORT",
        help="a board's serial port, may be repeated (else EARLID_PORT, ESPTOOL_PORT, every board plugged in)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="fetch what is missing and end")
    add_json_argument(parser, "one event a line on stdout; of records, once they are durable")
    parser.add_argument(
        "--on", nargs=2, action="append", metavar=("EVENT", "COMMAND"),
        help="run a command at an event (open, open:word, fault, away, any ...), which it reads as JSON; may be repeated",
    )  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="only boards coming and going, gaps and troubles")
    add_service_arguments(parser, udev=True)
    add_ledger_argument(parser)
    parser.set_defaults(run=run, resolved=False)


def run(args: argparse.Namespace) -> int:
    """Watch until interrupted."""
    if todo := service_todo(args):
        return _service(args, todo)
    from earlid.ledger.store import Ledger

    if args.once and args.on:
        raise UserError("--on is for a watch that stays, not for --once.", USAGE)
    hooks = [] if args.once else _hooks(args)
    location = locate(args.ledger)
    with Ledger(location) as ledger:
        if args.once:
            return _once(args, ledger)
        return _watch(args, ledger, location, hooks)


def _hooks(args: argparse.Namespace) -> list[Hook]:
    """Those of the command line, else those of the environment or the configuration."""
    if (pairs := config_file.get(HOOKS, args.on)) is None:
        return []
    from earlid.collect.hooks import parse_hooks

    return parse_hooks(pairs)


def _ports(args: argparse.Namespace) -> list[str]:
    from earlid.board import port
    from earlid.port_choice import named_port, resolve

    if not args.resolved:  # once: a board's name is where it is plugged in now
        named = named_port(None) if not args.port else None
        args.port = [named] if named else [resolve(name) for name in args.port or []]
        args.resolved = True
    return list(args.port) or [str(info.device) for info in port.candidate_ports()]


def _adapter(args: argparse.Namespace, name: str) -> str | None:
    from earlid.board import port

    return None if args.port else port.adapter_of(name)


def _once(args: argparse.Namespace, ledger: Ledger) -> int:
    from earlid.board.detect import probe_all
    from earlid.collect.events import WatchEvent, events_of, greeting_of, record_event
    from earlid.collect.sync import sync_once
    from earlid.host_clock import now_ms

    ports = _ports(args)
    if not args.port:  # other people's devices are no reason to fail
        found = probe_all({"port": port, "description": "", "vid_pid": ""} for port in ports)
        ports = [one.port for one in found if one.state not in ("silent", "micropython")]
    if not ports:
        raise UserError("no board found. Plug one in with a data cable, or name its port with -p.", NO_BOARD)
    for port in ports:

        def on_stored(sync: Sync, item: Record, port: str = port) -> None:
            if args.json:
                _print_json(record_event(sync, item, port))

        result = sync_once(port, ledger, on_stored)
        ledger.checkpoint()
        for kind, text in (*greeting_of(result), *events_of(result)):
            print(f"{result.board}: {text}", file=sys.stderr)
            if args.json:
                _print_json(WatchEvent(kind, result.board, text, wall_ms=now_ms(), port=port))
    return 0


def _print_json(event: WatchEvent) -> None:
    print(json.dumps(event.as_json()), flush=True)


def _service(args: argparse.Namespace, todo: str) -> int:
    from earlid.collect.service_call import watch_call
    from earlid.collect.service_option import run_service

    if args.once:
        raise UserError("--service is for a watch that stays, not for --once.", USAGE)
    ports, hooks = args.port or [], args.on or []
    run_service(args.service, todo, "watch", lambda system: watch_call(ports, hooks, args.ledger, os.environ, system=system))
    return 0


def _watch(args: argparse.Namespace, ledger: Ledger, location: Location, wanted: list[Hook]) -> int:
    from earlid.collect import liveview
    from earlid.collect.events import WatchEvent
    from earlid.collect.hooks import AT_ONCE, LIMIT_S, Hooks
    from earlid.collect.service_manager import ALIVE, READY, STOPPING, ServiceManager
    from earlid.collect.supervisor import Ending, Supervisor
    from earlid.host_clock import now_ms

    display = sys.stdout.isatty() and not args.json and not args.quiet
    ending = Ending()
    output = threading.Lock()

    def log(line: str) -> None:
        if not display:
            with output, suppress(OSError, ValueError):  # a log that nobody can write is no reason to stop collecting
                print(line, file=sys.stderr, flush=True)

    def log_hook(line: str) -> None:
        log(line)
        supervisor.events.append(WatchEvent("note", "", line, wall_ms=now_ms()))

    def tell(kind: str, text: str) -> None:
        event = WatchEvent(kind, "", text, wall_ms=now_ms())
        supervisor.events.append(event)
        on_event(event)

    limit_s = config_file.get(HOOK_LIMIT_S) or LIMIT_S
    at_once = config_file.get(HOOKS_AT_ONCE) or AT_ONCE
    hooks = Hooks(wanted, lambda board: supervisor.title(board), log_hook, to_log=not display, limit_s=limit_s, at_once=at_once)

    def on_event(event: WatchEvent) -> None:
        hooks.take(event)
        if args.json:
            try:
                with output:
                    _print_json(event)
            except OSError as error:  # its reader left, or the disk is full: `cli.main` says so
                ending.put(error)
        if event.kind != "record" or not (args.json or args.quiet):
            log(liveview.event_text(event, supervisor.title(event.board)))

    renewal = _renewal(ledger, tell)
    manager = ServiceManager()
    supervisor = Supervisor(
        location, ledger, lambda: _ports(args), on_event, log, display,
        alive=partial(manager.tell, ALIVE), adapter=partial(_adapter, args),
    )  # fmt: skip
    if threading.current_thread() is threading.main_thread():
        _end_at_signals(ending)
    try:
        if renewal:
            renewal.start()
        manager.tell(READY)  # the ledger is open; boards may come at any time
        return liveview.show(supervisor, ending) if display else supervisor.run(ending)
    finally:
        manager.tell(STOPPING)
        if renewal:
            renewal.stop()
        supervisor.stop()
        hooks.close()


def _renewal(ledger: Ledger, tell: Callable[[str, str], None]) -> Renewal | None:
    """The thread that asks the configured witnesses; None where there is none."""
    if not (config_file.get(ANCHOR_TSA) or config_file.get(ANCHOR_WITNESS)):
        return None
    from earlid.witness.schedule import Renewal, configured

    return Renewal(ledger, configured(), tell)


def _end_at_signals(ending: Ending) -> None:
    """SIGTERM ends it with 0, SIGHUP with 129, unless it was started to outlive its terminal (`nohup`)."""
    signal.signal(signal.SIGTERM, lambda *_: ending.put(0))
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: ending.put(HUNG_UP))
