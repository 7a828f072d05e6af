# SPDX-License-Identifier: MIT
"""`SHA256SUMS` of a release: written, read, and held against the hashes of the files that are there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from earlid.door import plain

SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}")  # no folder, no `..`, nothing that a shell or a terminal would act on
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class Finding(NamedTuple):
    """What does not hold: the file that it is about (none: the release as a whole), a word for programs, a sentence."""

    file: str | None
    verdict: str
    say: str


def write(hashes: Mapping[str, str]) -> str:
    """The text over files, name -> SHA-256 in hex; `sha256sum --check` reads it too."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def parse(data: bytes) -> tuple[dict[str, str], list[Finding]]:
    """Name -> SHA-256 in hex, and what in the text is no such line: it is told, and stands in no verdict of a file."""
    hashes: dict[str, str] = {}
    findings = []
    text = data.decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n")[:-1] if text.endswith("\n") else text.split("\n"), 1):
        match = _LINE.fullmatch(line)
        if not match:
            findings.append(Finding(SUMS, "malformed", f"line {number} is no SHA-256 and name: {plain(line, 80)!r}"))
        elif not NAME.fullmatch(match[2]):
            findings.append(Finding(SUMS, "path", f"line {number} names what is no plain file name: {plain(match[2], 80)!r}"))
        elif match[2] in (SUMS, SIGNATURE) or match[2] in hashes:
            findings.append(Finding(SUMS, "malformed", f"line {number} names {match[2]}, which it cannot, or twice"))
        else:
            hashes[match[2]] = match[1]
    return hashes, findings


def compare(said: Mapping[str, str], found: Mapping[str, str]) -> list[Finding]:
    """What `SHA256SUMS` says against what lies in the folder; both name -> SHA-256 in hex."""
    owner = {digest: name for name, digest in said.items()}
    findings = []
    for name in sorted({*said, *found}):
        if name not in found:
            findings.append(Finding(name, "missing", f"{name} is in {SUMS}, and not in the folder"))
        elif name not in said:
            findings.append(Finding(name, "added", f"{name} is in the folder, and not in {SUMS}"))
        elif said[name] != found[name] and (other := owner.get(found[name])):
            findings.append(Finding(name, "swapped", f"{name} holds the bytes of {other}"))
        elif said[name] != found[name]:
            findings.append(Finding(name, "altered", f"{name} is not what {SUMS} says: {found[name]}"))
    return findings
