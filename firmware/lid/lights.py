# SPDX-License-Identifier: MIT
# Status light and buzzer: the pattern of each state. The red MUTED and amber LIVE lights are wired to
# the rails and not ours to move. Pure: state and hop in, on or off out.
from lid.portable import const

_DIM_HOPS = const(4)  # dim: one hop in four

# state: (period in hops, hops lit at its start, flashes)
_PATTERN = {
    "closed": (400, 4, 1),  # a short blink every 4 s: listening
    "open": (100, 100, 1),  # steady
    "muted": (400, 4, 2),  # two short blinks every 4 s: alive, but deaf
    "fault": (50, 25, 1),  # fast: look at the log
}
_CHIRP_HOPS = const(300)  # a fault chirps every 3 s


def status_led(state, hop, dim):
    """Whether the status light is lit in this hop."""
    period, lit, flashes = _PATTERN[state]
    phase = hop % period
    if flashes == 2 and 20 <= phase < 20 + lit:
        phase -= 20
    return phase < lit and not (dim and phase % _DIM_HOPS)


def buzzer(state, hop):
    """Whether the buzzer sounds in this hop: two short chirps while in fault."""
    phase = hop % _CHIRP_HOPS
    return state == "fault" and (phase < 5 or 10 <= phase < 15)
