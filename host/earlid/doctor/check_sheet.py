# SPDX-License-Identifier: MIT
"""Check sheet: what a bring-up or a production test looked at, measured and found, for the file. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from earlid.doctor.model import Diagnosis

PASSED: Literal["passed"] = "passed"
FAILED: Literal["failed"] = "failed"
SKIPPED: Literal["skipped"] = "skipped"
Outcome = Literal["passed", "failed", "skipped"]

# What is measured, in the order of the sheet and of the production test's columns: name, unit, what it is.
FIGURES = (
    ("muted_arm_mv", "mV", "coils' supply in MUTE"),
    ("muted_mute_mv", "mV", "red light's node in MUTE"),
    ("muted_rail1_mv", "mV", "the board's own rail in MUTE"),
    ("muted_rail2_mv", "mV", "guarded rail in MUTE"),
    ("arm_mv", "mV", "coils' supply in ARM"),
    ("mute_mv", "mV", "red light's node in ARM"),
    ("rail1_mv", "mV", "the board's own rail in ARM"),
    ("closed_rail2_mv", "mV", "guarded rail in ARM, lid closed"),
    ("selftest_bits", "", "self-test: what held"),
    ("drop1_ms", "ms", "K1: last edge to dead rail"),
    ("arm1_ms", "ms", "K1: back to a good rail after the self-test, at most"),
    ("rail2_mv", "mV", "guarded rail, lid open"),
    ("sag2_mv", "mV", "what K2 takes off the coils' supply"),
    ("arm2_ms", "ms", "K2: first edge to good rail, at most"),
    ("drop2_least_ms", "ms", "K2: last edge to dead rail, at least"),
    ("drop2_most_ms", "ms", "K2: last edge to dead rail, at most"),
    ("mute_least_ms", "ms", "MUTE with the lid open, to dead rails, at least"),
    ("mute_most_ms", "ms", "MUTE with the lid open, to dead rails, at most"),
)


@dataclass(frozen=True)
class Check:
    """One check: `note` says why it was skipped, or what was seen."""

    key: str
    title: str
    outcome: Outcome
    note: str = ""


@dataclass
class CheckSheet:
    """The whole of it.

    Attributes:
        kind: `bring-up` or `production test`.
        began: ISO 8601, UTC.
        board, firmware: as the board's `hi` has them.
        tool: this program's version.
        ended: whether all checks were come to; an interrupted one passes nothing.
    """

    kind: str
    began: str
    tool: str
    board: str = ""
    firmware: str = ""
    checks: list[Check] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)
    findings: list[Diagnosis] = field(default_factory=list)
    ended: bool = False

    def note(self, key: str, title: str, outcome: Outcome, note: str = "") -> None:
        """Add a check."""
        self.checks.append(Check(key, title, outcome, note))

    def find(self, findings: Iterable[Diagnosis]) -> bool:
        """Add findings, each key once; whether there was any."""
        found = list(findings)
        known = {finding.key for finding in self.findings}
        self.findings += [finding for finding in found if finding.key not in known]
        return bool(found)

    @property
    def result(self) -> str:
        """`passed`, `failed`, or `not ended`."""
        if self.findings or any(check.outcome == FAILED for check in self.checks):
            return FAILED
        return PASSED if self.ended else "not ended"

    def as_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "what": f"earlid {self.kind}, version 1", "began": self.began, "board": self.board, "firmware": self.firmware,
            "earlid": self.tool, "result": self.result,
            "checks": [{"key": c.key, "title": c.title, "outcome": c.outcome, "note": c.note} for c in self.checks],
            "figures": self.figures, "findings": [finding.as_json() for finding in self.findings],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The same for people, to be filed with the board."""
        lines = [
            f"Earlid {self.kind}: {self.result.upper()}", "",
            f"  board     {self.board or '?'}", f"  firmware  {self.firmware or '?'}",
            f"  began     {self.began}", f"  earlid    {self.tool}", "",
        ]  # fmt: skip
        for check in self.checks:
            lines.append(f"  {check.outcome:<8} {check.title}" + (f": {check.note}" if check.note else ""))
        measured = [(what, self.figures[name], unit) for name, unit, what in FIGURES if name in self.figures]
        if measured:
            lines += ["", "Figures (telemetry every 30 ms bounds the times; what is dead reads as the converter's floor):"]
            lines += [f"  {value:>6} {unit:<2}  {what}" for what, value, unit in measured]
        for finding in self.findings:
            lines += ["", f"Found: {finding.seen}", f"  It means: {finding.means}", f"  Do:       {finding.do}"]
        return lines
