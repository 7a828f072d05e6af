# SPDX-License-Identifier: MIT
"""Runs every rule of `earlid doctor` over one observation."""

from __future__ import annotations

from earlid.doctor import board_rules, port_rules
from earlid.doctor.model import PROBLEM, Finding, Observation


def diagnose(seen: Observation) -> list[Finding]:
    """Every finding of every rule, problems first."""
    found = [finding for rule in (*port_rules.RULES, *board_rules.RULES) for finding in rule(seen)]
    return sorted(found, key=lambda finding: finding.level != PROBLEM)
