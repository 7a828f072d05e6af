# SPDX-License-Identifier: MIT
"""Data model of `earlid doctor`: observations in, diagnoses out. No input or output here.

A rule is a function of an `Observation` that returns diagnoses. `port_rules` has the rules for the way from
this computer to the board, `board_rules` those for a board that replies; `diagnose` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lid.wire_schema import Telemetry

from earlid.board.detect import ProbeResult

PROBLEM = "problem"
NOTICE = "notice"


@dataclass(frozen=True)
class Diagnosis:
    """One problem, or one thing worth knowing.

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
class HostSystem:
    """This computer: `sys.platform`, programs that interfere with serial ports, USB chips of boards that got no port."""

    platform: str
    interfering: frozenset[str] = frozenset()
    usb_without_port: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortAccess:
    """Who may open a port: its group, whether this process is in it, and whether it would be after a new login."""

    group: str = ""
    allowed: bool = True
    after_login: bool = False


@dataclass(frozen=True)
class ExaminedPort:
    """One port: its probe, and who may open it."""

    probe: ProbeResult
    access: PortAccess = PortAccess()


@dataclass(frozen=True)
class ExaminedBoard:
    """A board that replies.

    Attributes:
        port: where.
        hello: its `hi`.
        records: its newest records as dicts of `lid.record.FIELDS`, oldest first.
        self_test: bits of a self-test made now, None when none was made.
        drop_ms: that self-test's drop time.
        telemetry: `tm` bodies of a second or more.
        stranger: of `ledger.strangers`: that it is not the board that it says it is.
    """

    port: str
    hello: Mapping[str, Any]
    records: tuple[Mapping[str, Any], ...] = ()
    self_test: int | None = None
    drop_ms: int = 0
    telemetry: tuple[Telemetry, ...] = ()
    stranger: str = ""

    def as_json(self) -> dict[str, Any]:
        """For `--json`: who it is, and every number that it told; of telemetry the least and the greatest."""
        tested = self.self_test is not None
        rows = [_numbers(row) for row in self.telemetry]
        names = set.intersection(*map(set, rows)) if rows else set()
        return {
            "port": self.port, "board": str(self.hello.get("board", "")), "firmware": str(self.hello.get("fw", "")),
            "self_test": self.self_test, "drop_ms": self.drop_ms if tested else None, "figures": _numbers(self.hello),
            "telemetry": {name: [min(row[name] for row in rows), max(row[name] for row in rows)] for name in sorted(names)},
        }  # fmt: skip


def _numbers(values: Mapping[str, Any]) -> dict[str, int]:
    return {name: value for name, value in values.items() if type(value) is int}


@dataclass(frozen=True)
class Observation:
    """All that `earlid doctor` judges from."""

    system: HostSystem
    ports: tuple[ExaminedPort, ...] = ()
    boards: tuple[ExaminedBoard, ...] = field(default=())


Rule = Callable[[Observation], Iterable[Diagnosis]]
