# SPDX-License-Identifier: MIT
"""Port proxy: a local socket through which other programs reach a board whose port this program holds.

`earlid safe` uses it while `earlid watch` runs. The program that holds the port runs a `PortProxy` in threads of its own. It
listens on a local socket (a named pipe on Windows) that only this user can reach, and forwards two requests, `hello` and
`close`: neither opens a lid. With `lend` it lets go of the port for as long as the connection stands, also if the borrower is
killed. One JSON object goes each way. Each side has a limit of its own: neither a program that connects and says nothing nor
one that is stopped keeps another waiting.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import secrets
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import platformdirs

from earlid.board.port_names import real_name
from earlid.config_file import get
from earlid.config_keys import RUNTIME
from earlid.errors import UserError

if TYPE_CHECKING:  # `multiprocessing` takes a tenth of a verb's start: it is loaded where somebody holds a port
    from multiprocessing.connection import Connection

T = TypeVar("T")
Handler: TypeAlias = Callable[[str], dict[str, Any]]
Lender: TypeAlias = Callable[[], AbstractContextManager[bool]]

FORWARDED = ("hello", "close")
MESSAGE_MAX = 4096
_NONSENSE = (OSError, EOFError, ValueError, RecursionError)
LEND = "lend"
LEND_S = 8.0  # for a holder to finish what it does and let go
ANSWER_S = 1.8  # from a request to the reply, whatever the board and the holder do
REPLY_TIMEOUT_S = 2.5


def _directory() -> Path:
    chosen = get(RUNTIME, lenient=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a login session platformdirs names another directory, and says so
        try:
            path = chosen or platformdirs.user_runtime_path("earlid")
        except RuntimeError as error:  # no home folder is known
            raise UserError("no home folder is known here (HOME): name a directory in EARLID_RUNTIME.") from error
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sys.platform == "win32" or path.stat().st_uid == os.getuid():
            return path
    except OSError:
        pass
    raise UserError(f"{path} is not yours to write. Name another directory in EARLID_RUNTIME, the same for every earlid.")


def address(port: str) -> str:
    """The address at which the holder of a port listens: a socket's path, or a pipe's name on Windows."""
    name = hashlib.sha256(real_name(port).encode()).hexdigest()[:16]
    if sys.platform == "win32":
        return rf"\\.\pipe\earlid-{name}"
    return str(_directory() / f"{name}.sock")


def _key_path(listen_address: str) -> Path:
    # A pipe's name is no secret on Windows; this file is the user's alone.
    return _directory() / (Path(listen_address).name.removesuffix(".sock") + ".key")


def _make_key(port: str) -> bytes:
    path = _key_path(address(port))
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key := secrets.token_bytes(32))
    return key


class PortProxy:
    """A server for other programs' requests while this one holds the port.

    Args:
        port: the port that this program holds.
        handler: takes `hello` or `close`, returns the reply as a dict; called in threads of the proxy's, several at once.
        lender: a context in which this program does without the port, and that yields whether it does; None to lend nothing.
    """

    def __init__(self, port: str, handler: Handler, lender: Lender | None = None) -> None:
        self._address = address(port)
        self._handler, self._lender = handler, lender
        if sys.platform != "win32":
            Path(self._address).unlink(missing_ok=True)  # left by one that was killed: the port's lock is ours now
        self._key = _make_key(port)
        from multiprocessing.connection import Listener

        self._listener = Listener(self._address, backlog=16)
        self._closing = False
        self._thread = threading.Thread(target=self._listen, name="earlid-port-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        from multiprocessing.connection import Client

        self._closing = True
        with suppress(OSError, EOFError):
            Client(self._address).close()  # wakes accept()
        self._thread.join(timeout=2)
        with suppress(OSError):
            self._listener.close()
        _key_path(self._address).unlink(missing_ok=True)

    def _listen(self) -> None:
        while not self._closing:
            try:
                connection = self._listener.accept()
                if self._closing:
                    connection.close()
                else:
                    threading.Thread(target=self._serve, args=(connection,), name="earlid-port-request", daemon=True).start()
            except Exception:  # a client that left, or no thread to be had: the next one counts
                time.sleep(0.01)

    def _serve(self, connection: Connection) -> None:
        from multiprocessing.connection import answer_challenge, deliver_challenge

        with connection, suppress(Exception):  # a stranger's handshake, a client that left, nonsense
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            do = json.loads(connection.recv_bytes(MESSAGE_MAX)).get("do")
            if do == LEND and self._lender:
                self._lend(connection, self._lender)
                return
            reply = self._answer(do) if do in FORWARDED else _refusal("only hello and close are passed on")
            connection.send_bytes(json.dumps(reply).encode())

    def _lend(self, connection: Connection, lender: Lender) -> None:
        with lender() as lent:
            reply = {"ok": True} if lent else _refusal("the program that holds the port cannot let go of it now")
            connection.send_bytes(json.dumps(reply).encode())
            if lent:
                connection.recv_bytes(MESSAGE_MAX)  # ends when the borrower does

    def _answer(self, do: str) -> dict[str, Any]:
        def handle() -> dict[str, Any]:
            try:
                return self._handler(do)
            except Exception as error:
                return _refusal(str(error) or type(error).__name__)

        late = _refusal("the program that holds the port did not get to it in time")
        return within(ANSWER_S, handle) or late


def _refusal(say: str) -> dict[str, Any]:
    return {"ok": False, "say": say}


def within(limit_s: float, call: Callable[[], T]) -> T | None:
    """The call's result, made in a thread of its own; None when there is none in time, whatever it waits for then."""
    results: queue.SimpleQueue[T] = queue.SimpleQueue()
    threading.Thread(target=lambda: results.put(call()), daemon=True).start()
    try:
        return results.get(timeout=limit_s)
    except queue.Empty:
        return None


def open_proxy(port: str, handler: Handler, lender: Lender | None = None) -> AbstractContextManager[PortProxy | None]:
    """A `PortProxy` for a `with` block; None where this user has no place for its socket: the port is used all the same."""
    try:
        return PortProxy(port, handler, lender)
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
    return within(timeout_s, lambda: _request(port, do))  # connecting alone waits for ever for a program that is stopped


@contextmanager
def borrowed(ports: Iterable[str]) -> Iterator[None]:
    """Have other programs of this user that hold these ports, as `earlid watch` does, let go of them for the block.

    A port that nobody lends is as it was: opening it says who has it.
    """
    with ExitStack() as stack:
        for port in ports:
            stack.callback(_note_use, port)
            if (loan := within(LEND_S + REPLY_TIMEOUT_S, partial(_borrow, port))) is not None:
                stack.enter_context(loan)
        yield


def used_mark(port: str) -> int:
    """A number that is another one once a program had the port by `borrowed`."""
    try:
        return _used_path(port).stat().st_mtime_ns
    except (OSError, UserError):
        return 0


def _used_path(port: str) -> Path:
    return _key_path(address(port)).with_suffix(".used")


def _note_use(port: str) -> None:
    with suppress(OSError, UserError):
        _used_path(port).unlink(missing_ok=True)
        _used_path(port).touch(0o600)


def _connect(port: str) -> Connection | None:
    """To the program that holds a port; None where nobody does, or it is another's socket."""
    with suppress(OSError, UserError):
        path = _key_path(address(port))
        if not path.is_file():
            return None
        from multiprocessing import AuthenticationError
        from multiprocessing.connection import Client

        with suppress(EOFError, ValueError, AuthenticationError):
            return Client(address(port), authkey=path.read_bytes())
    return None


def _borrow(port: str) -> Connection | None:
    if (connection := _connect(port)) is None:
        return None
    try:
        try:
            connection.send_bytes(json.dumps({"do": LEND}).encode())
            if json.loads(connection.recv_bytes(MESSAGE_MAX)).get("ok"):
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
    except _NONSENSE:
        pass
    return None


def _request(port: str, do: str) -> dict[str, Any] | None:
    if (held := _connect(port)) is None:
        return None
    try:
        with held as connection:
            connection.send_bytes(json.dumps({"do": do}).encode())
            reply = json.loads(connection.recv_bytes(MESSAGE_MAX))
    except _NONSENSE:
        return None
    return reply if isinstance(reply, dict) else None
