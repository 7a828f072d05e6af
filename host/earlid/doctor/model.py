# SPDX-License-Identifier: MIT
"""What `earlid doctor` judges from and what it finds: observations in, findings out. No input or output here.

A rule is a function of an `Observation` that returns the findings it sees. `port_rules` has the rules for the way from
this computer to the board, `board_rules` those for a board that answers; `diagnose` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from earlid.board.detect import ProbeResult

PROBLEM = "problem"
NOTICE = "notice"


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        key: its name, stable for scripts.
        port: where, or empty for this computer.
        seen: what was observed.
        means: what follows from it.
        do: what to do next.
        level: `problem` or `notice`.
    """

    key: str
    port: str
    seen: str
    means: str
    do: str
    level: str = PROBLEM

    def as_json(self) -> dict[str, str]:
        """For `--json` and the bundle."""
        return asdict(self)


@dataclass(frozen=True)
class System:
    """This computer: `sys.platform`, programs that meddle with serial ports, USB chips of boards that got no port."""

    platform: str
    meddlers: frozenset[str] = frozenset()
    usb_without_port: tuple[str, ...] = ()


@dataclass(frozen=True)
class Access:
    """Who may open a port: its group, whether this process is in it, and whether it would be after a new login."""

    group: str = ""
    allowed: bool = True
    after_login: bool = False


@dataclass(frozen=True)
class Port:
    """One port: what was seen there, who may open it."""

    sighting: ProbeResult
    access: Access = Access()


@dataclass(frozen=True)
class Examined:
    """A board that answers.

    Attributes:
        port: where.
        hello: its `hi`.
        records: its newest records as dicts of `lid.record.FIELDS`, oldest first.
        self_test: bits of a self-test made now, None when none was made.
        drop_ms: that self-test's drop time.
        telemetry: `tm` bodies of a second or more.
    """

    port: str
    hello: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...] = ()
    self_test: int | None = None
    drop_ms: int = 0
    telemetry: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Observation:
    """All that `earlid doctor` looked at."""

    system: System
    ports: tuple[Port, ...] = ()
    boards: tuple[Examined, ...] = field(default=())


Rule = Callable[[Observation], Iterable[Finding]]
