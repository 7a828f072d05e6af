"""What holds for every test here: no real board, no socket of other tests, a terminal of no particular kind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's relays listen: a short path, which a socket needs."""
    for name in ("EARLID_PORT", "ESPTOOL_PORT", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="earlid-") as folder:
        monkeypatch.setenv("EARLID_RUNTIME", folder)
        yield Path(folder)
