# SPDX-License-Identifier: MIT
"""`earlid VERB ...`: finds the verb, runs it, turns its errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from functools import partial

from earlid import verbs
from earlid.door import plain
from earlid.errors import FAILED, INTERRUPTED, USAGE, UserError

ERROR_MAX = 4000  # characters: it may list many ports or boards

# In the order in which a newcomer needs them; verbs that are not named here follow by the alphabet.
FIRST = ("demo", "list", "flash", "doctor", "calibrate", "watch", "review", "safe")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata  # takes longer to load than a verb does

        print(f"earlid {metadata.version('earlid')}")
        parser.exit()


def _names() -> list[str]:
    modules = [name.removesuffix(".py") for name in os.listdir(verbs.__path__[0]) if name.endswith(".py")]
    names = sorted(name for name in modules if name != "__init__")
    return [*FIRST, *(name for name in names if name not in FIRST)]


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="earlid",
        description="A lid for a microphone's power, and a receipt for every second it was open.",
        epilog="Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, 4 ledger broken or gaps, "
        "5 watch can no longer collect, 129 terminal gone, 130 interrupted. Without a board: `earlid demo`.",
        formatter_class=partial(argparse.HelpFormatter, max_help_position=16),
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which version this is")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog="earlid")
    every = _names()
    # Only the verb asked for is imported: a verb should start at once.
    for name in [words[0]] if words and words[0] in every else every:
        importlib.import_module(f"earlid.verbs.{name}").add(subparsers)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    args, unknown = parser.parse_known_args(words)
    if unknown:
        subparsers.choices[args.verb].error(f"not understood: {' '.join(unknown)}")  # with the verb's own usage
    return args


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after `earlid`; those of the process when None.

    Returns:
        The exit code: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, 4 ledger broken or gaps,
        5 watch can no longer collect, 129 terminal gone, 130 interrupted.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed; else `print` takes the one for the other
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (to the end)
    args = _parse(sys.argv[1:] if argv is None else argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal of few letters is no reason to fail
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"earlid: {plain(error, ERROR_MAX)}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("earlid: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()  # its reader left (`| head`)
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            _discard_output()
            print(f"earlid: the output cannot be written: {error.strerror}. Write it where there is room.", file=sys.stderr)
            return FAILED
        if (damage := _damage_of_ledger(args)) is None:
            raise
        print(f"earlid: {damage}", file=sys.stderr)
        return damage.code


def _damage_of_ledger(args: argparse.Namespace) -> UserError | None:
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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
