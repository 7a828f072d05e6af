# SPDX-License-Identifier: MIT
# const(), for modules that the host imports too. MicroPython's compiler folds it by name, wherever it comes from.
try:
    from micropython import const
except ImportError:

    def const(value):
        return value
