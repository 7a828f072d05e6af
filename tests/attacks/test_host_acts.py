# SPDX-License-Identifier: MIT
"""Attacks on what the host adds to a ledger: purges, clocks, labels, names, sums, and the acts that vouch for them."""

from __future__ import annotations


def test_ledger_before_any_attack_is_intact(home, say):
    verdict = say("verify")
    assert verdict.code == 0
    assert verdict.out.count("Intact") == 2
    assert say("review", "--since", "2026-11-17", "--until", "2026-11-20").code == 0
