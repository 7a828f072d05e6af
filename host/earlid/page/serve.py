# SPDX-License-Identifier: MIT
"""HTTP server of `earlid review --serve`, on this computer's own address, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from earlid.errors import FAILED, USAGE, UserError
from earlid.page.feed import Feed
from earlid.page.web import make_app

DEFAULT_LISTEN = "127.0.0.1:0"


def parse_listen(text: str) -> tuple[str, int]:
    """(address, port) of `127.0.0.1:8000` or `[::1]:8000`; port 0 takes any that is free.

    Raises:
        UserError: code 2 when it is neither.
    """
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
        if not 0 <= number <= 65535:
            raise ValueError(port)
    except ValueError:
        raise UserError(f"--listen {text!r}: say an address and a port, as 127.0.0.1:8000 or [::1]:0.", USAGE) from None
    return host, number


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: when the address is taken or not this computer's.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        message = f"cannot listen on {host}, port {port} ({error.strerror}): take another port, or 0 for any that is free."
        raise UserError(message, FAILED) from error
    return listening


def serve(feed: Feed, listen: str, *, browser: bool, started: Callable[[str], None] = lambda url: None) -> None:
    """Serve the page until interrupted.

    Args:
        feed: the ledger.
        listen: address and port.
        browser: whether to open the page in the user's browser.
        started: told the page's address.
    """
    host, port = parse_listen(listen)
    if not ipaddress.ip_address(host).is_loopback:
        message = f"earlid: {host} is not this computer alone: whoever sees the traffic or the address can read the ledger."
        print(message, file=sys.stderr)
    listening = bind(host, port)
    token = secrets.token_urlsafe(24)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listening.getsockname()[1]}/{token}/"
    config = uvicorn.Config(
        make_app(feed, token, host),
        loop="asyncio",
        http="h11",
        ws="none",
        log_config=None,  # and no access log: the token is in every address
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    started(url)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    uvicorn.Server(config).run(sockets=[listening])
