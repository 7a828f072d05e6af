# SPDX-License-Identifier: MIT
"""I2S driver with its DMA ring buffer, as the ESP32 port has them: buffers of 256 frames, silent loss when read late."""

from __future__ import annotations

import struct

from earlid.virtual.circuit import NEVER
from earlid.virtual.sound import RATE_HZ, Sound

DMA_FRAMES = 256
FRAME_BYTES = 8  # always 32-bit stereo in the ring
SETTLE_US = 256_000  # an INMP441 is silent for its first 2**18 clocks


class I2sReceiver:
    """A running receiver. Sound frames are counted from power-on; `start_frame` is the first one it could take."""

    def __init__(self, now_us: int, bits: int, stereo: bool, rate_hz: int, ibuf: int) -> None:
        if rate_hz != RATE_HZ:
            raise ValueError(f"the virtual microphone runs at {RATE_HZ} Hz, not {rate_hz}")
        self.start_us = now_us
        self.start_frame = now_us * RATE_HZ // 1_000_000
        self.wide = bits == 32
        self.stereo = stereo
        self.frame_bytes = (bits // 8) << stereo
        self.buffers = max(2, ibuf // (DMA_FRAMES * FRAME_BYTES))
        self.position = 0
        self.lost_frames = 0

    def ready_us(self, count: int) -> int:
        """When the next `count` frames will have left the DMA."""
        buffers = -(-(self.position + count) // DMA_FRAMES)
        return self.start_us + buffers * (DMA_FRAMES * 1_000_000 // RATE_HZ)

    def available(self, now_us: int) -> int:
        """Frames that have left the DMA and were not read."""
        return (now_us - self.start_us) // (DMA_FRAMES * 1_000_000 // RATE_HZ) * DMA_FRAMES - self.position

    def drop_overrun(self, now_us: int) -> None:
        """Drop what the ring buffer could not hold until now."""
        done = (now_us - self.start_us) // (DMA_FRAMES * 1_000_000 // RATE_HZ)
        oldest = (done - (self.buffers - 1)) * DMA_FRAMES
        if oldest > self.position:
            self.lost_frames += oldest - self.position
            self.position = oldest

    def read(self, count: int, sound: Sound, power: MicrophonePower) -> bytes:
        """The next `count` frames; zeros where the microphone had no power or had not settled."""
        first = self.start_frame + self.position
        self.position += count
        data = sound.frames(first, count, self.wide, self.stereo)
        return power.mask(data, first, count, self.frame_bytes)


class I2sDriver:
    """The driver behind `machine.I2S`, and how it fails."""

    def __init__(self) -> None:
        self.receiver: I2sReceiver | None = None
        self.lost_frames = 0
        self.start_errno = 0  # what its constructor raises
        self.silent = self.starts_silent = False  # it starts, and no sample ever comes
        self.read_errno = 0  # what a silent one's reads raise, if they do not wait

    def start(self, now_us: int, arguments: bytes) -> int:
        """Start anew, as the constructor's packed arguments say; an error number or 0."""
        bits, stereo, rate_hz, ibuf = struct.unpack("<4I", arguments[:16])
        self.silent = self.starts_silent
        self.receiver = None if self.start_errno else I2sReceiver(now_us, bits, bool(stereo), rate_hz, ibuf)
        return self.start_errno

    def due_us(self, receiver: I2sReceiver, size: int, waits: bool, now_us: int) -> int:
        """When a read of `size` bytes that begins now ends."""
        if not waits:
            return now_us
        if self.silent:
            return NEVER
        receiver.drop_overrun(now_us)
        return max(now_us, receiver.ready_us(size // receiver.frame_bytes))

    def read(self, receiver: I2sReceiver, size: int, now_us: int, sound: Sound, power: MicrophonePower) -> tuple[int, bytes]:
        """Status for the chip, which is how many bytes came or an error number, and `size` bytes."""
        if self.silent:
            return self.read_errno, bytes(size)
        count = min(size // receiver.frame_bytes, receiver.available(now_us))
        data = receiver.read(count, sound, power)
        self.lost_frames += receiver.lost_frames
        receiver.lost_frames = 0
        return len(data), data.ljust(size, b"\0")


class MicrophonePower:
    """The times at which the sentinel microphone delivers sound: its rail's history and its start-up time."""

    def __init__(self) -> None:
        self._since_us: int | None = None
        self._spans: list[tuple[int, int]] = []  # closed spans of real audio, frames

    def rail(self, now_us: int, live: bool) -> None:
        """The sentinel rail rose or fell."""
        if live:
            self._since_us = now_us
        elif self._since_us is not None:
            self._spans.append((self._frame(self._since_us + SETTLE_US), self._frame(now_us)))
            self._spans = self._spans[-16:]
            self._since_us = None

    @staticmethod
    def _frame(time_us: int) -> int:
        return -(-time_us * RATE_HZ // 1_000_000)

    def mask(self, data: bytes, first: int, count: int, frame_bytes: int) -> bytes:
        """`data` with silence where there was no microphone."""
        if self._since_us is not None and self._frame(self._since_us + SETTLE_US) <= first:
            return data
        spans = list(self._spans)
        if self._since_us is not None:
            spans.append((self._frame(self._since_us + SETTLE_US), 1 << 62))
        out = bytearray(len(data))
        for start, end in spans:
            low, high = max(first, start) - first, min(first + count, end) - first
            if low < high:
                out[low * frame_bytes : high * frame_bytes] = data[low * frame_bytes : high * frame_bytes]
        return bytes(out)
