# SPDX-License-Identifier: MIT
"""What all tests share: who may try twice, how properties are tried, and that no test meets a real board or its sockets.

Some tests hold a real browser, a terminal, or a board on a serial line to real time, beside whatever else the machine
does. When one of those fails it is tried once more, and the summary names it under RERUN: an unsteady test is a fault
to be mended, and does not hide one. What computes, and whatever an invariant of the design rests on (firmware, gate,
journal, circuit), has one try. `make test ARGS="-p no:rerunfailures"` gives one try to all.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.page import chromium

if TYPE_CHECKING:
    from earlid.ledger.location import Location

# Properties try the same examples every day, however slow the machine; a soak asks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
REAL_TIME_ATTACKS = {"test_collector.py", "test_identity.py", "test_outputs.py"}
IN_REAL_TIME = {"board", "calibrate", "collect", "demo", "evaluate", "flash", "page", "virtual", "web"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a second try to the tests of some folders."""
    if not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if item.path.parent.name in IN_REAL_TIME or (item.path.parent.name == "attacks" and item.path.name in REAL_TIME_ATTACKS):
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


@pytest.fixture(scope="session", autouse=True)
def heeded_signals() -> None:
    """What `nohup` or a shell in the background starts ignores these, and so would whatever the tests start."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def session_data_dir(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keys, ledgers and profiles of what is made for many tests: no test may touch the real ones, or heed a configuration."""
    os.environ["EARLID_CONFIG"] = os.devnull
    os.environ["EARLID_DATA_DIR"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def own_data_dir(session_data_dir: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's keys, ledgers and profiles."""
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this test's port proxies (a short path, which a socket needs); no ledger, port or terminal is given."""
    for name in ("EARLID_LEDGER", "EARLID_PORT", "ESPTOOL_PORT", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with tempfile.TemporaryDirectory(prefix="earlid-") as folder:
        monkeypatch.setenv("EARLID_RUNTIME", folder)
        yield Path(folder)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Europe/Berlin: a time zone with daylight saving."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def unknown_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this computer's clock is synchronised is not known, whatever computer it is."""
    from earlid import host_clock

    monkeypatch.setattr(host_clock, "sync_state", lambda: (None, 0))


@pytest.fixture
def sqlite_location(tmp_path: Path) -> Location:
    """A ledger file that does not exist yet."""
    from earlid.ledger.location import locate

    return locate(str(tmp_path / "ledger.sqlite"))


@pytest.fixture
def location(sqlite_location: Location) -> Location:
    """The same; in tests/ledger on either database."""
    return sqlite_location


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer waits, for ports where a slow machine will answer late."""
    from earlid.board import detect
    from earlid.board.port import open_port
    from earlid.flash import provision, repl

    monkeypatch.setattr(detect.probe, "__defaults__", (open_port, 60.0, True))
    monkeypatch.setattr(provision, "PROBE_S", 60.0)
    monkeypatch.setattr(repl, "REPL_TIMEOUT_S", 60.0)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all pages of a process, as Playwright allows; tests that need it are skipped where it is not."""
    pytest.importorskip("playwright")
    if not chromium.PROGRAM.exists():
        pytest.skip("no Chromium here (apt-get install chromium)")
    with chromium.browser() as started:
        yield started
