# SPDX-License-Identifier: MIT
# Sliding mean of the network's last outputs, and its cutoff.
import micropython
from micropython import const

# Words of the state: sum of the window, where its oldest output is, how many outputs are there, the window's length
_SUM = const(0)
_OLDEST = const(1)
_FILLED = const(2)
_WINDOW = const(3)


@micropython.viper
def sliding_mean(prob: int, reg1: int, recent: ptr8, state: ptr32, cutoff_sum: int) -> int:
    # Twice the mean of the last outputs, 0 until there are enough; plus one when their sum is above the cutoff
    at = state[_OLDEST]
    reg1 = state[_SUM] - recent[at] + prob
    state[_SUM] = reg1
    recent[at] = prob
    at += 1
    state[_OLDEST] = 0 if at == state[_WINDOW] else at
    if state[_FILLED] < state[_WINDOW]:
        state[_FILLED] = state[_FILLED] + 1
        if state[_FILLED] < state[_WINDOW]:
            return 0
    at = reg1 // state[_WINDOW] << 1
    return at + 1 if reg1 > cutoff_sum else at
