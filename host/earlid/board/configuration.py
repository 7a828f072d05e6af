# SPDX-License-Identifier: MIT
"""Configuration: changes a board's settings, or brings the earlier ones back, and reads back that it has them."""

from __future__ import annotations

from collections.abc import Mapping

from lid import config

from earlid.board.consent import Say, print_announcement, request_with_consent
from earlid.board.link import Link
from earlid.errors import FAILED, USAGE, UserError


def changes_text(changes: Mapping[str, int], current: Mapping[str, int]) -> str:
    """What settings change, a line each: `name: before -> after`."""
    return "\n".join(f"  {name}: {current.get(name)} -> {value}" for name, value in changes.items())


def write_config(link: Link, settings: dict[str, int], again: str, say: Say = print_announcement) -> str:
    """Write settings; the board keeps its old ones for `roll_back`. What only tightens needs no consent once paired.

    Args:
        link: the board, of protocol version 2.
        settings: those to change.
        again: the command to run again when nobody consents.
        say: takes the announcement.

    Returns:
        The new configuration's digest, 8 hex digits.

    Raises:
        UserError: a setting that there is not or out of range; nobody consented; or the board does not have what was written.
    """
    current = link.request("config-get")["config"]
    try:
        # a board of before has more
        config.check({name: value for name, value in current.items() if name not in config.GONE} | settings)
    except ValueError as error:
        raise UserError(str(error), USAGE) from None
    what = "These settings are to change:\n" + changes_text(settings, current)
    digest = str(request_with_consent(link, "config-set", what=what, again=again, say=say, config=settings)["digest"])
    result = link.request("config-get")
    if any(result["config"].get(name) != value for name, value in settings.items()):
        raise UserError("the board does not have the settings that were written; run `earlid doctor`.", FAILED)
    return digest


def roll_back(link: Link, again: str, say: Say = print_announcement) -> str:
    """Bring back the settings before the last change.

    Args:
        link, again, say: as of `write_config`.

    Returns:
        The digest of the configuration that is in force again.

    Raises:
        UserError: nobody consented.
        BoardRefused: there is no earlier configuration.
    """
    what = "The settings before the last change are to come back."
    return str(request_with_consent(link, "config-rollback", what=what, again=again, say=say)["digest"])
