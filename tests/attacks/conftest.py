# SPDX-License-Identifier: MIT
"""Fixtures: a small ledger of two boards with all that a host adds to it, the attacker's hands, and `earlid` in process."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from earlid.cli import main
from earlid.ledger.keys import save_key
from earlid.ledger.location import Location, locate
from earlid.ledger.store import Ledger
from lid import record

from tests.ledger.synthetic_chains import BOARD as KITCHEN
from tests.ledger.synthetic_chains import KEY, fields, seal_all

STUDY = "8899aabbccddeeff"
STUDY_KEY = bytes(range(32, 64))
DAYS = ("2026-11-17", "2026-11-20")  # the first and the last with records; 12 openings a day, from 08:00 on
STEP_MS = 3_600_000
LIVE_MS = 8000


class Said(NamedTuple):
    """What a run of `earlid` left."""

    code: int
    out: str
    err: str


class Home(NamedTuple):
    """A ledger of two boards: the kitchen's (paired, first day purged, labels, a name) and the study's (neither)."""

    location: Location
    slots: dict[str, list[bytes]]  # board -> every record it ever sealed

    @property
    def path(self) -> Path:
        assert self.location.path is not None
        return self.location.path

    def forge(self, sql: str, *values: Any) -> int:
        """Change the file as an attacker would, who has neither the boards' keys nor this computer's; rows changed."""
        connection = sqlite3.connect(self.path)
        with connection:
            count = connection.execute(sql, values).rowcount
        connection.close()
        return count

    def look(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        connection = sqlite3.connect(self.path)
        found = connection.execute(sql, values).fetchall()
        connection.close()
        return found


def openings(board: str, key: bytes, day: str, *, boot: int = 1, first: int = 1, prev: bytes | None = None) -> list[bytes]:
    """A start and 12 openings by word, an hour apart from 08:00 on, each live for 8 s."""
    zero_ms = int(datetime.fromisoformat(f"{day}T08:00").timestamp() * 1000)
    rows = [("boot", "power-on", 0, {"a": 256})]
    for i in range(12):
        rows.append(("open", "word", 1000 + i * STEP_MS, {"score": 230, "a": 80, "b": 200}))
        rows.append(("close", "silence", 1000 + i * STEP_MS + LIVE_MS, {"a": LIVE_MS, "b": 12}))
    clock = {"flags": record.CLOCK_SET, "unc_ms": 60, "boot": boot}
    made = [
        fields(first + i, ms, event, reason, wall_ms=zero_ms + ms, **clock, **others)
        for i, (event, reason, ms, others) in enumerate(rows)
    ]
    return seal_all(made, board, key, prev)


@pytest.fixture(autouse=True)
def zone(berlin: None) -> None:
    """Every attack happens in Berlin."""


@pytest.fixture(scope="session")
def first_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The ledger before any attack, of which every test has a copy; this computer's keys and heads are in `data` beside it."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARLID_DATA_DIR", str(folder / "data"))
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        made = _make_home(folder)
    time.tzset()
    return made


def _make_home(folder: Path) -> Home:
    location = locate(str(folder / "ledger.sqlite"))
    slots: dict[str, list[bytes]] = {KITCHEN: [], STUDY: []}
    save_key(KITCHEN, KEY)
    with Ledger(location) as ledger:
        for board, key in ((KITCHEN, KEY), (STUDY, STUDY_KEY)):
            for boot in range(1, 5):
                day = f"2026-11-{16 + boot}"
                known = slots[board]
                fresh = openings(board, key, day, boot=boot, first=len(known) + 1, prev=known[-1][40:52] if known else None)
                zero_ms = int(datetime.fromisoformat(f"{day}T08:00").timestamp() * 1000)
                ledger.add(board, fresh, zero_ms + 14 * STEP_MS)
                ledger.add_clock_point(board, boot, 14 * STEP_MS, zero_ms + 14 * STEP_MS, 60)
                known += fresh
        ledger.set_name(KITCHEN, "kitchen")
        ledger.set_label(KITCHEN, 3, 52, True)
        ledger.set_label(KITCHEN, 3, 54, False)
        ledger.add_note(STUDY, "older", "the board's journal ends at 20, the ledger has records up to 25")
        ledger.set_retention("12 months")
    where = ["--ledger", str(location.path)]
    assert main(["purge", "--between", DAYS[0], DAYS[0], "--board", "kitchen", "--yes", *where]) == 0
    return Home(location, slots)


@pytest.fixture
def home(first_home: Home, tmp_path: Path) -> Home:
    """The ledger before the attack."""
    before = first_home.path.parent
    shutil.copytree(before, tmp_path, dirs_exist_ok=True)
    for head in (tmp_path / "data" / "heads").iterdir():  # they say where their ledger is
        head.write_text(head.read_text().replace(str(before.resolve()), str(tmp_path.resolve())))
    return Home(locate(str(tmp_path / "ledger.sqlite")), {board: list(known) for board, known in first_home.slots.items()})


@pytest.fixture
def say(home, capsys) -> Callable[..., Said]:
    """Runs `earlid` on that ledger, in this process; what it printed until then is dropped."""

    def run(*words: str, ledger: bool = True) -> Said:
        capsys.readouterr()
        try:
            code = main([*words, *(("--ledger", str(home.path)) if ledger else ())])
        except SystemExit as end:
            code = int(end.code or 0)
        return Said(code, *capsys.readouterr())

    return run
