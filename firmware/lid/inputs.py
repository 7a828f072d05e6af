# SPDX-License-Identifier: MIT
# Talk button and mute switch, debounced: pure filters over what the pins read once a hop.
from lid import circuit
from lid.portable import const

DEBOUNCE_HOPS = const(3)
_POLES_HOPS = const(10)  # both throws of a moving switch may be open this long


class Debounce:
    # The first steady reading counts as the state; then a change must last DEBOUNCE_HOPS.
    def __init__(self, state):
        self.state = state
        self._hops = 0

    def push(self, raw):
        if raw == self.state:
            self._hops = 0
        else:
            self._hops += 1
            if self._hops >= DEBOUNCE_HOPS:
                self.state = raw
                self._hops = 0
        return self.state


class TalkButton(Debounce):
    # Held since before the start, it is neither a press nor a proof: it may be stuck.
    def __init__(self):
        super().__init__(True)
        self._was_released = False

    def push(self, raw):
        state = super().push(raw)
        if not state:
            self._was_released = True
        return state

    def presence(self):
        return self.state and self._was_released


class MuteSwitch:
    # Two throws of one pole: coil supply present (arm), coil supply absent (mute). Exactly one is made, but for the
    # lever's travel.
    # Any doubt counts as muted at once: only a clean, lasting "arm" un-mutes.
    def __init__(self):
        self.muted = True
        self.disagree = False
        self._armed = Debounce(False)
        self._inconsistent_hops = 0

    def push(self, arm_mv, mute_mv):
        arm = arm_mv >= circuit.SENSE_HIGH_MV
        mute = mute_mv >= circuit.SENSE_HIGH_MV
        inconsistent = arm == mute or (circuit.SENSE_LOW_MV < arm_mv < circuit.SENSE_HIGH_MV)
        self._inconsistent_hops = self._inconsistent_hops + 1 if inconsistent else 0
        self.disagree = self._inconsistent_hops >= _POLES_HOPS
        self.muted = not self._armed.push(arm and not mute)
        return self.muted
