# SPDX-License-Identifier: MIT
import earlid  # noqa: F401  (finds the firmware's package `lid`)
