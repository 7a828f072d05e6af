# SPDX-License-Identifier: MIT
"""Cache of results on disk, an append-only file of JSON lines: an interrupted evaluation resumes from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from earlid.errors import USAGE, UserError
from earlid.files import check_output


class ResultCache:
    """Results by their task's key, and digests of files. One process writes; a line cut short by a crash is dropped.

    Args:
        path: the file; made, with its folder, when it is not there.

    Raises:
        UserError: the file cannot be opened, is something else, or another process is writing to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._results: dict[str, dict[str, Any]] = {}
        self._digests: dict[tuple[str, int, int], str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if check_output(path):
                raise UserError(f"{path} is no file; choose another place with --out", USAGE)
            self._file = path.open("a+b")
        except OSError as error:
            raise UserError(f"{path}: {error.strerror or error}; choose another place with --out", USAGE) from error
        self._lock()
        self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # Windows: nobody guards against a second run there
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise UserError(f"{self._path}: another evaluation is writing here; wait for it, or use --out", USAGE) from error

    def _load(self) -> None:
        self._file.seek(0)
        if self._file.read(1) not in (b"", b"{"):
            self._file.close()
            raise UserError(f"{self._path} holds no state of an evaluation; choose another place with --out", USAGE)
        self._file.seek(0)
        complete_bytes = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            complete_bytes += len(line)
            try:
                entry = json.loads(line)
                if "digest" in entry:
                    self._digests[entry["path"], entry["size"], entry["mtime_ns"]] = entry["digest"]
                else:
                    self._results[entry["key"]] = entry
            except (ValueError, RecursionError, KeyError, TypeError):  # damaged: it is measured again
                continue
        self._file.truncate(complete_bytes)

    def get(self, key: str) -> dict[str, Any] | None:
        """The result of a task, or None."""
        return self._results.get(key)

    def keys(self) -> frozenset[str]:
        """The keys of all results."""
        return frozenset(self._results)

    def put(self, result: dict[str, Any]) -> bool:
        """Keep a result; False when there is one of its key already: the first one stays."""
        if result["key"] in self._results:
            return False
        self._append(result)
        self._results[result["key"]] = result
        return True

    def digest_of(self, path: str, size: int, mtime_ns: int) -> str | None:
        """The digest of a file that has not changed since, or None."""
        return self._digests.get((path, size, mtime_ns))

    def store_digest(self, path: str, size: int, mtime_ns: int, digest: str) -> None:
        """Keep a file's digest."""
        self._digests[path, size, mtime_ns] = digest
        self._append({"path": path, "size": size, "mtime_ns": mtime_ns, "digest": digest})

    def _append(self, entry: dict[str, Any]) -> None:
        # One write of one whole line, in the kernel's hands when it returns
        os.write(self._file.fileno(), json.dumps(entry, separators=(",", ":")).encode() + b"\n")
