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
    "ask": (100, 8, 3),  # three flashes every second: a request waits for consent
}
_CHIRP_HOPS = const(300)  # chirps come every 3 s


def status_led(state, hop, dim):
    """Whether the status light is lit in this hop."""
    period, lit, flashes = _PATTERN[state]
    phase = hop % period
    if flashes > 1 and phase < 20 * flashes:
        phase %= 20
    # A fault is not dimmed: 25 Hz on a line that touches a pump pin would open the lid.
    return phase < lit and not (dim and phase % _DIM_HOPS and state != "fault")


def buzzer(state, hop):
    """Whether the buzzer sounds in this hop: two short chirps while in fault, three when a request waits for consent."""
    phase = hop % _CHIRP_HOPS
    return phase % 10 < 5 and phase < (20 if state == "fault" else 30 if state == "ask" else 0)
