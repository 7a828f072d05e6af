# SPDX-License-Identifier: MIT
"""Fixtures of the stages' tests."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from machines import SEED, Checked, Emulated


@pytest.fixture(params=[Checked, Emulated], ids=["checked", "xtensa"])
def machine(request: pytest.FixtureRequest) -> Iterator[Checked | Emulated]:
    """Each machine in turn; what it noticed fails the test at its end."""
    made: Checked | Emulated = request.param()
    yield made
    made.finish()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(SEED)
