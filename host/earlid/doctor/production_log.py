# SPDX-License-Identifier: MIT
"""The production test's CSV: one row a board, appended, never written over; of two writers one waits."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from earlid.doctor.check_sheet import FIGURES, SKIPPED, CheckSheet
from earlid.door import cell
from earlid.errors import USAGE, UserError

COLUMNS = ("began", "board", "firmware", "earlid", "result", "findings", "skipped", *(name for name, _, _ in FIGURES))


def verdict(sheet: CheckSheet) -> str:
    """One line for people: the result, the board, and what was found."""
    found = " ".join(finding.key for finding in sheet.findings) or " ".join(c.key for c in sheet.checks if c.outcome == "failed")
    figures = " ".join(f"{name}={sheet.figures[name]}" for name in ("drop1_ms", "drop2_most_ms", "rail1_mv", "rail2_mv")
                       if name in sheet.figures)  # fmt: skip
    return " ".join(word for word in ("PASS" if sheet.result == "passed" else "FAIL", sheet.board or "?", found, figures) if word)


def append(path: Path, sheet: CheckSheet) -> None:
    """Append a board's row; a new file gets the header first.

    Raises:
        UserError: code 2 when the file cannot be written, or holds another table.
    """
    row = (
        sheet.began, sheet.board, sheet.firmware, sheet.tool, sheet.result, " ".join(f.key for f in sheet.findings),
        " ".join(check.key for check in sheet.checks if check.outcome == SKIPPED),
        *(str(sheet.figures.get(name, "")) for name, _, _ in FIGURES),
    )  # fmt: skip
    try:
        with path.open("ab+") as file, _locked(file):
            file.seek(0)
            head = file.readline()
            if head and head != _line(COLUMNS):
                raise UserError(f"{path} holds another table: name a new file with --csv.", USAGE)
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
            torn = bool(size) and file.read(1) != b"\n"  # a row that a power cut ended
            file.write((b"\n" if torn else b"") + (b"" if size else _line(COLUMNS)) + _line(map(cell, row)))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}. Name another file with --csv.", USAGE) from error


def _line(values: Iterator[str] | tuple[str, ...]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Waits until nobody else appends; the lock goes with the file, however this program ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
