# SPDX-License-Identifier: MIT
"""Circuit model: pins, charge pumps, relays, mute switch, rails, dividers.

Everything is evaluated in closed form between events, so that a quiet second costs nothing. All times are integer
microseconds of board time, all voltages millivolts. No input or output happens here; changes are reported to a
`listener(time_us, what, value)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from lid import circuit as figures

from earlid.virtual.figures import Figures

NEVER = 1 << 62
REFERENCE = Figures()
FLOATING_MV = 1500  # at a pin that nothing holds
Listener = Callable[[int, str, object], None]


@dataclass(frozen=True)
class Constants:
    """Figures of the circuit's behaviour, fitted to the simulated nominal board within 10 % (tests/hardware).

    The pump is the rate pump of the netlist, which alone decides when a healthy board opens and closes.
    """

    swing_mv: float = 3300.0  # of the pin
    diodes_mv: float = 530.0  # that the pump's two diodes take off the swing
    pump_share: float = 0.0645  # of the remaining difference that one rising edge brings over
    drive_us: float = 1_700.0  # how fast the pump's input follows the pin: the upper limit of the rate
    bare_drive_us: float = 71.0  # and without its capacitor to ground
    pump_decay_us: float = 150_000.0
    gate_on_mv: float = 540.0  # pump voltage at which the comparator stops its veto
    gate_off_mv: float = 356.0  # and takes it up again: no chatter between
    operate_us: int = 4_200
    release_us: int = 3_000
    rail_fed_mv: float = 3010.0  # sentinel 3066, guarded 2955
    rail_rise_us: float = 50.0
    sentinel_bleed_us: float = 700.0  # bleeder alone
    guarded_bleed_us: float = 1_000.0
    clamp_us: float = 5.0  # relay's resting contact or the switch's mute throw to ground
    sentinel_filter_us: float = 3_200.0  # divider and its capacitor
    guarded_filter_us: float = 3_200.0
    sense_filter_us: float = 6_000.0
    coil_supply_mv: float = 4640.0  # behind the fuse: 4684 idle, 4602 with both coils pulled in
    lamp_mv: float = 3780.0  # the red light's node when it is lit; shunted it is 0
    throw_us: int = 2_000  # from touching the lever to the poles' new throw
    open_lamp_mv: float = 4970.0  # the red light's node when the light is open
    flyback_sag_mv: float = 450.0  # least that a reversed flyback diode takes off the coils' supply while its gate is on


def exponential(start: float, target: float, elapsed_us: float, tau_us: float) -> float:
    """Value of a first-order system `elapsed_us` after it was at `start`."""
    return target + (start - target) * math.exp(-elapsed_us / tau_us)


class FilteredVoltage:
    """A voltage that settles exponentially, and the same behind one more RC filter, both in closed form."""

    def __init__(self, filter_us: float) -> None:
        self.filter_us = filter_us
        self.since_us = 0
        self.target = 0.0
        self.tau_us = 1.0
        self.input_start_mv = 0.0
        self.output_start_mv = 0.0
        self.settled_us = 0

    def input_mv(self, now_us: int) -> float:
        """Millivolts before the filter."""
        if now_us >= self.settled_us:
            return self.target
        return exponential(self.input_start_mv, self.target, now_us - self.since_us, self.tau_us)

    def output_mv(self, now_us: int) -> float:
        """Millivolts behind the filter (scaled like the input)."""
        if now_us >= self.settled_us:
            return self.target
        elapsed = now_us - self.since_us
        fast = self.tau_us
        if abs(fast - self.filter_us) < 1e-3 * self.filter_us:  # equal time constants: move one a little
            fast *= 1.01
        share = (self.input_start_mv - self.target) * fast / (fast - self.filter_us)
        rest = self.output_start_mv - self.target - share
        return self.target + share * math.exp(-elapsed / fast) + rest * math.exp(-elapsed / self.filter_us)

    def settle_towards(self, now_us: int, target: float, tau_us: float) -> None:
        """From now on the input settles towards `target` with the time constant `tau_us`."""
        self.input_start_mv, self.output_start_mv = self.input_mv(now_us), self.output_mv(now_us)
        self.since_us, self.target, self.tau_us = now_us, target, tau_us
        self.settled_us = now_us + int(15 * (tau_us + self.filter_us))

    def crossing_us(self, level: float) -> int:
        """When the input will next cross `level`, or NEVER."""
        above_now, above_then = self.input_start_mv > level, self.target > level
        if above_now == above_then or self.target == level:
            return NEVER
        ratio = (self.input_start_mv - self.target) / (level - self.target)
        return self.since_us + math.ceil(self.tau_us * math.log(ratio))


class Channel:
    """One microphone's feed: pump, relay, rail. `name` is `sentinel` or `guarded`."""

    def __init__(self, name: str, constants: Constants, listener: Listener) -> None:
        self.name = name
        self.constants = constants
        self.listener = listener
        sentinel = name == "sentinel"
        self.bleed_us = constants.sentinel_bleed_us if sentinel else constants.guarded_bleed_us
        self.rail = FilteredVoltage(constants.sentinel_filter_us if sentinel else constants.guarded_filter_us)
        self.pump_mv = 0.0
        self.pump_at_us = 0
        self.level = 0
        self.drive_mv = 0.0  # at the pump's input, at the last edge
        self.drive_at_us = -NEVER
        self.peak_mv = constants.swing_mv  # of the pump's input at the last falling edge
        self.bare_drive = False  # the capacitor at the pump's input is open
        self.gate = False
        self.gate_off_us = NEVER
        self.coil = False
        self.armature = False
        self.relay_change_us = NEVER
        self.live = False
        self.live_change_us = NEVER
        self.fed = False
        self.clamped = True
        self.coil_supply = True
        self.source_mv = constants.rail_fed_mv
        self.pole_armed = True
        self.welded = False
        self.stuck_open = False
        self.shorted = False  # the pump's series capacitor: a pin that stands high feeds the gate
        self.flyback_reversed = False  # the relay still pulls on most boards
        self.throws_swapped = False  # the relay's resting and working contact
        self.next_us = NEVER
        self.changes = 0

    def pump_at(self, now_us: int) -> float:
        """Pump voltage, millivolts."""
        return self.pump_mv * math.exp(-(now_us - self.pump_at_us) / self.constants.pump_decay_us)

    def drive(self, now_us: int, level: int) -> None:
        """The pump pin's level; only a change counts."""
        if level == self.level:
            return
        c = self.constants
        before, self.level = self.level, level
        tau_us = c.bare_drive_us if self.bare_drive else c.drive_us
        self.drive_mv = exponential(self.drive_mv, before * c.swing_mv, now_us - self.drive_at_us, tau_us)
        self.drive_at_us = now_us
        if self.shorted:
            self._conduct(now_us)
        elif level:
            self._charge(now_us)
        else:
            self.peak_mv = self.drive_mv

    def _conduct(self, now_us: int) -> None:
        c = self.constants
        self.gate, self.pump_mv, self.pump_at_us = True, c.swing_mv - c.diodes_mv, now_us
        lasts_us = math.ceil(c.pump_decay_us * math.log(self.pump_mv / c.gate_off_mv))
        self.gate_off_us = NEVER if self.level else now_us + lasts_us
        self.settle(now_us)

    def _charge(self, now_us: int) -> None:
        c = self.constants
        pump_mv = self.pump_at(now_us)
        supply_mv = self.peak_mv - self.drive_mv - c.diodes_mv
        pump_mv += c.pump_share * max(0.0, supply_mv - pump_mv)
        self.pump_mv, self.pump_at_us = pump_mv, now_us
        if pump_mv >= c.gate_on_mv:
            self.gate = True
        if self.gate:
            self.gate_off_us = now_us + math.ceil(c.pump_decay_us * math.log(pump_mv / c.gate_off_mv))
            self.settle(now_us)

    def settle(self, now_us: int) -> None:
        """Update coil, contact and rail, and when each changes next."""
        c = self.constants
        coil = self.gate and self.coil_supply
        if coil != self.coil:
            self.coil = coil
            if (coil and not self.stuck_open) == self.armature:
                self.relay_change_us = NEVER
            else:
                self.relay_change_us = now_us + (c.operate_us if coil else c.release_us)
        closed = self.armature != self.throws_swapped or self.welded
        fed = closed and self.pole_armed and self.source_mv > 0
        clamped = not closed or not self.pole_armed
        target = self.source_mv if fed else 0.0
        if fed != self.fed or clamped != self.clamped or target != self.rail.target:
            self.fed, self.clamped = fed, clamped
            self.changes += 1
            self.rail.settle_towards(now_us, target, c.rail_rise_us if fed else c.clamp_us if clamped else self.bleed_us)
            self.live_change_us = self.rail.crossing_us(figures.RAIL_LIVE_MV)
        self.next_us = min(self.gate_off_us, self.relay_change_us, self.live_change_us)

    def process_due(self, now_us: int) -> None:
        """Process the events that are due at `now_us`."""
        if self.gate_off_us <= now_us:
            self.gate = False
            self.gate_off_us = NEVER
        if self.relay_change_us <= now_us:
            self.relay_change_us = NEVER
            self.armature = self.coil and not self.stuck_open
            self.listener(now_us, f"{self.name}_relay", self.armature)
        if self.live_change_us <= now_us:
            self.live_change_us = NEVER
            self.live = not self.live
            self.listener(now_us, f"{self.name}_rail", self.live)
        self.settle(now_us)


class Circuit:
    """Both channels, the mute switch and the talk button."""

    def __init__(self, constants: Constants, listener: Listener, recipe: Figures = REFERENCE) -> None:
        self.constants = constants
        self.listener = listener
        self.figures = recipe
        self.guarded = Channel("guarded", constants, listener)
        self.sentinel = Channel("sentinel", constants, listener) if recipe.channels == 2 else self.guarded
        self.channels = (self.sentinel, self.guarded)[: recipe.channels]
        self.powered = False
        self.sag_mv: float | None = None
        self.muted = False
        self.poles = {"coil": False, "sentinel": False, "guarded": False}  # True: in the mute throw
        self.broken_poles: set[str] = set()
        self.poles_change_us = NEVER
        self.arm_sense = FilteredVoltage(constants.sense_filter_us)
        self.mute_sense = FilteredVoltage(constants.sense_filter_us)
        self.red = False
        self.red_open = False  # the light is dead: its node rises
        self.sag_gates = 0
        self.changes = 0
        self.next_us = NEVER
        self.apply(0)

    def advance(self, to_us: int) -> None:
        """Process every event that is due up to and including `to_us`."""
        while self.next_us <= to_us:
            now_us = self.next_us
            for channel in self.channels:
                if channel.next_us <= now_us:
                    channel.process_due(now_us)
            if self.poles_change_us <= now_us:
                self.poles_change_us = NEVER
                for pole in self.poles:
                    if pole not in self.broken_poles:
                        self.poles[pole] = self.muted
                self.apply(now_us)
            self._sag(now_us)
            self._show(now_us)
            self._next()

    def _next(self) -> None:
        self.next_us = min(self.sentinel.next_us, self.guarded.next_us, self.poles_change_us)

    def _show(self, now_us: int) -> None:
        # The red light is shunted by the coil supply and by either rail; MUTE_SENSE reads its node
        red = self.powered and self.poles["coil"] and not (self.sentinel.live or self.guarded.live)
        if red != self.red:
            self.red = red
            self.changes += 1
            lit_mv = self.constants.open_lamp_mv if self.red_open else self.constants.lamp_mv
            self.mute_sense.settle_towards(now_us, lit_mv if red else 0.0, 1.0)
            self.listener(now_us, "red_led", red)

    def _sag(self, now_us: int) -> None:
        gates = sum(channel.gate and channel.flyback_reversed for channel in self.channels)
        if gates != self.sag_gates:
            self.sag_gates = gates
            self.apply(now_us)

    def apply(self, now_us: int) -> None:
        """Apply supplies and switch poles to both channels."""
        c = self.constants
        self.changes += 1
        coil_mv = c.coil_supply_mv if self.powered else 0.0
        fed_mv = c.rail_fed_mv if self.sag_mv is None else self.sag_mv
        for channel in self.channels:
            channel.coil_supply = self.powered and not self.poles["coil"]
            # The guarded microphone's supply is its own device's: it stays up when the board's does not
            foreign = channel is not self.sentinel
            own_mv = self.figures.guarded_fed_mv if foreign and self.sag_mv is None else None
            channel.source_mv = (own_mv or fed_mv) if self.powered or foreign else 0.0
            channel.pole_armed = not self.poles[channel.name]
            channel.settle(now_us)
        coil_mv -= self.sag_gates * c.flyback_sag_mv if self.powered else 0.0
        self.arm_sense.settle_towards(now_us, 0.0 if self.poles["coil"] else coil_mv, 1.0)
        self._show(now_us)
        self._next()

    def drive(self, now_us: int, channel: Channel, level: int) -> None:
        """A pump pin's level."""
        channel.drive(now_us, level)
        self._sag(now_us)
        if channel.next_us < self.next_us:
            self.next_us = channel.next_us

    def throw(self, now_us: int, muted: bool) -> None:
        """Throw the latching switch."""
        self.muted = muted
        self.poles_change_us = now_us + self.constants.throw_us
        self._next()

    def power(self, now_us: int, on: bool) -> None:
        """Switch 5 V and 3.3 V on or off."""
        self.powered = on
        self.apply(now_us)

    def weld(self, now_us: int, name: str, welded: bool) -> None:
        """The relay's working contact stays closed whatever the armature does."""
        channel = self.guarded if name == "guarded" else self.sentinel
        channel.welded = welded
        channel.settle(now_us)
        self._next()

    def break_coil(self, now_us: int, channel: Channel, broken: bool) -> None:
        """The coil no longer pulls (or does again)."""
        channel.stuck_open = broken
        channel.coil = not channel.coil  # so that its effect is worked out anew
        channel.settle(now_us)
        self._next()

    def adc_mv(self, now_us: int) -> tuple[int, int, int, int]:
        """Millivolts at GPIO 34, 35, 36 and 39 behind their dividers."""
        two = self.figures.channels == 2
        return (
            int(self.sentinel.rail.output_mv(now_us) * 1024 / self.figures.sentinel_scale_q10),
            int(self.guarded.rail.output_mv(now_us) * 1024 / self.figures.guarded_scale_q10) if two else FLOATING_MV,
            int(self.arm_sense.output_mv(now_us) * 1024 / figures.SENSE_SCALE_Q10),
            int(self.mute_sense.output_mv(now_us) * 1024 / figures.SENSE_SCALE_Q10),
        )

    def settled_us(self) -> int:
        """From when on `adc_mv` no longer changes by itself."""
        return max(f.settled_us for f in (self.sentinel.rail, self.guarded.rail, self.arm_sense, self.mute_sense))
