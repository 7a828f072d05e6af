# SPDX-License-Identifier: MIT
"""Usage of the command line: parses its words, loads only the verb that is asked for, and knows what was likely meant."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Any, NoReturn

from earlid.errors import USAGE
from earlid.verbs import HELP

# Words that people try, and why there is no such verb.
WHY_NOT = {
    "open": "no verb opens a lid: only your word or the talk button at the board does, and no message of the host's.",
    "unmute": "no verb un-mutes: the mute switch is a contact at the board, and only a hand there releases it.",
    "mute": "no verb mutes: the mute switch is a contact at the board. `earlid safe` closes every lid.",
    "close": "`earlid safe` closes every lid.",
    "record": "no verb records what a board hears: no sound leaves it. `earlid model record` is for takes of your own word, "
    "with this computer's microphone; `earlid watch` collects receipts.",
}
SAME = {"un-mute": "unmute", "listen": "open", "shut": "close"}
EPILOG = (
    "`earlid help VERB` says more of one. Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 no board or port busy, "
    "4 ledger broken or gaps, 5 watch can no longer collect, 129 terminal gone, 130 interrupted. Without a board: `earlid demo`."
)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata  # takes longer to load than a verb does

        print(f"earlid {metadata.version('earlid')}")
        parser.exit()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            message += likely(wrong[1], re.findall(r"[\w-]+", wrong[2]))
        super().error(message)

    def _get_formatter(self) -> argparse.HelpFormatter:
        return self.formatter_class(prog=self.prog, width=_columns() - 2)  # type: ignore[call-arg]


def _columns() -> int:
    """The terminal's width; argparse's own way loads `shutil`, a tenth of a verb's start."""
    try:
        said = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        said = 0
    try:
        return said if said > 0 else os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


class _Verbs:
    """What a verb's `add` gets: its line of help stands in `verbs.HELP`."""

    def __init__(self, subparsers: argparse._SubParsersAction[Any]) -> None:
        self._subparsers = subparsers

    def add_parser(self, name: str, **arguments: Any) -> Any:
        return self._subparsers.add_parser(name, help=HELP[name], **arguments)


def _formatter(prog: str, width: int) -> argparse.HelpFormatter:
    formatter = argparse.HelpFormatter(prog, max_help_position=20, width=width)
    formatter._action_max_length = 18  # it does not count how far verbs are indented
    return formatter


def likely(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` behind a word that is not known; empty when none is near."""
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(word, list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def make_parser(verbs: Collection[str]) -> argparse.ArgumentParser:
    """The parser of these verbs; without any, one that knows no more than the name and the help of each."""
    parser = _Parser(
        prog="earlid",
        description="A lid for a microphone's power, and a receipt for every second it was open.",
        epilog=EPILOG,
        formatter_class=_formatter,  # type: ignore[arg-type]
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="say which version this is")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True, prog="earlid")
    for name in verbs:
        importlib.import_module(f"earlid.verbs.{name.replace('-', '_')}").add(_Verbs(subparsers))
    if not verbs:
        for name, text in HELP.items():
            subparsers.add_parser(name, help=text, add_help=False)
    for each in (parser, *(part for name in verbs for part in _parts(subparsers.choices[name]))):
        group = each.add_argument_group("everywhere")
        group.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say what is done, on stderr")
        group.add_argument("--trace", action="store_true", default=argparse.SUPPRESS, help="and every line of the wire")
    return parser


def _parts(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those below it, as of `model list`."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in dict.fromkeys(action.choices.values()):
                yield from _parts(part)


def parse(words: list[str]) -> argparse.Namespace:
    """The words after `earlid`, understood: `run` is the verb's function. SystemExit where they are wrong or ask for help."""
    place, verb = next(((at, word) for at, word in enumerate(words) if not word.startswith("-")), (0, ""))
    if verb == "help":
        words = [*words[:place], *words[place + 1 :][:1], "--help"]
        verb = words[place] if words[place] in HELP else "" if words[place] == "--help" else words[place]
    parser = make_parser([verb] if verb in HELP else [])
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(USAGE)
    if verb and verb not in HELP:
        why = WHY_NOT.get(SAME.get(verb, verb))
        parser.error(why or f"no verb {verb!r}{likely(verb, [*HELP, *WHY_NOT]) or ': `earlid --help` lists them'}")
    args, unknown = parser.parse_known_args(words)
    if unknown:
        (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        mine = verbs.choices[args.verb]
        options = {option for part in _parts(mine) for option in part._option_string_actions}
        mine.error(f"not understood: {' '.join(unknown)}{likely(unknown[0].partition('=')[0], options)}")
    return args
