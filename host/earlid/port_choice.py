# SPDX-License-Identifier: MIT
"""Port choice: which port a person means by a device, a link to it, a URL, a board's name or the beginning of its identifier."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from earlid.board import port
from earlid.board.port_names import URLS, is_url, real_name
from earlid.config_file import get
from earlid.config_keys import PORT
from earlid.door import plain
from earlid.errors import NO_BOARD, USAGE, UserError

_DEVICE = re.compile(r"com\d+|tty\w+|cu\..*|.*[/\\].*", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[0-9a-f]{3,16}")


def named_port(argument: str | None, lenient: bool = False) -> str | None:
    """The port that the user named: the argument, else EARLID_PORT, ESPTOOL_PORT or the configured one; None when none is.

    Args:
        argument: a device, a link to one, a URL, the name of a board or the beginning of its identifier.
        lenient: as of `config_file.find`.

    Raises:
        UserError: code 2 for a URL of a kind that is not known, or a word that several boards fit; code 3 when the board that
            is meant is not plugged in.
    """
    word = get(PORT, argument, lenient)
    return resolve(word, lenient) if word else None


def resolve(word: str, lenient: bool = False) -> str:
    """The port of one word; as `named_port`."""
    if "://" in word and not is_url(word):
        raise UserError(f"{plain(word)} is no port: of URLs, {' and '.join(URLS)} are known.", USAGE)
    if is_url(word) or _DEVICE.fullmatch(word) or os.path.exists(word):
        return word
    return _port_of_board(word, lenient)


def _port_of_board(word: str, lenient: bool) -> str:
    from earlid.board import detect  # where ports are asked; most are named

    meant = _identifiers(word)
    results = [one for one in detect.probe_all(detect.describe_ports(port.candidate_ports(lenient))) if one.board]
    fitting = [one for one in results if any(one.board.startswith(text) for text in meant)]
    if len(fitting) == 1:
        return fitting[0].port
    listed = ", ".join(f"{one.board} ({one.port})" for one in fitting or results)
    if fitting:
        raise UserError(f"several boards are {plain(word)!r}: {listed}. Name more of it, or a port.", USAGE)
    there = f"There is {listed}: name that, or a port." if listed else "No other answers: name a port, or see `earlid list`."
    raise UserError(f"no board {plain(word)!r} is plugged in. {there}", NO_BOARD)


def _identifiers(word: str) -> Sequence[str]:
    """How the identifiers of the boards begin that a word can mean: by the names of the default ledger, and by itself."""
    from earlid.ledger.boards import pick_boards  # a ledger takes longer to load than most verbs, and few name a board so
    from earlid.ledger.location import locate
    from earlid.ledger.reader import Reader

    itself = [word.lower()] if _IDENTIFIER.fullmatch(word.lower()) else []
    try:
        location = locate(None)
        if location.path is not None and not location.path.is_file():
            return itself
        with Reader(location) as reader:
            return [board.identifier for board in pick_boards(reader, [word])]
    except UserError:  # no ledger here, or none that knows it: perhaps it was never collected from
        return itself


def pick_port(argument: str | None) -> str:
    """The port to use: the one that is named, or that of the only board there is.

    Raises:
        UserError: code 3 when no board is found, code 2 with the list when there are several; and as `named_port`.
    """
    if named := named_port(argument):
        return named
    ports = port.candidate_ports()
    if not ports:
        raise UserError("no board found. Plug one in with a data cable, or name its port with -p.", NO_BOARD)
    if len(ports) > 1:
        listed = ", ".join(f"{one.device} ({one.description}, {one.serial_number or 'no serial'})" for one in ports)
        raise UserError(f"several boards: {listed}. Choose one with -p PORT.", USAGE)
    return str(ports[0].device)


def ports_to_close(argument: str | None) -> list[str]:
    """The ports at which lids are to be closed: the one that is named, else every one that may be a board and the configured one.

    A mistake in the configuration is no reason not to close a lid: what can be understood of it counts.
    """
    if argument:
        return [resolve(argument, lenient=True)]
    ports = [str(info.device) for info in port.candidate_ports(lenient=True)]
    try:
        named = named_port(None, lenient=True)
    except UserError:  # the configured board is not here, others are
        if not ports:
            raise
        return ports
    return ports if not named or real_name(named) in map(real_name, ports) else [*ports, named]
