# SPDX-License-Identifier: MIT
"""Database errors as sentences for people, each with what to do and an exit code."""

from __future__ import annotations

from earlid.errors import FAILED, LEDGER_BROKEN, USAGE, UserError
from earlid.ledger.location import other_owner

_DAMAGED = (
    "the ledger {where} is damaged ({detail}). Copy it away, let `earlid watch --ledger NEW.sqlite` fetch again what the "
    "board still has, and try `sqlite3 {where} .recover` for the rest."
)
# (part of the database's message, ours, exit code). The first that fits counts. A PostgreSQL may speak any language, so
# what it says is also known by its SQLSTATE (PostgreSQL manual, appendix A).
_NOT_A_LEDGER = "{where} is not an Earlid ledger. Name another one with --ledger; a database of its own, on a server."
_MEANINGS = (
    (
        ("disk is full", "no space left", "sqlstate 53100"),
        "the disk that holds the ledger {where} is full. Nothing acknowledged is lost: the board keeps what was not "
        "stored. Free some space, then start again.",
        FAILED,
    ),
    (  # a quota or a limit of file sizes (EDQUOT, EFBIG) comes as these, not as a full disk
        ("sqlite_ioerr_write", "sqlite_ioerr_fsync", "sqlite_ioerr_dir_fsync", "sqlite_ioerr_truncate", "sqlite_ioerr_shmsize"),
        "the disk that holds the ledger {where} refused a write ({detail}): a quota, a limit of file sizes, or a failing "
        "disk. Nothing acknowledged is lost: the board keeps what was not stored. See to the disk, then start again.",
        FAILED,
    ),
    (
        ("readonly database", "read-only", "attempt to write", "permission denied", "sqlstate 25006", "sqlstate 42501"),
        "the ledger {where} cannot be written: its disk or file is read-only. `review` and `verify` still work; to "
        "collect records choose another file with --ledger.",
        FAILED,
    ),
    (
        ("database is locked", "database table is locked", "sqlstate 55p03"),
        "another program has held the ledger {where} for too long. Wait for it or stop it, then try again.",
        FAILED,
    ),
    (
        ("not a database", "no such table: meta", "sqlstate 42p01"),
        _NOT_A_LEDGER,
        USAGE,
    ),
    (
        (
            "malformed",
            "disk i/o error",
            "corrupt",
            "no such table",
            "no such column",
            "has no column",
            "could not decode",
            "datatype mismatch",
            "constraint failed",
            "does not match any primary key",
            "wrong type",
            "integer overflow",
            "sqlstate xx001",
            "sqlstate xx002",
            "sqlstate 42703",
        ),
        _DAMAGED,
        LEDGER_BROKEN,
    ),
    (("unable to open",), "cannot open the ledger {where}: does its folder exist, and may you write there?", USAGE),
    (
        (
            "connection failed",
            "connection refused",
            "could not connect",
            "failed to resolve",
            "timeout expired",
            "server closed the connection",
            "sqlstate 08",
            "sqlstate 57p",
            "connection is lost",
            "the connection is closed",
        ),
        "no database answers at {where}: {detail}. Start it, or name another ledger with --ledger.",
        FAILED,
    ),
)
_NOT_YOURS = ("permission denied", "unable to open", "readonly database")


def not_a_ledger(where: object) -> UserError:
    """The UserError for a database with other tables than a ledger's."""
    return UserError(_NOT_A_LEDGER.format(where=where), USAGE)


def damaged(where: object, detail: str) -> UserError:
    """The UserError for a ledger in which something stands that no program wrote."""
    return UserError(_DAMAGED.format(where=where, detail=detail), LEDGER_BROKEN)


def explain(error: BaseException, where: object) -> UserError:
    """The UserError for what a database driver raised, about the ledger at `where`."""
    cause = getattr(error, "orig", None) or error  # the driver's words, without our statement and its values
    from earlid.extras import missing  # where something is wrong; else no verb needs it

    if isinstance(cause, ImportError) and (lacking := missing(cause.name)):
        return lacking
    # Where SQLite's words quote damaged text, Python's own module cannot read them.
    message = cause.object.decode(errors="replace") if isinstance(cause, UnicodeDecodeError) else str(cause)
    detail = (message.strip() or type(cause).__name__).splitlines()[0]
    searched = f"{message} {getattr(cause, 'sqlite_errorname', '')} sqlstate {getattr(cause, 'sqlstate', None)}".lower()
    path = getattr(where, "path", None)
    if path and any(word in searched for word in _NOT_YOURS) and (owner := other_owner(path)):
        return UserError(f"the ledger {where} belongs to {owner}: run earlid as {owner}, or name your own with --ledger.", USAGE)
    for words, meaning, code in _MEANINGS:
        if any(word in searched for word in words):
            return UserError(meaning.format(where=where, detail=detail), code)
    return UserError(f"the ledger {where} failed: {detail}", FAILED)
