# SPDX-License-Identifier: MIT
"""`earlid VERB ...`: finds the verb, runs it, turns its errors into a sentence and an exit code."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # of `typing`: nothing is loaded before `main` can answer a Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from earlid.errors import UserError

if sys.excepthook is sys.__excepthook__:  # for the lines of the script around `program`: Python's own way, without its traceback
    sys.excepthook = lambda kind, *more: None if kind is KeyboardInterrupt else sys.__excepthook__(kind, *more)

ERROR_MAX = 4000  # characters: it may list many ports or boards


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after `earlid`; those of the process when None.

    Returns:
        The exit code: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, 4 ledger broken or gaps,
        5 watch can no longer collect, 129 terminal gone, 130 interrupted.
    """
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # also while something is being imported
        print("earlid: interrupted", file=sys.stderr)
        return 130  # `errors.INTERRUPTED`, which may not be loaded yet


def _run(words: list[str]) -> int:
    import os

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed; else `print` takes the one for the other
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (to the end)
    from earlid import log, usage
    from earlid.errors import UserError

    args = usage.parse(words)
    log.set_level(getattr(args, "verbose", False), getattr(args, "trace", False))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of few letters is no reason to fail
    try:
        log.info(f"Python {sys.version.split()[0]} on {sys.platform}: earlid {args.verb}")
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        return _say(error)
    except BrokenPipeError:
        _discard_output()  # its reader left (`| head`)
        return 0
    except Exception as error:
        return _explain(error, args)


def _explain(error: Exception, args: Any) -> int:
    """The exit code of an error that is no UserError, once it is said what lies behind it; raises it where nothing is known."""
    import errno

    from earlid import extras
    from earlid.errors import FAILED

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        _discard_output()
        print(f"earlid: the output cannot be written: {error.strerror}. Write it where there is room.", file=sys.stderr)
        return FAILED
    if isinstance(error, ModuleNotFoundError) and (lacking := extras.missing(error.name, args.verb)):
        return _say(lacking)
    if (damage := _damage_of_ledger(args)) is None:
        raise error
    return _say(damage)


def _say(error: UserError) -> int:
    from earlid.door import plain

    print(f"earlid: {plain(error, ERROR_MAX)}", file=sys.stderr)
    return error.code


def _damage_of_ledger(args: Any) -> UserError | None:
    """What is damaged in the ledger that a verb worked on: whatever it stumbled over then is no fault of the verb's."""
    if not hasattr(args, "ledger"):
        return None
    from earlid.ledger.damage import find_damage
    from earlid.ledger.db_errors import damaged
    from earlid.ledger.location import locate
    from earlid.ledger.reader import Reader

    try:
        with Reader(locate(args.ledger)) as reader:
            text = find_damage(reader)
    except UserError as error:
        return error
    return damaged(reader.location, text) if text else None


def _discard_output() -> None:
    """Python would write the rest at exit, and complain once more."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def program() -> None:
    """Run the verb of the process's words, and end the process with its code."""
    code = main()
    import _signal as signal  # type: ignore[import-not-found] # `signal` makes enumerations of it, which takes a millisecond

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python cleans up: a Ctrl-C then ends it without a word
    sys.exit(code)


if __name__ == "__main__":
    program()
