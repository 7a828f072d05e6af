# SPDX-License-Identifier: MIT
"""Trace of a port: with -v that it was opened, with --trace every line that goes over it."""

from __future__ import annotations

from typing import Any

import serial

from earlid import log

LINE_MAX = 4096  # bytes: what has no end is shown in pieces


def traced(port: serial.Serial) -> serial.Serial:
    """The same port; where a trace is wanted, each line of what is read and written is logged once it is whole."""
    log.info(f"{port.port} is open")
    if not log.traces():
        return port
    read, write, pending = port.read, port.write, {"<": b"", ">": b""}

    def show(arrow: str, data: bytes) -> None:
        *lines, rest = (pending[arrow] + data).split(b"\n")
        if len(rest) > LINE_MAX:
            lines, rest = [*lines, rest], b""
        pending[arrow] = rest
        for line in lines:
            log.wire(str(port.port), arrow, line)

    def reading(size: int = 1) -> bytes:
        data: bytes = read(size)
        show("<", data)
        return data

    def writing(data: Any) -> int | None:
        show(">", bytes(data))
        return write(data)

    port.read, port.write = reading, writing  # type: ignore[method-assign]
    return port
