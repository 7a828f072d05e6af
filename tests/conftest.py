# SPDX-License-Identifier: MIT
"""What all tests share: who may try twice, and how properties are tried.

Some tests hold a real browser, a terminal, or a board on a serial line to real time, beside whatever else the machine
does. When one of those fails it is tried once more, and the summary names it under RERUN: an unsteady test is a fault
to be mended, and does not hide one. What computes, and whatever an invariant of the design rests on (firmware, gate,
journal, circuit), has one try. `make test ARGS="-p no:rerunfailures"` gives one try to all.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Properties try the same examples every day, however slow the machine; a soak asks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
IN_REAL_TIME = {"calibrate", "evaluate", "flash", "link", "page", "virtual"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a second try to the tests of some folders."""
    if not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if item.path.parent.name in IN_REAL_TIME:
            item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))
