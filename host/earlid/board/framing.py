# SPDX-License-Identifier: MIT
"""Line reader: cuts frames out of a stream of bytes, whole lines at C speed, anything else through `lid.wire.Decoder`."""

from __future__ import annotations

import json
import zlib
from typing import Any

from lid import wire

_PRINTABLE = bytes(range(32, 127))


def _parse_clean_line(line: bytes) -> tuple[int, dict[str, Any]] | None:
    """(seq, body) of a line that is exactly one valid frame, parsed without a loop in Python; None leaves it to the decoder."""
    text = line[1:-9]
    number, _, body = text.partition(b" ")
    if (
        line[:1] != b"#"
        or line[-9:] != b"*%08x" % zlib.crc32(text)
        or text.translate(None, _PRINTABLE)
        or not (number.isdigit() and len(number) <= 6)
    ):
        return None
    try:
        value = json.loads(body.decode())
    except (ValueError, RecursionError):
        return None
    return (int(number), value) if type(value) is dict else None


class LineReader:
    """A decoder with the results of `lid.wire.Decoder`, several times faster on a clean line.

    Args:
        line_max: the longest line that is kept, in bytes.
    """

    def __init__(self, line_max: int) -> None:
        self._decoder = wire.Decoder(line_max)
        self._line_max = line_max
        self._tail = b""  # the incomplete last line, while nothing of it has gone to the decoder
        self._decoder_idle = True  # it holds no part of a line

    @property
    def noise_bytes(self) -> int:
        """Bytes that belong to no frame."""
        return int(self._decoder.noise_bytes)

    @property
    def bad_lines(self) -> int:
        """Frames that were damaged."""
        return int(self._decoder.bad_lines)

    def feed(self, data: bytes) -> list[tuple[int, dict[str, Any]]]:
        """(seq, body) of every good line that these bytes complete."""
        frames: list[tuple[int, dict[str, Any]]] = []
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if self._decoder_idle and len(line) < self._line_max and (frame := _parse_clean_line(line)):
                frames.append(frame)
                continue
            frames += self._decoder.feed(line + b"\n")
            self._decoder_idle = True
        if len(self._tail) >= self._line_max:
            frames += self._decoder.feed(self._tail)
            self._tail = b""
            self._decoder_idle = False
        return frames
