# SPDX-License-Identifier: MIT
"""Bridges: what the ledger knows of the boards, told to other systems; nothing that comes from there opens a lid."""
