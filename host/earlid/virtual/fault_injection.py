# SPDX-License-Identifier: MIT
"""Fault injection: every fault of a virtual board, on demand."""

from __future__ import annotations

import errno
from typing import Literal

from earlid.virtual import littlefs_image, nor_cells
from earlid.virtual.circuit import Channel
from earlid.virtual.pty_port import LineFaults
from earlid.virtual.simulation import BROWN_OUT, OFF, Simulation

ChannelName = Literal["sentinel", "guarded"]


class FaultInjection:
    """The faults of a virtual board. Each takes effect at once; most can be undone."""

    simulation: Simulation
    dead_lamps: set[str]

    def _channel(self, name: ChannelName) -> Channel:
        if name not in ("sentinel", "guarded"):
            raise ValueError(f"there is a sentinel and a guarded channel, no {name!r}")
        return self.simulation.circuit.guarded if name == "guarded" else self.simulation.circuit.sentinel

    def brown_out(self, length_ms: float = 50) -> None:
        """5 V dips for a while: the coils lose their supply, the chip's brown-out detector resets it."""
        with self.simulation.lock:
            self.simulation.power(False)
            self.simulation.at(self.simulation.now_us + round(length_ms * 1000), lambda: self.simulation.power(True, BROWN_OUT))

    def weld(self, relay: ChannelName, welded: bool = True) -> None:
        """The relay's working contact is welded shut (it sticks even if it was open: the worst case)."""
        self._channel(relay)  # refuses a wrong name
        with self.simulation.lock:
            self.simulation.circuit.weld(self.simulation.now_us, relay, welded)

    def relay_open(self, relay: ChannelName, broken: bool = True) -> None:
        """The coil no longer pulls: the contact never closes again."""
        with self.simulation.lock:
            self.simulation.circuit.break_coil(self.simulation.now_us, self._channel(relay), broken)

    def short_pump(self, name: ChannelName, shorted: bool = True) -> None:
        """The pump's series capacitor conducts: from the pin's next change on, standing high is enough to feed the coil."""
        with self.simulation.lock:
            self._channel(name).shorted = shorted

    def bare_drive(self, name: ChannelName, bare: bool = True) -> None:
        """The capacitor from the pump's input to ground is open: edges come through at any rate."""
        with self.simulation.lock:
            self._channel(name).bare_drive = bare

    def stuck_pin(self, pin: int, level: int | None) -> None:
        """A pin is held at 0 V or 3.3 V whatever the chip or the circuit does, an ADC's too; None releases it."""
        with self.simulation.lock:
            if level is None:
                self.simulation.pins.stuck.pop(pin, None)
            else:
                self.simulation.pins.stuck[pin] = int(bool(level))
            self.simulation.pins.update_inputs()
            self.simulation.pins.drive(self.simulation.now_us, pin)

    def rail_sag(self, millivolts: float | None) -> None:
        """Both microphones' source delivers only this much; None: what it should."""
        with self.simulation.lock:
            self.simulation.circuit.sag_mv = millivolts
            self.simulation.circuit.apply(self.simulation.now_us)

    def reverse_flyback(self, name: ChannelName, reversed_: bool = True) -> None:
        """The diode across the relay's coil is the wrong way round: while the coil is driven it pulls the coils' supply down."""
        with self.simulation.lock:
            self._channel(name).flyback_reversed = reversed_

    def swap_throws(self, relay: ChannelName, swapped: bool = True) -> None:
        """The relay's resting and working contact are swapped."""
        with self.simulation.lock:
            self._channel(relay).throws_swapped = swapped
            self.simulation.circuit.apply(self.simulation.now_us)

    def cross_pins(self, first: int, second: int) -> None:
        """Two pump pins, or two ADC pins, have each other's wire."""
        with self.simulation.lock:
            self.simulation.pins.crossed.update({first: second, second: first})
            self.simulation.pins.update_inputs()

    def dead_lamp(self, name: str) -> None:
        """A light or the buzzer (a key of `leds`) is dead; the red one's node rises then."""
        with self.simulation.lock:
            self.dead_lamps.add(name)
            self.simulation.circuit.red_open |= name == "red"

    def i2s_error(self, error: int = errno.ENOMEM) -> None:
        """From its next start on the I2S driver raises OSError(error): its DMA buffers find no memory; 0: it starts again."""
        with self.simulation.lock:
            self.simulation.i2s.start_errno = error

    def i2s_silent(self, silent: bool = True, *, read_error: int = 0, at_once: bool = False) -> None:
        """From its next start on (or `at_once`) the I2S driver starts, but no sample ever comes.

        A read that waits, waits for ever; one that does not raises `read_error` (MicroPython 1.23: -259) or, if 0, gives nothing.
        """
        driver = self.simulation.i2s
        with self.simulation.lock:
            driver.starts_silent, driver.read_errno = silent, read_error
            if at_once:
                driver.silent = silent

    def corrupt_rtc(self, bits: int = 1) -> None:
        """So many bits of the RTC's memory flip, now."""
        with self.simulation.lock:
            self.simulation.rtc_memory.flip(bits)

    def rtc_lingers(self, flipped_bits: int | None) -> None:
        """From now on the RTC's memory outlives power-off, reset pin and brown-out, so many bits flipped; None: it is lost."""
        with self.simulation.lock:
            self.simulation.rtc_memory.lingering_flips = flipped_bits

    def hang(self, after_requests: int = 1) -> None:
        """The chip hangs at its nth request from now on (a hop has one or more)."""
        with self.simulation.lock:
            self.simulation.hang_at_request = self.simulation.requests + after_requests

    def step_clock(self, milliseconds: int) -> None:
        """Step the chip's clock alone ahead (or back); sound, circuit, watchdog and serial line notice nothing."""
        with self.simulation.lock:
            if self.simulation.now_us + self.simulation.clock_offset_us + milliseconds * 1000 < 0:
                raise ValueError("the chip's clock cannot be before its first power-on")
            self.simulation.clock_offset_us += milliseconds * 1000

    def power_cut_at_write(self, n: int | None, torn: bool = True) -> None:
        """Cut the power at the nth program or erase from now on, leaving it half done if `torn`; None: do not cut."""
        with self.simulation.lock:
            flash = self.simulation.flash
            flash.power_cut_at = None if n is None else flash.writes + n
            flash.cut_kind = nor_cells.TORN if torn else nor_cells.NOTHING

    def flash_error(self, failing: bool = True) -> None:
        """Every program and erase is answered by ESP_FAIL."""
        with self.simulation.lock:
            self.simulation.flash.failing = failing

    def flash_full(self) -> None:
        """Fill the file system with one file; only while the board is off."""
        self._must_be_off("filling the flash")
        self.simulation.flash.load(littlefs_image.fill(self.simulation.flash.data))

    def _must_be_off(self, doing: str) -> None:
        if self.simulation.state != OFF:
            raise RuntimeError(f"{doing} needs the board off: call power_cut() first")

    def corrupt_line(
        self,
        bit_error_rate: float,
        seed: int = 0,
        *,
        drop_rate: float = 0.0,
        duplicate_rate: float = 0.0,
    ) -> None:
        """From now on the line flips bits (both ways) and loses or doubles whole lines (to the host). Zeros end it."""
        with self.simulation.lock:
            self.simulation.port.to_host = LineFaults(bit_error_rate, drop_rate, duplicate_rate, seed)
            self.simulation.port.to_board = LineFaults(bit_error_rate, seed=seed + 1)

    def unplug(self) -> None:
        """The serial cable is pulled (the board's power comes from elsewhere)."""
        with self.simulation.lock:
            self.simulation.port.unplug()

    def replug(self) -> None:
        """The serial cable is back: a new port, the same `link`."""
        with self.simulation.lock:
            self.simulation.port.plug()
