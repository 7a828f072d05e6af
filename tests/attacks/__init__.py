# SPDX-License-Identifier: MIT
"""Attacks on a ledger and on what stands around it: one small case each, which ends in the sentence that a person reads."""
