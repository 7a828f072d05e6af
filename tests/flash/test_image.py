# SPDX-License-Identifier: MIT
"""The pinned image: downloaded once, checked, kept; offline, mismatch and bad files end in a sentence."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from earlid.errors import UserError
from earlid.flash import image
from earlid.flash.transfer import sha256

GOOD = bytes([image.MAGIC]) + bytes(2000)


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small pinned release, and an empty cache."""
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(image, "PINNED", image.Release("small.bin", len(GOOD), sha256(GOOD)))
    return tmp_path / "cache" / "small.bin"


def serve(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], bytes]) -> list[str]:
    """Stand in for micropython.org; returns the addresses asked for."""
    urls: list[str] = []

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        urls.append(url)
        return io.BytesIO(answer())

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return urls


def test_image_is_downloaded_once_and_cached(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = serve(monkeypatch, lambda: GOOD)
    progress: list[tuple[int, int]] = []
    assert image.load(None, lambda done, total: progress.append((done, total))).data == GOOD
    assert image.load(None).data == GOOD
    assert urls == ["https://micropython.org/resources/firmware/small.bin"]
    assert progress[-1] == (len(GOOD), len(GOOD))
    assert pinned.read_bytes() == GOOD


def test_damaged_cache_is_downloaded_again(pinned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned.parent.mkdir()
    pinned.write_bytes(GOOD[:-1])
    urls = serve(monkeypatch, lambda: GOOD)
    assert image.load(None).data == GOOD
    assert len(urls) == 1


@pytest.mark.parametrize("wrong", [GOOD[:-1], GOOD + b"more", b"<html>"], ids=["short", "long", "page"])
def test_image_with_a_wrong_hash_is_refused_and_not_cached(pinned: Path, monkeypatch: pytest.MonkeyPatch, wrong: bytes) -> None:
    serve(monkeypatch, lambda: wrong)
    with pytest.raises(UserError, match=r"not the one Earlid was tested with.*Nothing was written") as raised:
        image.load(None)
    assert raised.value.code == 1
    assert not pinned.exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib.error.URLError("Name or service not known"), r"no connection \(Name or service not known\)"),
        (urllib.error.HTTPError("u", 404, "gone", {}, None), "the server answered 404"),  # type: ignore[arg-type]
        (TimeoutError("timed out"), "no connection"),
    ],
)
def test_failed_download_says_how_to_name_a_file(
    pinned: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def answer() -> bytes:
        raise error

    serve(monkeypatch, answer)
    with pytest.raises(UserError, match=words + r".*name it: --image small\.bin") as raised:
        image.load(None)
    assert raised.value.code == 1


def test_named_image_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "mine.bin"
    path.write_bytes(GOOD)
    assert image.load(str(path)) == image.MicroPythonImage("mine.bin", GOOD, 0)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"mine\.bin is no ESP32 image.*download/ESP32_GENERIC") as raised:
        image.load(str(path))
    assert raised.value.code == 2
    with pytest.raises(UserError, match=r"cannot read .*No such file") as raised:
        image.load(str(tmp_path / "none.bin"))
    assert raised.value.code == 2
