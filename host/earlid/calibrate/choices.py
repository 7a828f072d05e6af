# SPDX-License-Identifier: MIT
"""Choices of a calibration that have names: its levels of sensitivity and its steps. Without numpy, for the help."""

# False openings per hour that each level accepts. 0.5 is twelve in a day of uninterrupted talk.
TARGETS_PER_H = {"careful": 0.1, "balanced": 0.5, "eager": 2.0}
LEVELS = tuple(TARGETS_PER_H)
STEPS = ("room", "voice", "word", "noise")
