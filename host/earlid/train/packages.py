# SPDX-License-Identifier: MIT
"""Files of Debian's packages, had without root: apt downloads a package and checks it; nothing is installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from earlid.errors import Missing, UserError

_NEEDED = ("apt-get", "dpkg-deb")
_PATIENCE = ("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
_FILE_BYTES_MAX = 200 << 20


@dataclass(frozen=True)
class Package:
    """A package's file: its version and SHA-256."""

    path: Path
    version: str
    sha256: str


def require_apt() -> None:
    """Raise `Missing` where packages cannot be downloaded: this is neither Debian nor Ubuntu."""
    for program in _NEEDED:
        if shutil.which(program) is None:
            raise Missing(
                f"no {program} here: sound without the word is made from Debian's packages, on Debian or Ubuntu. Copy the folder "
                "that `python -m earlid.train.negatives` made on such a computer, and name it in EARLID_NEGATIVES."
            )


def download(name: str, folder: Path) -> Package:
    """Download a package's file into a folder.

    Raises:
        Missing: apt has no such package, or cannot reach it; the message has apt's reason.
    """
    said = _run(["apt-get", "download", "-qq", *_PATIENCE, name], folder)
    found = sorted(folder.glob(f"{name}_*.deb"))
    if said.returncode or not found:
        lines = said.stderr.decode(errors="replace").strip().splitlines() or ["apt gave no reason"]
        raise Missing(f"{name}: {lines[-1].removeprefix('E: ')} (after `apt-get update`?)")
    version = _run(["dpkg-deb", "-f", str(found[0]), "Version"], folder).stdout.decode().strip()
    with found[0].open("rb") as file:
        return Package(found[0], version, hashlib.file_digest(file, "sha256").hexdigest())


def files(package: Package, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """(path, content) of the files that are wanted, in the package's order.

    Raises:
        UserError: the package is damaged.
    """
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package.path)], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        try:
            with tarfile.open(fileobj=running.stdout, mode="r|") as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    if member.isreg() and member.size <= _FILE_BYTES_MAX and wanted(name):
                        content = archive.extractfile(member)
                        assert content is not None
                        yield name, content.read()
        except tarfile.TarError as error:
            raise UserError(f"{package.path.name} cannot be unpacked ({error}): build again.") from error
        finally:
            running.kill()


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False)
