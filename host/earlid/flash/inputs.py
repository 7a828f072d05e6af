# SPDX-License-Identifier: MIT
"""Inputs of a flash run that a user names: a MicroPython image, a word, a file of settings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from lid import config as settings
from lid.wire_schema import SETTINGS

from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.files import read_bytes, read_json
from earlid.flash import image
from earlid.gate import blob_format

DEFAULT_WORD = "okay_nabu"
NO_WORD = "none"
BLOB_MAX_BYTES = 1 << 20
FAST_BAUD = 460800  # what the usual USB chips and cables bear
BAUD_MIN, BAUD_MAX = 9600, 3_000_000


def image_loader(path: str | None) -> Callable[[Callable[[int, int], None]], image.MicroPythonImage]:
    """A function that returns the image, for several boards at once: one download serves them all.

    Args:
        path: a file, read now, or None for the pinned release, downloaded at the first call.

    Raises:
        UserError: code 2 when the file is no image.
    """
    loaded = [image.load(path)] if path else []
    lock = threading.Lock()

    def load(report: Callable[[int, int], None]) -> image.MicroPythonImage:
        with lock:
            if not loaded:
                loaded.append(image.load(None, report))
            return loaded[0]

    return load


def word_blob(name: str) -> bytes:
    """The compiled word of a name of `earlid model list`, or of a .tflite file with its .json beside it.

    Raises:
        UserError: code 2 when there is no such word, code 1 when it does not fit the board.
    """
    from earlid.flash import words  # compiles a whole network in a checkout, which an update does not need

    blob = words.blob(name)
    _check_fits(blob, name)
    return blob


def read_word(name: str | None) -> bytes | None:
    """The word's blob; None where there is no name, or the name says no word.

    Args:
        name: as `word_blob` takes it, an .elww file, NO_WORD, or None.

    Raises:
        UserError: code 2 when there is no such word, or the file is no compiled word; code 1 when it does not fit the board.
    """
    if name is None or name == NO_WORD:
        return None
    if not name.endswith(blob_format.SUFFIX):
        return word_blob(name)
    blob = read_bytes(Path(name), BLOB_MAX_BYTES)
    if not blob.startswith(blob_format.MAGIC):
        raise UserError(f"{name} is no compiled word: make one of a .tflite file with `earlid model import`.", USAGE)
    _check_fits(blob, name)
    return blob


def _check_fits(blob: bytes, name: str) -> None:
    from earlid.flash import memory_plan  # compiles the firmware, which an update without a word need not do twice

    memory_plan.check_word(blob, name)


def read_config(path: str | None) -> dict[str, int] | None:
    """The settings of a JSON file, checked; None without a path.

    Raises:
        UserError: code 2 when the file cannot be read or a setting is unknown or out of its range.
    """
    if path is None:
        return None
    values = read_json(Path(path))
    try:
        settings.check(values)
    except ValueError as error:
        what = SETTINGS.get(str(error).split()[0])
        raise UserError(f"{path}: {plain(error)}{f' ({what})' if what else ''}.", USAGE) from error
    return dict(values)


def config_bytes(path: str | None) -> bytes | None:
    """A board's `/config.json` with the settings of a JSON file; None without a path. Errors as of `read_config`."""
    values = read_config(path)
    return None if values is None else settings.dump(settings.check(values))
