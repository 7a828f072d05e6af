# SPDX-License-Identifier: MIT
"""A link whose board can be closed from outside while it is in use: `earlid safe` during a calibration."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from earlid.board.link import REPLY_TIMEOUT_S, Link, Message
from earlid.board.port_proxy import Relay
from earlid.errors import UserError

SLICE_S = 0.02  # how long a listener keeps others, and what it heard, waiting


class SharedLink(Link):
    """A `Link` that a relay's thread uses between the calls of the thread that owns it."""

    def __init__(self, port: str) -> None:
        super().__init__(port)
        self._lock = threading.RLock()

    def request(self, do: str, timeout_s: float = REPLY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:
        """As `Link.request`."""
        with self._lock:
            return super().request(do, timeout_s, **arguments)

    def messages(self, timeout_s: float) -> Iterator[Message]:
        """As `Link.messages`, in slices between which the other thread may ask."""
        end_s = time.monotonic() + timeout_s
        while True:
            with self._lock:
                heard = list(super().messages(max(0.0, min(SLICE_S, end_s - time.monotonic()))))
            yield from heard
            if time.monotonic() >= end_s:
                return

    def relay(self) -> AbstractContextManager[Relay | None]:
        """Passes `hello` and `close` of other programs on while it is open; without a place for that, nothing does."""
        try:
            return Relay(self.path, self._pass_on)
        except (UserError, OSError):
            return nullcontext()

    def _pass_on(self, do: str) -> dict[str, Any]:
        try:
            return self.request(do)
        except UserError as error:
            return {"ok": False, "say": str(error)}
