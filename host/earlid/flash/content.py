# SPDX-License-Identifier: MIT
"""Content of a board's file system after a flash: one function decides it, for the REPL's way and for the one file.

Layout on the board:

    /boot.py /main.py     loaders
    /active               one line: the build in force and the word's blob, or `-`
    /lid-<12 hex>/        a build, named by a hash of its content
    /model-<12 hex>.bin   a word's blob
    /config.json          settings, only when some are given
    /journal/             in the one file: the segments that a board's first start would make

No identity, no key, nothing random and no date: these the board makes.
"""

from __future__ import annotations

import hashlib
import io

from lid import segments

from earlid.flash.firmware_build import FirmwareBuild

ACTIVE = "/active"
CONFIG = "/config.json"
NO_MODEL = "-"
SEGMENTS = 2  # of a board after its first start: the current one, and the spare that is made at once


def deployed(
    build: FirmwareBuild, model: bytes | None, config: bytes | None = None, kept_model: str = NO_MODEL
) -> dict[str, bytes]:
    """The files of a firmware in force, by path.

    Args:
        build: the compiled firmware.
        model: the word's blob, or None.
        config: contents of `/config.json`, as the firmware's `config.dump` gives them, or None for the defaults or what is there.
        kept_model: without `model`: the path of the word that the board has and keeps.
    """
    files = {f"{build.directory}/{path}": data for path, data in build.files.items()}
    files |= {f"/{name}": data for name, data in build.loaders.items()}
    model_path = kept_model
    if model is not None:
        model_path = f"/model-{hashlib.sha256(model).hexdigest()[:12]}.bin"
        files[model_path] = model
    files[ACTIVE] = f"{build.directory} {model_path}\n".encode()
    if config is not None:
        files[CONFIG] = config
    return dict(sorted(files.items()))


def files(build: FirmwareBuild, model: bytes | None, config: bytes | None = None) -> dict[str, bytes]:
    """All files of a board that never ran, by path: `deployed`, and an empty journal as the board's own first start makes it."""
    return dict(sorted({**deployed(build, model, config), **_journal()}.items()))


def _journal() -> dict[str, bytes]:
    made = {}
    for segment_id in range(1, SEGMENTS + 1):
        file = io.BytesIO()
        for index in range(segments.BLOCKS):
            segments.Segments.write_block(None, file, segment_id, index)
        made[f"{segments.PATH}/{segment_id:08}"] = file.getvalue()
    return made
