# SPDX-License-Identifier: MIT
"""`earlid bridge mqtt`: tells other systems of the boards; nothing that comes from there opens a lid."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from earlid.arguments import Subparsers, add_board_argument, add_ledger_argument
from earlid.errors import USAGE, UserError


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
    add_ledger_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tell until interrupted."""
    from earlid import config_file, config_keys
    from earlid.bridge.credentials import find_credentials, parse_broker, tls_context

    base = config_file.get(config_keys.MQTT_BASE, args.base) or "earlid"
    prefix = config_file.get(config_keys.MQTT_PREFIX, args.prefix) or "homeassistant"
    for word in (base, prefix):
        if not word or any(letter in "+#" or not letter.isprintable() for letter in word):
            raise UserError(f"{word!r} cannot begin a topic.", USAGE)
    broker = parse_broker(config_file.get(config_keys.MQTT_BROKER, args.broker) or "mqtts://localhost", args.plain)
    environment = not args.credentials and "EARLID_MQTT_USER" in os.environ
    file = None if args.keyring or environment else config_file.get(config_keys.MQTT_CREDENTIALS, args.credentials)
    credentials = find_credentials(file, args.keyring, broker.host)
    ca = config_file.get(config_keys.MQTT_CA, args.ca)
    certificate, key = config_file.get(config_keys.MQTT_CERT, args.cert), config_file.get(config_keys.MQTT_KEY, args.key)
    tls = tls_context(ca, certificate, key) if broker.tls else None
    from earlid.bridge.bridge import Bridge
    from earlid.bridge.client import Client
    from earlid.bridge.entities import OFFLINE, Topics
    from earlid.ledger.location import locate

    topics = Topics(base, prefix)
    client_name = f"earlid-{base}".replace("/", "-")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def make_client(bridge: Bridge) -> Client:
        return Client(broker, client_name, (topics.status, OFFLINE), bridge.subscriptions, bridge.take, bridge.wake, say,
                      tls=tls, credentials=credentials)  # fmt: skip

    name = f"{base}@{broker.host}:{broker.port}"
    bridge = Bridge(
        locate(args.ledger), name, topics, args.board, make_client, _close_lids, say, device_based=args.device_discovery
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: bridge.stop())
    bridge.run()
    return 0


def _close_lids() -> list[dict[str, Any]]:
    """As `earlid safe` does it."""
    from earlid.board.safe import close_all
    from earlid.port_choice import ports_to_close

    return [result.as_json() for result in close_all(ports_to_close(None))]
