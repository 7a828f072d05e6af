# SPDX-License-Identifier: MIT
"""FLAC of every kind that FFmpeg reads: what comes out is the sound that was put in, sample for sample."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from earlid.errors import UserError
from earlid.gate import audio

SEED = 15
RATE_HZ = 16000
STREAMINFO = 8  # block sizes (4), frame sizes (6), rate, channels, bits, length (8), MD5 (16)


def tone(seconds: float = 3.0, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    """A tone with a little noise, int16."""
    at_s = np.arange(int(seconds * rate_hz)) / rate_hz
    mono = 8000 * np.sin(2764 * at_s) + np.random.default_rng(SEED).normal(0, 30, len(at_s))
    return np.repeat(np.rint(mono).astype(np.int16)[:, None], channels, axis=1)


def coded(samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    """FLAC by libsndfile."""
    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format="FLAC", subtype=subtype)
    return out.getvalue()


def heard(tmp_path, data: bytes, name: str = "word.flac") -> np.ndarray:
    """What is read of these bytes; its length is told alike beforehand."""
    path = tmp_path / name
    path.write_bytes(data)
    samples = audio.read_audio(path)
    assert audio.audio_seconds(path) * RATE_HZ == len(samples)
    return samples


def frames_at(data: bytes) -> int:
    """Where the first frame begins."""
    at = 4
    while True:
        last, length = data[at] & 0x80, int.from_bytes(data[at + 1 : at + 4], "big")
        at += 4 + length
        if last:
            return at


def put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def with_rate(data: bytes, rate_hz: int) -> bytes:
    low = data[STREAMINFO + 12] & 0x0F
    return put(data, STREAMINFO + 10, (rate_hz << 4 | low).to_bytes(3, "big"))


ID3 = b"ID3\3\0\0\0\0\x08\0" + bytes(1024)
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "length unknown": lambda data: put(put(data, 21, bytes([data[21] & 0xF0])), 22, bytes(4)),
    "length too short": lambda data: put(data, 22, (1000).to_bytes(4, "big")),
    "length too long": lambda data: put(data, 22, (10**9).to_bytes(4, "big")),
    "wrong MD5": lambda data: put(data, 26, bytes(range(16))),
    "no MD5": lambda data: put(data, 26, bytes(16)),
    "block sizes unknown": lambda data: put(data, STREAMINFO, bytes(4)),
    "frame sizes unknown": lambda data: put(data, STREAMINFO + 4, bytes(6)),
    "another rate in the header": lambda data: with_rate(data, 44100),
    "ID3 in front": lambda data: ID3 + data,
    "two ID3 in front": lambda data: ID3 + ID3 + data,
    "ID3v1 behind": lambda data: data + b"TAG".ljust(128),
    "other bytes behind": lambda data: data + bytes(range(256)) * 40,
    "other bytes in front": lambda data: bytes(np.random.default_rng(SEED).integers(0, 255, 3000, np.uint8)) + data,
    "frames alone": lambda data: data[frames_at(data) :],
    "damaged comment": lambda data: data[:42] + b"\x04\0\0\x28" + b"\xff" * 40 + data[42:],
    "damaged seek table": lambda data: data[:42] + b"\x03\0\0\x11" + b"\x12" * 17 + data[42:],
    "unknown block": lambda data: data[:42] + b"\x64\0\1\0" + bytes(256) + data[42:],
}


@pytest.mark.parametrize("kind", KINDS)
def test_flac_with_another_header_is_read_whole(tmp_path, kind):
    samples = tone()
    np.testing.assert_array_equal(heard(tmp_path, KINDS[kind](coded(samples))), samples[:, 0])


def test_flac_joined_to_another_is_read_to_the_end(tmp_path):
    first, second = tone(3), tone(2, channels=2)
    both = heard(tmp_path, coded(first) + coded(second))
    np.testing.assert_array_equal(both, np.concatenate([first[:, 0], second[:, 0]]))


def test_flac_cut_off_is_read_up_to_the_cut(tmp_path):
    samples = tone()
    data = coded(samples)
    read = heard(tmp_path, data[: len(data) * 2 // 3])
    assert len(samples) // 2 < len(read) < len(samples)
    np.testing.assert_array_equal(read, samples[: len(read), 0])


def test_flac_with_a_hole_is_read_around_it(tmp_path):
    samples = tone()
    data = coded(samples)
    read = heard(tmp_path, put(data, len(data) // 2, bytes(50)))
    assert len(read) > len(samples) * 0.8


def test_ogg_flac_is_read(tmp_path):
    import av

    samples = tone()
    path = tmp_path / "made.oga"
    with av.open(str(path), "w", format="ogg") as out:
        stream = out.add_stream("flac", rate=RATE_HZ)
        stream.layout = "mono"
        for part in np.split(samples, range(4096, len(samples), 4096)):
            frame = av.AudioFrame.from_ndarray(part.T.copy(), format="s16", layout="mono")
            frame.rate = RATE_HZ
            out.mux(stream.encode(frame))
        out.mux([packet for packet in stream.encode(None) if packet.size])
    for name in ("word.oga", "word.flac"):
        np.testing.assert_array_equal(heard(tmp_path, path.read_bytes(), name), samples[:, 0])


@pytest.mark.parametrize("channels", range(1, 9))
def test_flac_of_any_channels_is_their_mean(tmp_path, channels):
    samples = tone(1, channels=channels)
    np.testing.assert_array_equal(heard(tmp_path, coded(samples)), samples[:, 0])


@pytest.mark.parametrize(("subtype", "shift"), [("PCM_S8", 8), ("PCM_24", 0)])
def test_flac_of_any_depth_keeps_its_level(tmp_path, subtype, shift):
    samples = tone(1)
    expected = samples[:, 0] >> shift << shift
    assert np.abs(heard(tmp_path, coded(samples, subtype=subtype)).astype(int) - expected).max() <= (1 << shift)


@pytest.mark.parametrize("rate_hz", [1000, 7999, 37800, 192_000, 655_350])
def test_flac_of_any_rate_is_converted(tmp_path, rate_hz):
    assert len(heard(tmp_path, coded(tone(1, rate_hz), rate_hz))) == pytest.approx(RATE_HZ, abs=2)


def test_list_of_other_files_under_the_name_of_flac_opens_nothing(tmp_path):
    (tmp_path / "secret.wav").write_bytes(coded(tone()))
    path = tmp_path / "word.flac"
    for text in (
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n{tmp_path}/secret.wav\n",
    ):
        path.write_text(text)
        with pytest.raises(UserError, match="not a sound file"):
            audio.read_audio(path)
