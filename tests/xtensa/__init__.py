# SPDX-License-Identifier: MIT
"""An emulated Xtensa LX6 that runs what mpy-cross makes for the board."""
