# SPDX-License-Identifier: MIT
"""Sound at the sentinel microphone: clips on the board's time line, noise beneath them, and the microphone's faults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
BLOCK_FRAMES = RATE_HZ
# A sample of int16 is what the gate hears of it with the default gain, 16: a real microphone is as far below its full scale
SAMPLE_SHIFT = 12
FAULT_SHIFT = 16
STUCK_CODE = -256  # the data line stays high: 24 bits of ones in a 32-bit slot

Samples = npt.NDArray[np.int16]
Mode = Literal["ok", "dead", "stuck", "clipped", "swapped"]
MODES: tuple[Mode, ...] = ("ok", "dead", "stuck", "clipped", "swapped")


def load(path: Path) -> Samples:
    """A recording of any rate and channel count as 16 kHz mono int16; raises ValueError with the file's name."""
    import soundfile
    import soxr

    try:
        data, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError, soundfile.SoundFileError) as error:
        raise ValueError(f"{path}: not a sound file that can be read ({error}); convert it to WAV or FLAC") from error
    mono: npt.NDArray[np.float64] = data.mean(axis=1)
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, rate_hz, RATE_HZ)
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)


class Sound:
    """The sound signal at the microphone.

    Frames are counted at 16 kHz from the first power-on. The same seed gives the same noise at the same frame, in
    whatever order it is asked for.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.mode: Mode = "ok"
        self._clips: list[tuple[int, Samples]] = []
        self._noise: list[tuple[int, float]] = [(0, 0.0)]  # from which frame, rms in int16 steps
        self._block = -1
        self._pcm = np.zeros(BLOCK_FRAMES, np.int16)
        self._slots: dict[tuple[int, bool, Mode], bytes] = {}
        self._pushed_to = 0

    def play_at(self, frame: int, samples: Samples) -> int:
        """Lay a clip on the time line from `frame` on; returns the frame after its end."""
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise ValueError(f"samples must be int16 in one dimension, not {samples.dtype} {samples.shape}")
        self._clips.append((frame, samples))
        self._invalidate()
        return frame + len(samples)

    def push(self, frame: int, samples: Samples) -> None:
        """Append to what was pushed before (a live microphone), at `frame` if that has already gone by."""
        start = max(frame, self._pushed_to)
        self._pushed_to = self.play_at(start, samples)
        if len(self._clips) > 200:
            self._clips = [(at, clip) for at, clip in self._clips if at + len(clip) > frame - RATE_HZ]

    def set_noise(self, frame: int, level_dbfs: float | None) -> None:
        """White noise from `frame` on; None for silence. 0 dBFS is the RMS of a full-scale square wave, as the gate hears it."""
        rms = 0.0 if level_dbfs is None else 32768 * 10 ** (level_dbfs / 20)
        self._noise.append((frame, rms))
        self._invalidate()

    def _invalidate(self) -> None:
        self._block = -1
        self._slots.clear()

    def pcm(self, block: int) -> Samples:
        """One second of int16, frames `block` * 16000 on."""
        if block == self._block:
            return self._pcm
        first = block * BLOCK_FRAMES
        end = first + BLOCK_FRAMES
        mixed = np.zeros(BLOCK_FRAMES, np.float32)
        if any(rms for _, rms in self._noise):
            white = np.random.default_rng((self.seed, block)).standard_normal(BLOCK_FRAMES, np.float32)
            level = np.zeros(BLOCK_FRAMES, np.float32)
            for start, rms in self._noise:
                if start < end:
                    level[max(0, start - first) :] = rms
            mixed += white * level
        for start, clip in self._clips:
            low, high = max(first, start), min(end, start + len(clip))
            if low < high:
                mixed[low - first : high - first] += clip[low - start : high - start]
        self._pcm = np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)
        self._block = block
        self._slots.clear()
        return self._pcm

    def _slot_bytes(self, block: int, wide: bool) -> bytes:
        # The left slot's content of one second, as the ESP32 port hands it over for MONO
        key = (block, wide, self.mode)
        slots_bytes = self._slots.get(key)
        if slots_bytes is None:
            pcm = self.pcm(block)
            if self.mode in ("dead", "swapped"):
                pcm = np.zeros_like(pcm)
            elif self.mode == "clipped":
                pcm = np.clip(pcm.astype(np.int32) * 64, -32768, 32767).astype(np.int16)
            elif self.mode == "stuck":
                pcm = np.full_like(pcm, -1)
            if wide:
                slots = pcm.astype(np.int32) << (FAULT_SHIFT if self.mode == "clipped" else SAMPLE_SHIFT)
                if self.mode == "stuck":
                    slots[:] = STUCK_CODE
                slots_bytes = slots.astype("<i4").tobytes()
            else:
                slots_bytes = pcm.astype("<i2").tobytes()
            self._slots[key] = slots_bytes
        return slots_bytes

    def frames(self, frame: int, count: int, wide: bool, stereo: bool) -> bytes:
        """`count` frames from `frame` on, as `I2S.readinto` delivers them: 16 or 32 bits (`wide`), mono or stereo."""
        size = 4 if wide else 2
        block, offset = divmod(frame, BLOCK_FRAMES)
        left = self._slot_bytes(block, wide)[offset * size : (offset + count) * size]
        while len(left) < count * size:
            block += 1
            left += self._slot_bytes(block, wide)[: count * size - len(left)]
        if not stereo:
            return left
        both = np.zeros((count, 2), "<i4" if wide else "<i2")
        both[:, 1 if self.mode == "swapped" else 0] = np.frombuffer(left, both.dtype)
        if self.mode == "swapped":  # the sound itself is in the other slot
            self.mode = "ok"
            both[:, 1] = np.frombuffer(self.frames(frame, count, wide, False), both.dtype)
            self.mode = "swapped"
        return both.tobytes()


def frame_at(time_us: int) -> int:
    """The first sound frame that begins at or after a moment of board time."""
    return -(-time_us * RATE_HZ // 1_000_000)
