# SPDX-License-Identifier: MIT
"""Reads a release's folder and judges it: the sums, who signed them, and whether what the files say of each other agrees."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from earlid.door import plain
from earlid.errors import USAGE, UserError
from earlid.release import contents, signature, sums
from earlid.release.sums import SIGNATURE, SUMS, Finding

FILE_MAX_BYTES = 64 << 20  # the largest file of a release is some 5 MB
_FILES_MAX = 100
_TOTAL_MAX_BYTES = 256 << 20


class Verdict(NamedTuple):
    """Of a release: it holds when there is no finding. `commit` is what it says that it was made of."""

    files: int
    commit: str | None
    signer: signature.Signer | None
    findings: list[Finding]


def judge(folder: Path, *, signers: Path | None = None, key: Path | None = None, unsigned: bool = False) -> Verdict:
    """Judge a release by its files alone, offline.

    Args:
        signers, key: whom to trust, as `signature.judge` has it.
        unsigned: the sums will do: no signature is asked for or looked at.

    Raises:
        UserError: code 2 when there is no such folder, or what says whom to trust cannot be read.
    """
    files, findings = _read(folder)
    text = files.pop(SUMS, None)
    signed = files.pop(SIGNATURE, None)
    if text is None:
        findings.append(Finding(SUMS, "missing", f"{folder} holds no {SUMS} that can be read: it is no release"))
        return Verdict(len(files), None, None, findings)
    signer = None
    if not unsigned:
        found = signature.judge(text, signed, signers=signers, key=key)
        if isinstance(found, Finding):
            findings.append(found)
        else:
            signer = found
    said, malformed = sums.parse(text)
    told = {finding.file for finding in findings}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    findings += malformed
    findings += (finding for finding in sums.compare(said, hashes) if finding.file not in told)
    if not findings:  # else nobody vouches for these bytes: they are hashed, and not opened
        findings += contents.disagreements(files)
    commit = None if findings else contents.commit(files[contents.BILL])
    return Verdict(len(files), commit, signer, findings)


def _read(folder: Path) -> tuple[dict[str, bytes], list[Finding]]:
    """The files of a folder, and what in it is none of a release: that is told and not read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(_FILES_MAX + 1), strict=False))
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}. Name the folder of a release.", USAGE) from error
    files: dict[str, bytes] = {}
    findings = []
    if len(names) > _FILES_MAX:
        findings.append(Finding(None, "added", f"there are more than {_FILES_MAX} files in {folder}: it is no release"))
    for name in names[:_FILES_MAX]:
        data = _read_file(folder / name, _TOTAL_MAX_BYTES - sum(map(len, files.values())))
        if isinstance(data, bytes):
            files[name] = data
        else:
            findings.append(Finding(name, data, f"{plain(name)} {_WHY[data]}"))
    return files, findings


_WHY = {
    "link": "is a link; a release has files alone",
    "no file": "is no plain file; a release has no other",
    "too large": f"is larger than any file of a release ({FILE_MAX_BYTES >> 20} MiB, all together {_TOTAL_MAX_BYTES >> 20} MiB)",
    "unreadable": "cannot be read",
}


def _read_file(path: Path, room_bytes: int) -> bytes | str:
    """A file's bytes, or which of `_WHY` it is instead. No link is followed and no pipe waited for."""
    try:
        if path.is_symlink():
            return "link"
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if not stat.S_ISREG(path.lstat().st_mode):
            return "no file"
        with os.fdopen(os.open(path, flags), "rb") as file:
            most = min(FILE_MAX_BYTES, room_bytes)
            if os.fstat(file.fileno()).st_size > most:
                return "too large"
            data = file.read(most + 1)
            return data if len(data) <= most else "too large"
    except OSError:
        return "unreadable"
