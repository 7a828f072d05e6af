# SPDX-License-Identifier: MIT
# Sliding mean of the network's last outputs, and its cutoff. It counts them too: a network that was reset is cold at first.
import micropython
from micropython import const

# Words of the state: sum of the window, where its oldest output is, how many outputs there were, the window's length, how
# many outputs it takes until they count
_SUM = const(0)
_OLDEST = const(1)
_FILLED = const(2)
_WINDOW = const(3)
_NEEDED = const(4)


@micropython.viper
def sliding_mean(prob: int, reg1: int, recent: ptr8, state: ptr32, cutoff_sum: int) -> int:
    # Twice the mean of the last outputs, plus one when their sum is above the cutoff; -2 until they count
    at = state[_OLDEST]
    reg1 = state[_SUM] - recent[at] + prob
    state[_SUM] = reg1
    recent[at] = prob
    at += 1
    state[_OLDEST] = 0 if at == state[_WINDOW] else at
    if state[_FILLED] < state[_NEEDED]:
        state[_FILLED] = state[_FILLED] + 1
        if state[_FILLED] < state[_NEEDED]:
            return -2
    at = reg1 // state[_WINDOW] << 1
    return at + 1 if reg1 > cutoff_sum else at
