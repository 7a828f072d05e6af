# SPDX-License-Identifier: MIT
"""Shared link: a thread reads the port and does nothing else, so that several threads may ask the board at any time.

`earlid watch` commits records in one thread, which may wait for the database, while `earlid safe` is served in another.
"""

from __future__ import annotations

import threading
from typing import Any

import serial

from earlid.board.link import BoardGone, Link
from earlid.board.port import READ_TIMEOUT_S
from earlid.board.signer import KeyAt
from earlid.errors import UserError

FORWARD_S = 1.5  # the board's time to reply to another program


class SharedLink(Link):
    """A `Link` for several threads: one reads messages and records, any may send requests.

    What ends the reading thread is raised by every call from then on.
    """

    def __init__(self, port: str | serial.Serial, key_at: KeyAt) -> None:
        super().__init__(port, key_at)
        self._changed = threading.Condition()
        self._lock = self._changed
        self._pieces = 0  # read from the port
        self._seen = threading.local()  # how many of them this thread knew of
        self._failure: Exception | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._read, name=f"read {self.path}", daemon=True)
        self._thread.start()

    @property
    def reads(self) -> bool:
        """Whether the reading thread lives."""
        return self._thread.is_alive()

    def close(self) -> None:
        """As `Link.close`."""
        self._closing = True
        self._thread.join(timeout=2)
        super().close()

    def _read(self) -> None:
        while not self._closing:
            try:
                data = self._read_port()
                with self._changed:
                    self._take(data)
                    if data:
                        self._pieces += 1
                        self._changed.notify_all()
            except Exception as error:  # the threads that ask the board raise it
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return

    def _receive(self) -> bool:
        """Wait until something has been read that this thread does not know of; False when nothing was for READ_TIMEOUT_S."""
        seen = getattr(self._seen, "pieces", 0)
        with self._changed:
            if self._pieces == seen and self._failure is None:
                self._changed.wait(READ_TIMEOUT_S)
            self._seen.pieces = self._pieces
            if self._pieces != seen:
                return True
            if isinstance(self._failure, UserError):
                raise BoardGone(str(self._failure)) from self._failure
            if self._failure is not None:
                raise self._failure
        return False

    def forward(self, do: str) -> dict[str, Any]:
        """Another program's `hello` or `close`, as `PortProxy` takes a handler."""
        try:
            return self.exchange(do, FORWARD_S, patient=False)
        except UserError as error:
            return {"ok": False, "say": str(error)}
