"""Ledgers in temporary files and on a PostgreSQL started for the tests, and boards that never existed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "link"))  # fake_board

BOARD = "00112233aabbccdd"


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path, monkeypatch):
    """No test may touch the real ledger or keys."""
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / "data"))
    for name in ("EARLID_LEDGER", "EARLID_PORT", "ESPTOOL_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def berlin(monkeypatch):
    """Europe/Berlin: a time zone with daylight saving."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _server_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL that lives as long as the tests, listening on a socket file only."""
    pytest.importorskip("psycopg")
    programs = _server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL here (apt-get install postgresql)")
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if subprocess.run(["id", "postgres"], capture_output=True).returncode:
            pytest.skip("no user `postgres` to run the server as")
        as_user = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="earlid-pg-", dir="/tmp"))
    if as_user:
        shutil.chown(folder, "postgres")
    data = folder / "data"
    quiet = {"check": True, "capture_output": True, "cwd": "/"}
    subprocess.run(
        [*as_user, str(programs / "initdb"), "-D", str(data), "-U", "earlid", "-A", "trust", "--no-sync", "-E", "UTF8"],
        **quiet,
    )
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c shared_buffers=16MB"
    control = [*as_user, str(programs / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options]
    subprocess.run([*control, "start"], **quiet)
    try:
        yield f"postgresql+psycopg://earlid@/%s?host={folder}"
    finally:
        subprocess.run([*as_user, str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request, tmp_path):
    """A ledger that does not exist yet, on either database."""
    from earlid.ledger.location import locate

    if request.param == "sqlite":
        return locate(str(tmp_path / "ledger.sqlite"))
    import sqlalchemy as sa

    server = request.getfixturevalue("postgres_server")
    name = f"ledger_{random.randrange(1 << 62)}"
    engine = sa.create_engine(server % "postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return locate(server % name)


@pytest.fixture
def sqlite_location(tmp_path):
    """A ledger file that does not exist yet."""
    from earlid.ledger.location import locate

    return locate(str(tmp_path / "ledger.sqlite"))
