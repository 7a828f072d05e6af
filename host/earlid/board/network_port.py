# SPDX-License-Identifier: MIT
"""Ports of another computer, over its network: raw (`socket://`) or with settings and control lines (`rfc2217://`, RFC 2217)."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, cast

import serial
from serial import rfc2217
from serial.urlhandler import protocol_socket


class SocketPort(protocol_socket.Serial):
    """A raw port that tells how much there is to read: pyserial's says 1, and would be read byte by byte."""

    _socket: Any

    @property
    def in_waiting(self) -> int:
        with suppress(BlockingIOError):
            return len(self._socket.recv(4096, socket.MSG_PEEK)) or int(super().in_waiting)
        return 0


def open_url(url: str, baud: int, read_timeout_s: float, write_timeout_s: float) -> serial.Serial:
    """Open a port by its URL; raises as pyserial does."""
    if url.lower().startswith("socket:"):
        port: Any = SocketPort(url, baud, timeout=read_timeout_s, write_timeout=write_timeout_s)
    else:
        port = rfc2217.Serial(url, baud, timeout=read_timeout_s)  # it knows no write timeout
    return cast(serial.Serial, port)
