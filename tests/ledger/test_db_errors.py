# SPDX-License-Identifier: MIT
"""Database errors: recognised by SQLSTATE, whatever language the server speaks."""

from __future__ import annotations

import pytest
from earlid.errors import FAILED, LEDGER_BROKEN, USAGE
from earlid.ledger.db_errors import explain

errors = pytest.importorskip("psycopg").errors


@pytest.mark.parametrize(
    ("kind", "part", "code"),
    [
        (errors.DiskFull, "is full", FAILED),
        (errors.ReadOnlySqlTransaction, "cannot be written", FAILED),
        (errors.InsufficientPrivilege, "cannot be written", FAILED),
        (errors.LockNotAvailable, "another program", FAILED),
        (errors.UndefinedTable, "is not an Earlid ledger", USAGE),
        (errors.DataCorrupted, "is damaged", LEDGER_BROKEN),
        (errors.AdminShutdown, "no database answers", FAILED),
        (errors.ConnectionFailure, "no database answers", FAILED),
        (errors.DivisionByZero, "failed: Fehler", FAILED),
    ],
)
def test_server_errors_are_recognised_in_any_language(kind, part, code):
    output = explain(kind("Fehler: nichts geht mehr"), "the house's ledger")
    assert part in str(output)
    assert output.code == code
