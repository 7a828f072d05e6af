# SPDX-License-Identifier: MIT
"""A Debian archive of our own, which real apt downloads from: packages with these files, and no others."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path


def archive(folder: Path, packages: Mapping[str, Mapping[str, bytes]], version: str = "1.0-1") -> Path:
    """Make it, and return the file that `APT_CONFIG` names to have apt use it; raises CalledProcessError.

    Args:
        packages: by name, content by path.
    """
    listing = ""
    for name, files in packages.items():
        tree = folder / "trees" / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: X <x@example.org>\nDescription: Sounds\n"
        (tree / "DEBIAN" / "control").write_text(control)
        for path, content in files.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_bytes(content)
        deb = folder / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(deb)], check=True, capture_output=True)
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        listing += f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"
    (folder / "Packages").write_text(listing)
    for part in ("lists/partial", "archives/partial", "nothing"):
        (folder / "apt" / part).mkdir(parents=True)
    (folder / "apt" / "status").touch()
    (folder / "apt" / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
    config = folder / "apt" / "apt.conf"
    config.write_text(
        f'Dir::Etc::SourceList "{folder}/apt/sources.list";\nDir::Etc::SourceParts "{folder}/apt/nothing";\n'
        f'Dir::State "{folder}/apt";\nDir::State::status "{folder}/apt/status";\nDir::Cache "{folder}/apt";\n'
        'APT::Architecture "amd64";\nAPT::Sandbox::User "root";\n'
    )
    subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, env={"APT_CONFIG": str(config), "PATH": _PATH})
    return config


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
