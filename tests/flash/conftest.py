# SPDX-License-Identifier: MIT
"""What holds for every test here: no real board, no socket of other tests, a terminal of no particular kind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from earlid.board import detect
from earlid.board.port import open_port
from earlid.flash import provision, repl


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's relays listen: a short path, which a socket needs."""
    for name in ("EARLID_PORT", "ESPTOOL_PORT", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="earlid-") as folder:
        monkeypatch.setenv("EARLID_RUNTIME", folder)
        yield Path(folder)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For ports where somebody will answer, on a slow machine late."""
    monkeypatch.setattr(detect.probe, "__defaults__", (open_port, 60.0, True))
    monkeypatch.setattr(provision, "LOOK_S", 60.0)
    monkeypatch.setattr(repl, "REPL_TIMEOUT_S", 60.0)
