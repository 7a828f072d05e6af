# SPDX-License-Identifier: MIT
"""What calibration makes of the settings that a board has."""

from earlid.calibrate import settings
from lid import config


def test_what_was_not_measured_keeps_its_settings() -> None:
    current = config.check({"cutoff_q8": 199, "gain_q8": 700})
    assert settings.new_settings(current, None, None) == current


def test_settings_that_only_earlier_firmware_had_are_left_alone() -> None:
    current = config.check({"cutoff_q8": 199})
    earlier = current | dict.fromkeys(config.GONE, 512)
    assert settings.changed_settings(earlier, settings.new_settings(earlier, None, None)) == {}
