# SPDX-License-Identifier: MIT
"""Port proxy: a local socket through which other programs reach a board whose port this program holds.

`earlid safe` uses it while `earlid watch` runs. The program that holds the port runs a `PortProxy` beside its loop. It listens
on a local socket (a named pipe on Windows) that only this user can reach, and forwards two requests, `hello` and `close`:
neither opens a lid. One JSON object goes each way.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import secrets
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import platformdirs

from earlid.errors import UserError

FORWARDED = ("hello", "close")
MESSAGE_MAX = 4096
REPLY_TIMEOUT_S = 8.0  # the holder asks the board, which may be slow


def _directory() -> Path:
    chosen = os.environ.get("EARLID_RUNTIME")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a login session platformdirs names another directory, and says so
        path = Path(chosen) if chosen else platformdirs.user_runtime_path("earlid")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sys.platform == "win32" or path.stat().st_uid == os.getuid():
            return path
    except OSError:
        pass
    raise UserError(f"{path} is not yours to write. Name another directory in EARLID_RUNTIME, the same for every earlid.")


def address(port: str) -> str:
    """The address at which the holder of a port listens: a socket's path, or a pipe's name on Windows."""
    name = hashlib.sha256(os.path.realpath(port).encode()).hexdigest()[:16]
    if sys.platform == "win32":
        return rf"\\.\pipe\earlid-{name}"
    return str(_directory() / f"{name}.sock")


def _key_path(listen_address: str) -> Path:
    # A pipe's name is no secret on Windows; this file is the user's alone.
    return _directory() / (Path(listen_address).name.removesuffix(".sock") + ".key")


def _key(port: str, create: bool) -> bytes | None:
    path = _key_path(address(port))
    if create:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes() if path.is_file() else None


class PortProxy:
    """A server for other programs' requests while this one holds the port.

    Either give `handler`, which is called in the proxy's thread and must be safe there, or none, and call
    `serve(link.request)` often from the loop that owns the `Link`.

    Args:
        port: the port that this program holds.
        handler: takes `hello` or `close`, returns the reply as a dict.
    """

    def __init__(self, port: str, handler: Callable[[str], dict[str, Any]] | None = None) -> None:
        self._address = address(port)
        self._handler = handler or self._wait_for_loop
        self._requests: queue.Queue[tuple[str, queue.Queue[dict[str, Any]]]] = queue.Queue()
        if sys.platform != "win32":
            Path(self._address).unlink(missing_ok=True)  # left by one that was killed: the port's lock is ours now
        key = _key(port, create=True)
        self._listener = Listener(self._address, authkey=key)
        self._closing = False
        self._thread = threading.Thread(target=self._listen, name="earlid-port-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._closing = True
        with suppress(OSError, EOFError):
            Client(self._address).close()  # wakes accept(); fails the handshake, which is what it is for
        self._thread.join(timeout=2)
        with suppress(OSError):
            self._listener.close()
        _key_path(self._address).unlink(missing_ok=True)

    def serve(self, request: Callable[[str], dict[str, Any]]) -> int:
        """Handle the waiting requests of other programs in the caller's thread; returns how many.

        Args:
            request: `link.request`, which sends one verb and returns the reply; what it raises becomes a refusal.
        """
        done = 0
        while True:
            try:
                do, replies = self._requests.get_nowait()
            except queue.Empty:
                return done
            try:
                replies.put(request(do))
            except Exception as error:
                replies.put({"ok": False, "say": str(error)})
            done += 1

    def _wait_for_loop(self, do: str) -> dict[str, Any]:
        replies: queue.Queue[dict[str, Any]] = queue.Queue()
        self._requests.put((do, replies))
        try:
            return replies.get(timeout=REPLY_TIMEOUT_S - 1)
        except queue.Empty:
            return {"ok": False, "say": "the program that holds the port did not get to it in time"}

    def _listen(self) -> None:
        while not self._closing:
            try:
                with self._listener.accept() as connection:
                    self._handle(connection)
            except Exception:  # a stranger's handshake or a client that left: the next one counts
                if self._closing:
                    return

    def _handle(self, connection: Connection) -> None:
        if not connection.poll(2.0):
            return
        do = json.loads(connection.recv_bytes(MESSAGE_MAX)).get("do")
        if do in FORWARDED:
            reply = self._handler(do)
        else:
            reply = {"ok": False, "say": "only hello and close are passed on"}
        connection.send_bytes(json.dumps(reply).encode())


def open_proxy(port: str, handler: Callable[[str], dict[str, Any]] | None = None) -> AbstractContextManager[PortProxy | None]:
    """A `PortProxy` for a `with` block; None where this user has no place for its socket: the port is used all the same."""
    try:
        return PortProxy(port, handler)
    except (UserError, OSError):
        return nullcontext()


def request(port: str, do: str, timeout_s: float = REPLY_TIMEOUT_S) -> dict[str, Any] | None:
    """Send a request to a board through the program that holds its port.

    Args:
        port: the port's device name.
        do: `hello` or `close`.
        timeout_s: seconds to wait for the reply.

    Returns:
        The board's reply as that program forwarded it; None without a listener or a reply.
    """
    try:
        key = _key(port, create=False)
        if key is None:
            return None
        with Client(address(port), authkey=key) as connection:
            connection.send_bytes(json.dumps({"do": do}).encode())
            if not connection.poll(timeout_s):
                return None
            reply = json.loads(connection.recv_bytes(MESSAGE_MAX))
    except (OSError, EOFError, ValueError, AuthenticationError, UserError):  # nobody there, or someone else's socket
        return None
    return reply if isinstance(reply, dict) else None
