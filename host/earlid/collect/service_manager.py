# SPDX-License-Identifier: MIT
"""Service manager: is told that `watch` is ready and lives, as sd_notify(3) has it; nothing where there is none."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


class ServiceManager:
    """The one that NOTIFY_SOCKET names; programs that are started later do not inherit it."""

    def __init__(self) -> None:
        name = os.environ.get("NOTIFY_SOCKET", "")
        os.environ.pop("NOTIFY_SOCKET", None)
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if name and hasattr(socket, "AF_UNIX") else None
        if self._socket:
            self._socket.setblocking(False)  # nothing waits for it

    def tell(self, state: str) -> None:
        """One of READY, ALIVE, STOPPING."""
        if self._socket:
            with suppress(OSError):
                self._socket.sendto(state.encode(), self._address)
