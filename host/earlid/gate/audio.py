# SPDX-License-Identifier: MIT
"""Reads recordings of any kind into what the gate hears: 16 kHz, mono, 16 bit. Block by block: an hour takes no more memory
than its result."""

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from earlid.errors import USAGE, UserError

RATE_HZ = 16000
FULL_SCALE = 32768
LEAST_SAMPLES = 160  # at 16 kHz: one hop, below which the gate hears nothing
RATES_HZ = (1000, 768_000)  # that are converted
HOURS_MAX = 24
_BLOCK_VALUES = 1 << 18  # samples of all channels that are decoded at once
_TRUSTED_S = HOURS_MAX * 3600  # a header that tells of more is not believed
_TAGS_BYTES = 16384  # that may stand behind the sound of an MP3
_HEAD_BYTES = 1 << 12
_INFLATION = 64  # above the ratio of an MP3's highest bit rate (320 kbit/s) to its lowest (8)


class _Stream:
    """A file as libsndfile is to see it: perhaps larger than it is, and with other bytes at one place."""

    def __init__(self, file: BinaryIO, size: int, patch_at: int = 0, patch: bytes = b"") -> None:
        self._file, self._size, self._patch_at, self._patch = file, size, patch_at, patch
        self._real_size = os.fstat(file.fileno()).st_size
        self._at = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int) -> bytes:
        if self._real_size <= self._at and self._size - 128 <= self._at:
            data = bytes(max(0, min(count, self._size - self._at)))  # where tags stand, and a decoder wants to find bytes
        else:
            self._file.seek(self._at)
            data = self._file.read(count)
        for number, byte in enumerate(self._patch, self._patch_at - self._at):
            if 0 <= number < len(data):
                data = data[:number] + bytes([byte]) + data[number + 1 :]
        self._at += len(data)
        return data


class _SoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """Read from its beginning to its end only: soundfile seeks after every block, which not every format can."""

    def seekable(self) -> bool:
        return False


def read_audio(path: str | Path) -> NDArray[np.int16]:
    """Samples of a sound file at 16 kHz, all at once: `audio_blocks` joined.

    Returns:
        int16 array of shape (samples,).

    Raises:
        UserError: as `audio_blocks`.
    """
    samples = bytearray()
    for block in audio_blocks(path):
        samples += block.tobytes()
    return np.frombuffer(samples, np.int16)


def audio_blocks(path: str | Path) -> Iterator[NDArray[np.int16]]:
    """Samples of a sound file at 16 kHz, block by block.

    A file that is 16 kHz, mono and 16 bit comes back as it is, sample for sample. Other rates are converted with soxr
    (highest quality), channels are averaged, other sample formats rounded to 16 bits.

    Args:
        path: WAV, FLAC, Ogg or any other file that libsndfile reads; FLAC of every kind that FFmpeg reads, a damaged one as far
            as FFmpeg does. What a header says of its length is not relied on.

    Yields:
        int16 arrays of shape (samples,); a last one that fills up a hop may be shorter than 10 ms.

    Raises:
        UserError: naming the file, when it is missing, is no sound file, holds less than a hop or more than a day. What was
            yielded before it is no recording.
    """
    path = Path(path)
    samples = 0
    for pcm in _converted(path):
        samples += len(pcm)
        _check_length(path, samples / RATE_HZ)
        yield pcm
    if samples < LEAST_SAMPLES:
        raise UserError(f"{path}: {_too_short(samples / RATE_HZ)}", USAGE)


def _converted(path: Path) -> Iterator[NDArray[np.int16]]:
    rate_hz, resampler = 0, None
    for at_hz, exact, block in _decoded(path):
        if at_hz != rate_hz:  # of the first block, or of another recording joined to it
            if resampler:
                yield _round(resampler.resample_chunk(np.zeros(0), last=True), path)
            rate_hz = at_hz
            resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float64", quality="VHQ") if rate_hz != RATE_HZ else None
        if exact and block.shape[1] == 1 and not resampler:
            yield block[:, 0]
            continue
        with np.errstate(over="ignore", invalid="ignore"):  # `_round` refuses what comes of it
            mono = block.astype(np.float64).mean(axis=1) * (1 if exact else FULL_SCALE)
        yield _round(resampler.resample_chunk(mono) if resampler else mono, path)
    if resampler:
        yield _round(resampler.resample_chunk(np.zeros(0), last=True), path)


def _decoded(path: Path) -> Iterator[tuple[int, bool, NDArray[Any]]]:
    """(rate, whether it holds 16 bits, samples of shape (frames, channels)): int16, or floats of 1."""
    kind = _flac_container(path)
    if kind:
        found = False
        for item in _flac_blocks(path, kind):
            found = True
            yield item
        if found:
            return
    with _open(path) as file:
        exact = file.subtype == "PCM_16"
        for block in _blocks(file, "int16" if exact else "float32"):
            yield file.samplerate, exact, block


def _flac_container(path: Path) -> str:
    """`flac` or `ogg` when FFmpeg is to read a file, which also reads what libsndfile gives up at; else nothing."""
    if importlib.util.find_spec("av") is None:
        return ""
    with suppress(OSError), open(path, "rb", opener=_open_regular) as raw:
        head = raw.read(_HEAD_BYTES)
        if head[:4] == b"OggS":
            return "ogg" if b"\x7fFLAC" in head[:128] else ""
        if head[:4] in (b"RIFF", b"RF64", b"FORM", b"riff", b"caff"):
            return ""
        return "flac" if head[:4] == b"fLaC" or (head and path.suffix.lower() == ".flac") else ""
    return ""


def _flac_blocks(path: Path, container: str) -> Iterator[tuple[int, bool, NDArray[Any]]]:
    import av
    from av.error import FFmpegError

    with open(path, "rb", opener=_open_regular) as raw:
        try:
            # By its bytes alone, as this container: no name, list or link in it opens anything else
            with av.open(raw, mode="r", format=container, options={"format_whitelist": container}) as file:
                for packet in file.demux(file.streams.audio[0]):
                    try:
                        frames = packet.decode()
                    except FFmpegError:  # a damaged piece: the next one may be whole
                        continue
                    for frame in frames:
                        if not RATES_HZ[0] <= frame.sample_rate <= RATES_HZ[1]:
                            raise UserError(f"{path}: {_other_rate(frame.sample_rate)}", USAGE)
                        exact = frame.format.name.startswith("s16")
                        planes = frame.to_ndarray()
                        if not frame.format.is_planar:
                            planes = planes.reshape(-1, frame.layout.nb_channels).T
                        yield frame.sample_rate, exact, planes.T if exact else planes.T / 2.0**31
        except (FFmpegError, IndexError):
            return  # libsndfile is asked


def audio_seconds(path: str | Path) -> float:
    """How long a sound file is: as its header says, or decoded to its end where a header cannot be believed.

    Raises:
        UserError: as `read_audio`.
    """
    if _flac_container(Path(path)):  # its header may say anything
        return sum(len(block) for block in audio_blocks(path)) / RATE_HZ
    with _open(Path(path)) as file:
        if file.format == "MP3" or not 0 <= file.frames <= _TRUSTED_S * file.samplerate:
            frames = 0
            for block in _blocks(file, "float32"):
                frames += len(block)
                _check_length(path, frames / file.samplerate)
        else:
            frames = file.frames
    seconds: float = frames / file.samplerate
    if seconds * RATE_HZ < LEAST_SAMPLES:
        raise UserError(f"{path}: {_too_short(seconds)}", USAGE)
    return seconds


def _round(mono: NDArray[np.float64], path: str | Path) -> NDArray[np.int16]:
    if not np.all(np.isfinite(mono)):
        raise UserError(f"{path}: has samples that are not numbers; export it again", USAGE)
    return np.clip(np.round(mono), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _other_rate(rate_hz: int) -> str:
    return f"{rate_hz} Hz; rates from {RATES_HZ[0]} to {RATES_HZ[1]} are converted"


def _too_short(seconds: float) -> str:
    if not seconds:
        return "has no samples; record it again"
    least_ms = 1000 * LEAST_SAMPLES // RATE_HZ
    return f"holds {1000 * seconds:.3g} ms of sound, less than the {least_ms} ms of a hop; record it again"


def _check_length(path: str | Path, seconds: float) -> None:
    if seconds > HOURS_MAX * 3600:
        raise UserError(f"{path}: is longer than {HOURS_MAX} hours; cut it into several files", USAGE)


def _blocks(file: soundfile.SoundFile, dtype: str) -> Iterator[NDArray[np.int16 | np.float32]]:
    frames = max(1, _BLOCK_VALUES // file.channels)
    while len(block := file.read(frames, dtype=dtype, always_2d=True)):
        yield block


@contextmanager
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file, opened; what goes wrong meanwhile is a UserError."""
    try:
        with open(path, "rb", opener=_open_regular) as raw, _decoder(raw) as file:
            if not RATES_HZ[0] <= file.samplerate <= RATES_HZ[1]:
                raise UserError(f"{path}: {_other_rate(file.samplerate)}", USAGE)
            yield file
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        reason = getattr(error, "error_string", None) or str(error)
        raise UserError(
            f"{path}: not a sound file that can be read ({reason.strip().rstrip('.')}); WAV and FLAC are, "
            "bare samples without a header are not", USAGE,
        ) from error  # fmt: skip
    except OSError as error:
        what = "a folder, not a sound file" if path.is_dir() else "no such file" if not path.exists() else error.strerror or error
        raise UserError(f"{path}: {what}", USAGE) from error


def _open_regular(name: str, flags: int) -> int:
    number = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe that nobody writes to would wait for ever
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "no regular file, but a folder, a pipe or a device")
    return number


def _decoder(raw: BinaryIO) -> soundfile.SoundFile:
    # By number or stream, not by name: soundfile would take a name's ending for the format.
    size = os.fstat(raw.fileno()).st_size
    if patch_at := _unfinished_size(raw, size):
        return _SoundFile(_Stream(raw, size, patch_at, b"\xff\xff\xff\xff"))
    file = _SoundFile(_Stream(raw, size))
    if file.format == "MP3":
        told, patch_at = _mp3_length(raw, size)
        if not told:  # libsndfile ends where the bit rate of the first frame would, or another file: give it room
            file.close()
            file = _SoundFile(_Stream(raw, size * _INFLATION, patch_at, bytes(4) if patch_at else b""))
    return file


def _unfinished_size(raw: BinaryIO, size: int) -> int:
    """Where a WAV file's size of its samples stands when it is 0 though there are some, as streams are written; else 0."""
    raw.seek(0)
    head = raw.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0
    at, found = 12, 0
    while at + 8 <= size:
        raw.seek(at)
        name, length = raw.read(4), int.from_bytes(raw.read(4), "little")
        if not name.isascii() or at + 8 + length > size:
            return found  # no chunk: these are samples
        if name == b"data" and length == 0 and not found:
            found = at + 4
        elif name == b"data":
            return 0
        at += 8 + length + length % 2
    return found if found and at != size else 0


def _mp3_length(raw: BinaryIO, size: int) -> tuple[bool, int]:
    """Whether an MP3's first frame tells how long it is; if it tells of another file, such as one of several joined, where.

    Xing, LAME and VBRI headers; the first two also have how many bytes they speak of.
    """
    raw.seek(0)
    head = raw.read(10)
    at = 0
    if head[:3] == b"ID3" and len(head) == 10:
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    raw.seek(at)
    frame = raw.read(256)
    for mark in (b"Xing", b"Info"):
        if (found := frame.find(mark)) >= 0:
            flags = int.from_bytes(frame[found + 4 : found + 8], "big")
            told_bytes = int.from_bytes(frame[found + 12 : found + 16], "big")
            whole = flags & 3 == 3 and size - at <= told_bytes + told_bytes // 50 + _TAGS_BYTES
            return whole, 0 if whole else at + found
    return b"VBRI" in frame, 0
