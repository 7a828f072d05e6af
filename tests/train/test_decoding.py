# SPDX-License-Identifier: MIT
"""What packages hold comes out as samples: G.722 against ffmpeg, games' containers as they are described."""

from __future__ import annotations

import io
import shutil
import subprocess
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid.errors import UserError
from earlid.gate.audio import RATE_HZ
from earlid.train import packages, propack, talkies
from earlid.train.decoding import recordings
from earlid.train.sources import SOURCES

TEXT = b"the quick brown fox, the quick brown dog, the quick brown cat"


def literal(content: bytes) -> bytes:
    """ProPack's file of bytes that are not compressed: one piece whose length is the only code of its table."""
    symbol = len(content).bit_length()
    bits: list[int] = [0, 0]

    def put(value: int, count: int) -> None:
        bits.extend(value >> place & 1 for place in range(count))

    put(symbol + 1, 5)  # the table of literals' lengths: one code, of one bit
    for number in range(symbol + 1):
        put(1 if number == symbol else 0, 4)
    put(0, 5)
    put(0, 5)
    put(1, 16)
    put(0, 1)
    put(len(content) - (1 << (symbol - 1)), symbol - 1)
    bits.extend([0] * (-len(bits) % 16))
    stream = sum(bit << place for place, bit in enumerate(bits)).to_bytes(len(bits) // 8, "little")
    head = propack.MAGIC + len(content).to_bytes(4, "big") + (len(stream) + len(content)).to_bytes(4, "big") + bytes(6)
    return head + stream + content


def tone(seconds: float, rate_hz: int) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.int16)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here (apt-get install ffmpeg)")
def test_g722_is_decoded_as_ffmpeg_does(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", tone(1, RATE_HZ), RATE_HZ)
    for source, target in (("tone.wav", "tone.g722"), ("tone.g722", "again.wav")):
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", tmp_path / source, tmp_path / target], check=True)
    ((path, name, pcm),) = recordings([("a/tone.g722", (tmp_path / "tone.g722").read_bytes())])
    assert (path, name) == ("a/tone.g722", "tone.g722")
    assert np.array_equal(pcm, soundfile.read(tmp_path / "again.wav", dtype="int16")[0])


def test_what_is_no_sound_is_empty() -> None:
    assert [len(pcm) for _, _, pcm in recordings([("a.wav", b""), ("b.ogg", b"not sound"), ("c.g722", b"")])] == [0, 0, 0]


def test_queen_gives_its_speech_alone() -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(0.5, 11025), 11025, format="MP3")
    mp3 = file.getvalue()
    entries = (("JOE0081.SB", mp3), ("ROOM.PCX", b"picture"), ("020001P1.SB", mp3))
    head = b"QTBLCEM10\0\0\0\0" + len(entries).to_bytes(2, "big")
    at = len(head) + 21 * len(entries)
    listing = body = b""
    for name, content in entries:
        listing += (
            name.encode().ljust(12, b"\0") + b"\x01" + (at + len(body)).to_bytes(4, "big") + len(content).to_bytes(4, "big")
        )
        body += content
    found = list(recordings([("x/queen.1c", head + listing + body)]))
    assert [(path, name) for path, name, _ in found] == [("x/queen.1c", "JOE0081.SB"), ("x/queen.1c", "020001P1.SB")]
    assert all(0.49 <= len(pcm) / RATE_HZ < 0.7 and 4000 < np.abs(pcm).max() < 12000 for _, _, pcm in found)


def test_sky_gives_its_speech_alone() -> None:
    loud = (tone(1, talkies.SKY_HZ) // 256 + 128).astype(np.uint8).tobytes()
    files = {50001: bytes(22) + literal(loud), 60001: bytes(100)}
    listing, data = len(files).to_bytes(4, "little"), b""
    for number, content in files.items():
        listing += number.to_bytes(2, "little") + len(data).to_bytes(3, "little") + len(content).to_bytes(3, "little")
        data += content
    ((path, name, pcm),) = recordings([("x/sky.dnr", listing), ("x/sky.dsk", data)])
    assert (path, name) == ("x/sky.dsk", "50001")
    expected = tone(1, RATE_HZ)
    assert abs(len(pcm) - RATE_HZ) <= 1
    assert np.corrcoef(pcm[:16000], expected[: len(pcm[:16000])])[0, 1] > 0.99


def test_damaged_game_is_an_error() -> None:
    with pytest.raises(UserError, match=r"queen\.1c is damaged"):
        list(recordings([("x/queen.1c", b"nothing")]))
    entry = (50001).to_bytes(2, "little") + bytes(3) + (30).to_bytes(3, "little")
    with pytest.raises(UserError, match=r"sky\.dsk is damaged"):
        list(recordings([("x/sky.dnr", (1).to_bytes(4, "little") + entry), ("x/sky.dsk", bytes(30))]))


def test_packed_literals_are_unpacked_and_cut_ones_refused() -> None:
    packed = literal(TEXT)
    assert propack.unpack(packed) == TEXT
    for length in range(len(packed)):
        with pytest.raises(ValueError, match="pack"):
            propack.unpack(packed[:length])


def crc16(data: bytes) -> int:
    """CRC-16/ARC, which ProPack has in its header."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0xA001 if number & 1 else 0)
        table.append(number)
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc


@pytest.mark.soak
def test_lines_of_a_game_have_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = (source for source in SOURCES if source.package == "beneath-a-steel-sky")
    package = packages.download(source.package, tmp_path)
    listing, data = (content for _, content in packages.files(package, lambda path: path.endswith(("sky.dnr", "sky.dsk"))))
    packed: list[bytes] = []
    unpack = propack.unpack
    monkeypatch.setattr(propack, "unpack", lambda content: packed.append(content) or unpack(content))
    lines = [line for _, line in islice(talkies.sky_speech(listing, data), 100)]
    assert [crc16(line) for line in lines] == [int.from_bytes(content[12:14], "big") for content in packed]
    assert len(set(lines)) == 100
