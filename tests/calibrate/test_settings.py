# SPDX-License-Identifier: MIT
"""What calibration makes of the energy gate's settings."""

import pytest
from earlid.calibrate import settings
from earlid.calibrate.room import QuietRoom
from lid import config

ROOM = QuietRoom(level_dbfs=-60.0, per_second_dbfs=[-60.0], unrest_q8=700.0, seconds=1.0, dc_steps=0.0, hum_dbfs={})


@pytest.mark.parametrize("before", [{"energy_gate": 1}, {"energy_on_q8": 768, "energy_off_q8": 480}, {}])
def test_calibration_of_a_room_leaves_the_network_always_running(before: dict[str, int]) -> None:
    current = config.check(before)
    proposed = settings.new_settings(current, ROOM, None, None)
    assert proposed["energy_gate"] == 0
    assert (proposed["energy_on_q8"], proposed["energy_off_q8"]) == (512, 320)


def test_what_was_not_measured_keeps_its_settings() -> None:
    current = config.check({"energy_gate": 1, "energy_on_q8": 768})
    assert settings.new_settings(current, None, None, None) == current
