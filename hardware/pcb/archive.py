# SPDX-License-Identifier: MIT
"""A zip that depends on nothing but what is in it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path


def pack(files: dict[str, bytes]) -> bytes:
    """Name -> content as a zip: sorted, without dates, rights of a plain file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, files[name], compresslevel=9)
    return out.getvalue()


def unpack(path: Path) -> dict[str, bytes]:
    """Raises OSError when there is no such file."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
