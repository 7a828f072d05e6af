# SPDX-License-Identifier: MIT
"""GPIO model: the pins that the chip's events drive, and the levels and ADC readings that it reads back."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from lid import circuit as figures

from earlid.virtual.circuit import Circuit

OBSERVED_PINS = {figures.STATUS_LED_PIN: "status_led", figures.BUZZER_PIN: "buzzer"}
_ADC = struct.Struct("<8H")
PIN_HIGH_MV = 3300
_TALK = figures.TALK_BUTTON_PIN


class Pins:
    """GPIO between chip and circuit. `on_change(time_us, what, value)` is called for lamps and buzzer."""

    def __init__(self, circuit: Circuit, on_change: Callable[[int, str, object], None], rng: random.Random) -> None:
        self.circuit = circuit
        self._pumps = dict(zip((figures.SENTINEL_PUMP_PIN, figures.GUARDED_PUMP_PIN), circuit.channels, strict=False))
        self.on_change = on_change
        self.rng = rng
        self.outputs: dict[int, int] = {}
        self.levels: dict[int, int] = {}
        self.stuck: dict[int, int] = {}
        self.crossed: dict[int, int] = {}  # pin: whose wire it has
        self.output_values: dict[int, int] = {}
        self.pressed = False
        self.bounce_until_us = 0
        self.inputs = 1 << _TALK
        self._adc = _ADC.pack(*[0] * 8)
        self._adc_key = (-1, 0)

    def reset(self, time_us: int) -> None:
        """All pins float, as they do while the chip is in reset or without power."""
        for pin in list(self.outputs):
            self.outputs[pin] = 0
            self.drive(time_us, pin)
        self.outputs.clear()
        self.levels.clear()

    def drive(self, time_us: int, pin: int) -> None:
        """Apply a pin's level, as chip or fault sets it, to the circuit."""
        # A pin that is no output floats: for the pump that is the same as low
        level = self.stuck.get(pin, self.levels.get(pin, 0) if self.outputs.get(pin) else 0)
        channel = self._pumps.get(self.crossed.get(pin, pin))
        if channel is not None:
            self.circuit.drive(time_us, channel, level)
        elif pin in OBSERVED_PINS and self.output_values.get(pin, 0) != level:
            self.output_values[pin] = level
            self.on_change(time_us, OBSERVED_PINS[pin], level)

    def update_inputs(self) -> None:
        """Input levels after all bouncing, and with what faults hold; to be called when any of it changes."""
        mask = 0 if self.pressed else 1 << _TALK
        for pin, level in self.stuck.items():
            mask = mask & ~(1 << pin) | level << pin
        self.inputs = mask
        self._adc_key = (-1, 0)

    def sample(self, now_us: int) -> tuple[int, bytes]:
        """Input levels (a bit a GPIO) and the packed ADC readings of GPIO 32 to 39, for an answer."""
        if self.bounce_until_us:
            if now_us < self.bounce_until_us:
                self.inputs ^= self.rng.getrandbits(1) << _TALK
            else:
                self.bounce_until_us = 0
                self.update_inputs()
        circuit = self.circuit
        changes = circuit.changes + circuit.sentinel.changes + circuit.guarded.changes
        key, read_us = self._adc_key
        if key != changes or read_us < circuit.settled_us():  # once more after all has settled, then no more
            self._adc_key = (changes, now_us)
            sentinel, guarded, arm, mute = circuit.adc_mv(now_us)
            readings = [0, 0, sentinel, guarded, arm, 0, 0, mute]
            readings = [readings[self.crossed.get(pin, pin) - 32] for pin in range(32, 40)]
            for pin, level in self.stuck.items():
                if 32 <= pin <= 39:
                    readings[pin - 32] = level * PIN_HIGH_MV
            self._adc = _ADC.pack(*readings)
        return self.inputs, self._adc
