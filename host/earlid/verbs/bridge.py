# SPDX-License-Identifier: MIT
"""`earlid bridge mqtt`: tells other systems of the boards; nothing that comes from there opens a lid."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from earlid import config_file, config_keys
from earlid.arguments import Subparsers, add_board_argument, add_ledger_argument, add_service_arguments, service_todo
from earlid.door import plain
from earlid.errors import USAGE, UserError

if TYPE_CHECKING:
    import ssl

    from earlid.bridge.credentials import Broker
    from earlid.bridge.entities import Topics
    from earlid.collect.service import ServiceCall
    from earlid.config_keys import Key

BEGIN_MAX = 200  # characters of what topics begin with: MQTT has 65,535 bytes for the whole
_TLS_FILES = (config_keys.MQTT_CA, config_keys.MQTT_CERT, config_keys.MQTT_KEY)


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "bridge",
        description="Tells an MQTT 5 broker what the ledger says, which `earlid watch` fills. User and password come from "
        "--credentials, --keyring, or EARLID_MQTT_USER and EARLID_MQTT_PASSWORD. Nothing that arrives opens a lid; `close` on "
        "the topic BASE/safe closes those that this computer reaches.",
    )
    parser.add_argument("kind", choices=("mqtt",), help="by what")
    parser.add_argument(
        "--broker", metavar="URL", help="mqtts://HOST[:PORT], mqtt:// on this computer (default: mqtts://localhost)"
    )
    parser.add_argument("--plain", action="store_true", help="allow mqtt:// over a network that everybody on it may read")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="whose signature a broker must have (else the system's list)")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="a client certificate")
    parser.add_argument("--key", type=Path, metavar="FILE", help="and its key, readable by its owner alone")
    parser.add_argument("--credentials", type=Path, metavar="FILE", help="a file of two lines, user and password, mode 0600")
    parser.add_argument("--keyring", action="store_true", help="ask the platform's keyring for them")
    parser.add_argument("--base", metavar="BASE", help="topics begin with this (default: earlid)")
    parser.add_argument("--prefix", metavar="PREFIX", help="where Home Assistant looks (default: homeassistant)")
    parser.add_argument(
        "--device-discovery", action="store_true", help="one discovery a device (Home Assistant 2024.11 and later)"
    )
    add_board_argument(parser)
    add_service_arguments(parser)
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell until interrupted."""
    from earlid.ledger.location import locate

    if todo := service_todo(args):
        from earlid.collect.service_option import run_service

        run_service(args.service, todo, "bridge mqtt", lambda system: _service_call(args, system))
        return 0
    call = _connection(args)
    from earlid.bridge.bridge import Bridge
    from earlid.bridge.client import Client
    from earlid.bridge.entities import OFFLINE
    from earlid.collect.service_manager import ALIVE, READY, STOPPING, ServiceManager

    broker, topics = call.broker, call.topics
    client_name = f"earlid-{topics.base}".replace("/", "-")
    manager = ServiceManager()

    def say(line: str) -> None:
        with suppress(OSError, ValueError):  # a log that nobody can write ends no thread
            print(line, file=sys.stderr, flush=True)

    def make_client(bridge: Bridge) -> Client:
        return Client(broker, client_name, (topics.status, OFFLINE), bridge.subscriptions, bridge.take, bridge.wake, say,
                      tls=call.tls, credentials=call.credentials)  # fmt: skip

    bridge = Bridge(
        locate(args.ledger), f"{topics.base}@{broker.host}:{broker.port}", topics, args.board, make_client, _close_lids, say,
        device_based=args.device_discovery, alive=lambda: manager.tell(ALIVE),
    )  # fmt: skip
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: bridge.stop())
    try:
        manager.tell(READY)  # the broker may come at any time
        bridge.run()
    finally:
        manager.tell(STOPPING)
    return 0


class _Connection(NamedTuple):
    topics: Topics
    broker: Broker
    credentials: tuple[str, str] | None
    tls: ssl.SSLContext | None


def _connection(args: argparse.Namespace) -> _Connection:
    """What options, environment and configuration say; UserError where that cannot be."""
    from earlid.bridge.credentials import find_credentials, parse_broker, tls_context
    from earlid.bridge.entities import Topics

    base = config_file.get(config_keys.MQTT_BASE, args.base) or "earlid"
    prefix = config_file.get(config_keys.MQTT_PREFIX, args.prefix) or "homeassistant"
    for word in (base, prefix):
        if word[0] == "$" or len(word) > BEGIN_MAX or any(letter in "+#" or not letter.isprintable() for letter in word):
            raise UserError(f"{plain(word)!r} cannot begin a topic.", USAGE)
    broker = parse_broker(config_file.get(config_keys.MQTT_BROKER, args.broker) or "mqtts://localhost", args.plain)
    files = _files(args)
    credentials = find_credentials(files.get(config_keys.MQTT_CREDENTIALS), args.keyring, broker.host)
    tls = tls_context(*map(files.get, _TLS_FILES)) if broker.tls else None
    return _Connection(Topics(base, prefix), broker, credentials, tls)


def _files(args: argparse.Namespace) -> dict[Key[Path], Path]:
    chosen = {config_keys.MQTT_CA: args.ca, config_keys.MQTT_CERT: args.cert, config_keys.MQTT_KEY: args.key}
    if not args.keyring and (args.credentials or "EARLID_MQTT_USER" not in os.environ):
        chosen[config_keys.MQTT_CREDENTIALS] = args.credentials
    return {key: path for key, option in chosen.items() if (path := config_file.get(key, option))}


def _service_call(args: argparse.Namespace, system: bool) -> ServiceCall:
    from earlid.collect.service_call import bridge_call

    if system and args.keyring:
        raise UserError("a system service has no keyring: give it --credentials.", USAGE)
    if args.install:
        from earlid.bridge import client  # noqa: F401 (what is wrong is said now, also that the extra is missing)

        _connection(args)
    words = [args.kind]
    for option, value in (("--broker", args.broker), ("--base", args.base), ("--prefix", args.prefix)):
        words += [option, value] if value else []
    for option in ("--plain", "--keyring", "--device-discovery"):
        words += [option] if getattr(args, option[2:].replace("-", "_")) else []
    for board in args.board:
        words += ["--board", board]
    files = {key.option: path for key, path in _files(args).items()}
    return bridge_call(words, files, args.ledger, os.environ, system=system)


def _close_lids() -> list[dict[str, Any]]:
    """As `earlid safe` does it."""
    from earlid.board.safe import close_all
    from earlid.port_choice import ports_to_close

    return [result.as_json() for result in close_all(ports_to_close(None))]
