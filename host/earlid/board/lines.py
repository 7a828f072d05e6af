"""Cuts frames out of a stream of bytes: whole lines at C speed, anything odd through `lid.wire.Decoder`."""

from __future__ import annotations

from typing import Any

from lid import wire


class LineReader:
    """The results of `lid.wire.Decoder`, several times faster on a clean line.

    Args:
        line_max: the longest line that is kept, in bytes.
    """

    def __init__(self, line_max: int) -> None:
        self._decoder = wire.Decoder(line_max)
        self._line_max = line_max
        self._tail = b""  # the begun line, while nothing of it has gone to the decoder
        self._clean = True  # the decoder holds no part of a line

    @property
    def noise_bytes(self) -> int:
        """Bytes that belong to no frame."""
        return self._decoder.noise_bytes

    @property
    def bad_lines(self) -> int:
        """Frames that were damaged."""
        return self._decoder.bad_lines

    def feed(self, data: bytes) -> list[tuple[int, dict[str, Any]]]:
        """(seq, body) of every good line that these bytes complete."""
        found: list[tuple[int, dict[str, Any]]] = []
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if self._clean and len(line) < self._line_max:
                try:
                    found.append(wire.decode(line[:-1] if line.endswith(b"\r") else line))
                    continue
                except ValueError:
                    pass  # the decoder knows what to make of it
            found += self._decoder.feed(line + b"\n")
            self._clean = True
        if len(self._tail) >= self._line_max:
            found += self._decoder.feed(self._tail)
            self._tail = b""
            self._clean = False
        return found
