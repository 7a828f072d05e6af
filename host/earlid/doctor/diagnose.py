# SPDX-License-Identifier: MIT
"""Runs every rule of `earlid doctor` over one observation."""

from __future__ import annotations

from earlid.doctor import board_rules, port_rules
from earlid.doctor.model import PROBLEM, Diagnosis, Observation


def diagnose(observation: Observation) -> list[Diagnosis]:
    """The diagnoses of all rules, problems first."""
    diagnoses = [diagnosis for rule in (*port_rules.RULES, *board_rules.RULES) for diagnosis in rule(observation)]
    return sorted(diagnoses, key=lambda diagnosis: diagnosis.level != PROBLEM)
