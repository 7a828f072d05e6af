# SPDX-License-Identifier: MIT
"""Fixtures: ledgers in temporary files and on a PostgreSQL started for the tests."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

BOARD = "00112233aabbccdd"


@pytest.fixture
def stop_clock(berlin, monkeypatch):
    """Stops the clock of a module that asks `datetime.now()`, at a moment in Berlin."""

    def stop(module, moment):
        class Stopped(datetime):
            @classmethod
            def now(cls, tz=None):
                return moment

        monkeypatch.setattr(module, "datetime", Stopped)

    return stop


def _server_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


class Server:
    """A PostgreSQL of the tests' own, listening on a socket file only."""

    def __init__(self, programs: Path, as_user: list[str]) -> None:
        self._programs, self._as_user = programs, as_user
        self.folder = Path(tempfile.mkdtemp(prefix="earlid-pg-", dir="/tmp"))
        if as_user:
            shutil.chown(self.folder, "postgres")
        self.data = self.folder / "data"
        self._run("initdb", "-U", "earlid", "-A", "trust", "--no-sync", "-E", "UTF8")
        self.start()

    def _run(self, program: str, *words: str) -> None:
        command = [*self._as_user, str(self._programs / program), "-D", str(self.data), *words]
        # Its words are looked at: English ones. It may be slow.
        environment = os.environ | {"LC_ALL": "C", "PGCTLTIMEOUT": "600"}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", cwd="/", env=environment, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def crash(self) -> None:
        """All its processes end at once, without a checkpoint; then it recovers."""
        self._run("pg_ctl", "-m", "immediate", "stop")
        self.start()

    def end(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://earlid@/{database}?host={self.folder}"


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL that lives as long as the tests."""
    pytest.importorskip("psycopg")
    programs = _server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here (apt-get install postgresql)")
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("no user `postgres` to run the server as")
        as_user = ["runuser", "-u", "postgres", "--"]
    server = Server(programs, as_user)
    yield server
    server.end()


@pytest.fixture
def postgres_location(postgres_server):
    """A ledger that does not exist yet, on the server."""
    import sqlalchemy as sa
    from earlid.ledger.location import locate

    name = f"ledger_{secrets.token_hex(8)}"
    engine = sa.create_engine(postgres_server.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield locate(postgres_server.url(name))
    with engine.connect() as connection:  # all of them together are half a gigabyte
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request):
    """A ledger that does not exist yet, on either database."""
    return request.getfixturevalue("sqlite_location" if request.param == "sqlite" else "postgres_location")
