# SPDX-License-Identifier: MIT
"""Shared link: a link that a port proxy's thread may use too, as `earlid safe` does during a calibration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from earlid.board.link import REPLY_TIMEOUT_S, Link, Message
from earlid.board.port_proxy import PortProxy, open_proxy
from earlid.board.signer import KeyAt
from earlid.errors import UserError

SLICE_S = 0.02  # how long `messages` keeps other threads, and what it received, waiting


class SharedLink(Link):
    """A `Link` that a port proxy's thread uses between the calls of the thread that owns it."""

    def __init__(self, port: str, key_at: KeyAt) -> None:
        super().__init__(port, key_at)
        self._lock = threading.RLock()

    def exchange(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        """As `Link.exchange`."""
        with self._lock:
            return super().exchange(do, timeout_s, **arguments)

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """As `Link.messages`, in slices between which the other thread may send a request."""
        end_s = time.monotonic() + timeout_s
        while True:
            with self._lock:
                received = list(super().messages(max(0.0, min(SLICE_S, end_s - time.monotonic()))))
            yield from received
            if time.monotonic() >= end_s:
                return

    def proxy(self) -> AbstractContextManager[PortProxy | None]:
        """Forwards `hello` and `close` of other programs while it is open."""
        return open_proxy(self.path, self._forward)

    def _forward(self, do: str) -> dict[str, Any]:
        try:
            return self.exchange(do)
        except UserError as error:
            return {"ok": False, "say": str(error)}
