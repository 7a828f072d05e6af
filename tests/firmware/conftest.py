# SPDX-License-Identifier: MIT
"""The seed of randomised tests."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The same in every ordinary run, so that it says the same today and tomorrow; a new one in a soak. EARLID_SEED: this one."""
    soak = request.node.get_closest_marker("soak") is not None
    chosen = int(os.environ.get("EARLID_SEED") or (random.SystemRandom().getrandbits(30) if soak else 20261122))
    print(f"seed {chosen}")
    return chosen
