# SPDX-License-Identifier: MIT
"""The case of a circuit board and its labels, from the same dimensions as the board."""
