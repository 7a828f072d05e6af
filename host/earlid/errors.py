# SPDX-License-Identifier: MIT
"""The one error that people see: a sentence that says what to do next, and an exit code."""

FAILED = 1
USAGE = 2
NO_BOARD = 3
LEDGER_BROKEN = 4
NOT_COLLECTING = 5
HUNG_UP = 129
INTERRUPTED = 130


class UserError(Exception):
    """Ends a verb with `earlid: message` on stderr and an exit code (1 failed, 2 usage, 3 no board, 4 ledger, 5 `watch`)."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class Missing(UserError):
    """Recordings, a program or a package that this computer lacks; what can go on without them catches it."""
