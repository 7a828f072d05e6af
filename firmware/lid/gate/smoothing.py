# SPDX-License-Identifier: MIT
# Sliding mean of the network's last outputs, and its cutoff. It counts them too: a network that was reset is cold at first.
import micropython
from micropython import const

# Words of the state: sum of the window, where its oldest output is, how many outputs there were, the window's length, how
# many outputs it takes until there is a mean
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


# Words of a look's state: sum of the newest logits, where its oldest is, the score before it is scaled; then what a file
# says, lid.gate.model_file.Look
FUSED_WORDS = const(3)
_TOTAL = const(2)
_LOGITS = const(3)
_LOWEST = const(4)
_MOST = const(5)
_SCALE = const(6)


# logit: the network's and the look's, added up; those not heard yet are 0, which only lowers the score. Returns twice the score,
# plus one when what it comes from is above the cutoff. Interpreted: machine code would take 2 KB where none is left.
def fused_score(logit, recent, state, cutoff):
    at = state[_OLDEST]
    state[_SUM] = total = state[_SUM] + logit - recent[at]
    recent[at] = logit
    state[_OLDEST] = (at + 1) % state[_LOGITS]
    state[_TOTAL] = total = min(max(total - state[_LOWEST], 0), state[_MOST])
    return (total // state[_SCALE] << 1) + (total > cutoff)
