"""`earlid VERB ...`: finds the verb, runs it, turns its errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys

from earlid import verbs
from earlid.errors import INTERRUPTED, UserError


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earlid",
        description="A lid for a microphone's power, and a receipt for every second it was open.",
        epilog="Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, 4 ledger broken or gaps.",
    )
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in names:
        importlib.import_module(f"earlid.verbs.{name}").add(subparsers)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: the words after `earlid`; those of the process when None.

    Returns:
        The exit code: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, 4 ledger broken or gaps,
        130 interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    every = sorted(module.name for module in pkgutil.iter_modules(verbs.__path__))
    # Only the verb asked for is imported: a verb should start at once.
    wanted = [words[0]] if words and words[0] in every else every
    args = _parser(wanted).parse_args(words)
    try:
        return args.run(args)
    except UserError as error:
        print(f"earlid: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("earlid: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
