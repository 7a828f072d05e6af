# SPDX-License-Identifier: MIT
"""Virtual board: the interface through which tests, the demo and people without hardware drive the simulation."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from lid import circuit as figures

from earlid import filesystem
from earlid.firmware import RECIPES
from earlid.firmware import root as firmware_root
from earlid.virtual import littlefs_image
from earlid.virtual.adc import Adc
from earlid.virtual.circuit import Constants
from earlid.virtual.fault_injection import ChannelName, FaultInjection
from earlid.virtual.figures import load_figures
from earlid.virtual.nor_flash import FLASH_BYTES, NorFlash
from earlid.virtual.processor import HEAP_BYTES, Processor
from earlid.virtual.pty_port import PtyPort
from earlid.virtual.simulation import POWER_ON, Simulation
from earlid.virtual.sound import MODES, RATE_HZ, Mode, Samples, Sound, frame_at, load
from earlid.virtual.timing import INFERENCE

FIRMWARE = firmware_root()


class BoardTimeout(Exception):
    """A condition did not hold within its limit of board time."""


class VirtualBoard(FaultInjection):
    """A simulated board with real MicroPython and a real serial port, and every fault on demand.

    firmware: folder copied into the flash (boot.py, main.py, lid/**); None for none. files: more files, by path.
    flash: image file to keep the flash in; an existing one keeps what the board wrote and gets firmware and files anew.
    file_system: the flash as a chip has it, every byte (see `flash.this_processor`); firmware and files are not written then.
    clock: "simulated" (time moves only when told to, as fast as the processor allows) or "wall".
    seed: of everything random. entropy: of what the chip itself draws, its identifier and key; as the seed when None.
    link: symbolic link that always points at the serial port. deploy: False leaves the flash as it is.
    adc: the chip's converter, a usual one when None.
    recipe: of the copper, one of `firmware.RECIPES`; a `firmware` that is deployed gets its figures.
    inference: module, class and method of an inference in the firmware, whose time it costs.
    heap_bytes: MicroPython's heap; `processor.heap_like` gives a chip's for the deployed firmware.
    """

    def __init__(
        self,
        *,
        firmware: Path | None = FIRMWARE,
        files: Mapping[str, bytes] | None = None,
        flash: Path | None = None,
        file_system: bytes | None = None,
        clock: Literal["simulated", "wall"] = "simulated",
        seed: int = 0,
        entropy: int | None = None,
        link: Path | None = None,
        constants: Constants | None = None,
        adc: Adc | None = None,
        recipe: str = RECIPES[0],
        deploy: bool = True,
        inference: tuple[str, str, str] = INFERENCE,
        heap_bytes: int = HEAP_BYTES,
    ) -> None:
        if clock not in ("simulated", "wall"):
            raise ValueError(f'clock is "simulated" or "wall", not {clock!r}')
        self.clock = clock
        self.simulation = Simulation(
            NorFlash(flash, random.Random(f"flash {seed}")),
            Sound(seed),
            PtyPort(link),
            Processor(heap_bytes),
            constants or Constants(),
            adc or Adc(),
            load_figures(recipe),
            seed,
            seed if entropy is None else entropy,
        )
        self.simulation.timing.inference = inference
        self._recipe = recipe
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._failure: BaseException | None = None
        self._console_read = 0
        self.dead_lamps = set()
        if file_system is not None:
            self.simulation.flash.load(file_system)
        elif deploy:
            self.deploy(firmware, files or {})

    # Power

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def deploy(self, firmware: Path | None, files: Mapping[str, bytes]) -> None:
        """Write firmware and files into the flash, as `earlid flash` would; only while the board is off."""
        self._must_be_off("deploying")
        content = littlefs_image.firmware_files(firmware, self._recipe) if firmware is not None else {}
        content.update(files)
        blank = self.simulation.flash.data == b"\xff" * FLASH_BYTES
        self.simulation.flash.load(
            filesystem.build(content, FLASH_BYTES) if blank else filesystem.amend(self.simulation.flash.data, content)
        )

    def start(self) -> None:
        """Power on; with the wall's clock, time begins to run."""
        self.power_on()
        if self.clock == "wall":
            self.run_background(speed=1.0)

    def stop(self) -> None:
        """Power off and release processes, port and files; the board cannot be started again."""
        self.pause()
        with self.simulation.lock:
            self.simulation.power(False)
            self.simulation.close()

    def power_on(self) -> None:
        """Switch 5 V on."""
        with self.simulation.lock:
            self.simulation.power(True)

    def power_cut(self) -> None:
        """Cut 5 V, now."""
        with self.simulation.lock:
            self.simulation.power(False)

    def reset_pin(self) -> None:
        """Press the reset button."""
        with self.simulation.lock:
            self.simulation.reset(POWER_ON)

    # Time

    @property
    def now_ms(self) -> float:
        """Board time since the first power-on."""
        return self.simulation.now_us / 1000

    def run_ms(self, duration_ms: float) -> None:
        """Let board time pass: simulated in this thread, or waited for while `run_background` simulates it."""
        target_us = self.simulation.now_us + round(duration_ms * 1000)
        if self._thread is None:
            self.simulation.run_pinned_to(target_us)
        else:
            while self.simulation.now_us < target_us:
                self._check_background()
                time.sleep(0.002)

    def run_until(self, predicate: Callable[[], bool], limit_ms: float = 10_000, step_ms: float = 1) -> None:
        """Let time pass until `predicate()` holds (looked at every `step_ms`); BoardTimeout if it never does."""
        limit = self.now_ms + limit_ms
        while not predicate():
            if self.now_ms >= limit:
                raise BoardTimeout(f"not within {limit_ms} ms of board time; console: ...{self.console[-400:]!r}")
            self._advance_time(step_ms)

    def _advance_time(self, step_ms: float) -> None:
        if self._thread is None:
            self.run_ms(step_ms)
        else:  # board time may stand still while the chip computes
            self._check_background()
            time.sleep(0.002)

    def at(self, time_ms: float, action: Callable[[], None]) -> None:
        """Call `action` when board time reaches `time_ms`."""
        with self.simulation.lock:
            self.simulation.at(round(time_ms * 1000), action)

    def run_background(self, speed: float | None = None) -> None:
        """Let time run in a thread: `speed` times the wall's, or None for as fast as it goes."""
        if self._thread is not None:
            return
        self._stopping = False
        self._thread = threading.Thread(target=self._background, args=(speed,), name="virtual-board", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Stop `run_background`; board time stands still."""
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            self._stopping = True
            thread.join()

    def _background(self, speed: float | None) -> None:
        try:
            if speed is None:
                while not self._stopping:
                    self.simulation.run_pinned_to(self.simulation.now_us + 20_000, small_steps=True)
                    time.sleep(0)  # let other threads have the lock
                return
            wall_s, board_us = time.monotonic(), self.simulation.now_us
            while not self._stopping:
                target_us = board_us + int((time.monotonic() - wall_s) * 1e6 * speed)
                if target_us > self.simulation.now_us + 500_000 * max(1.0, speed):  # no catching up
                    wall_s, board_us = time.monotonic(), self.simulation.now_us
                self.simulation.run_to(target_us)
                time.sleep(0.002)
        except BaseException as error:
            self._failure = error
            raise

    def _check_background(self) -> None:
        if self._failure is not None:
            raise RuntimeError("the virtual board's thread has died") from self._failure

    # Sound and switches

    def play(self, sound: Samples | Path | str) -> float:
        """Play int16 samples at 16 kHz, or a sound file, from now on; returns when it ends, in board milliseconds."""
        return self.play_at(self.now_ms, sound)

    def play_at(self, time_ms: float, sound: Samples | Path | str) -> float:
        """Play from a moment of board time on; returns when it ends, in board milliseconds."""
        samples = load(Path(sound)) if isinstance(sound, str | Path) else sound
        with self.simulation.lock:
            end = self.simulation.sound.play_at(frame_at(round(time_ms * 1000)), samples)
        return end / RATE_HZ * 1000

    def push_sound(self, samples: Samples) -> None:
        """Append live samples (int16, 16 kHz), as they come from a real microphone."""
        with self.simulation.lock:
            self.simulation.sound.push(frame_at(self.simulation.now_us), np.ascontiguousarray(samples))

    def noise(self, level_dbfs: float | None) -> None:
        """White noise beneath everything from now on; None for none."""
        with self.simulation.lock:
            self.simulation.sound.set_noise(frame_at(self.simulation.now_us), level_dbfs)

    @property
    def microphone(self) -> Mode:
        """The sentinel microphone's fault: ok (none), dead, stuck, clipped or swapped."""
        return self.simulation.sound.mode

    @microphone.setter
    def microphone(self, mode: Mode) -> None:
        if mode not in MODES:
            raise ValueError(f"microphone is one of {', '.join(MODES)}, not {mode!r}")
        with self.simulation.lock:
            self.simulation.sound.mode = mode

    def mute(self, latched: bool) -> None:
        """Press the latching switch in or out."""
        with self.simulation.lock:
            self.simulation.record("mute_switch", latched)
            self.simulation.circuit.throw(self.simulation.now_us, latched)

    def talk(self, pressed: bool, bounce_ms: float = 0) -> None:
        """Press or let go of the talk button; its contact may bounce for a while."""
        with self.simulation.lock:
            self.simulation.record("talk_button", pressed)
            self.simulation.pins.pressed = pressed
            self.simulation.pins.update_inputs()
            if bounce_ms:
                self.simulation.pins.bounce_until_us = self.simulation.now_us + round(bounce_ms * 1000)

    # Observation

    @property
    def history(self) -> list[tuple[float, str, object]]:
        """Everything that changed: (board milliseconds, what, value).

        What: sentinel_relay, guarded_relay (contact driven), sentinel_rail, guarded_rail (above 300 mV), red_led,
        status_led, buzzer (level), power, reset (cause), hang, mute_switch, talk_button.
        """
        return self.simulation.history

    def events(self, *what: str) -> list[tuple[float, object]]:
        """The history of some of its lines: (board milliseconds, value)."""
        return [(at, value) for at, name, value in self.simulation.history if name in what]

    def rail_mv(self, channel: ChannelName) -> float:
        """Millivolts at a microphone's supply, now."""
        return self._channel(channel).rail.input_mv(self.simulation.now_us)

    @property
    def rails(self) -> tuple[float, float]:
        """Millivolts at the sentinel and the guarded microphone's supply, now."""
        return self.rail_mv("sentinel"), self.rail_mv("guarded")

    @property
    def relays(self) -> tuple[bool, bool]:
        """Whether the sentinel's and the guarded's working contact is made."""
        return tuple(c.armature or c.welded for c in self.simulation.circuit.channels)  # type: ignore[return-value]

    @property
    def leds(self) -> dict[str, int]:
        """Red (from the mute throw), amber (one a rail), status and buzzer pins; what `dead_lamp` named is 0."""
        circuit, shown = self.simulation.circuit, self.simulation.pins.output_values
        shining = {
            "red": int(circuit.red),
            "amber_sentinel": int(self.rail_mv("sentinel") > 1900),
            "amber_guarded": int(self.rail_mv("guarded") > 1900),
            "status": shown.get(figures.STATUS_LED_PIN, 0),
            "buzzer": shown.get(figures.BUZZER_PIN, 0),
        }
        return {name: value * (name not in self.dead_lamps) for name, value in shining.items()}

    @property
    def serial_port(self) -> str:
        """Path that pyserial and mpremote open; the port is made when this is first asked for."""
        with self.simulation.lock:
            return self.simulation.port.path

    @property
    def console(self) -> str:
        """Everything the chip has sent (the newest 2 to 4 MB)."""
        return bytes(self.simulation.uart.transmitter.text).decode("utf-8", "replace")

    def send(self, data: bytes) -> None:
        """Put bytes on the line to the board without a serial port, free of line faults."""
        with self.simulation.lock:
            self.simulation.uart.receiver.put(data)

    def wait_for(self, pattern: str, limit_ms: float = 10_000) -> re.Match[str]:
        """Let time pass until the console shows `pattern` after the previous match; else BoardTimeout."""
        compiled = re.compile(pattern)
        limit = self.now_ms + limit_ms
        while True:
            with self.simulation.lock:
                transmitter = self.simulation.uart.transmitter
                dropped = transmitter.total - len(transmitter.text)
                text = bytes(transmitter.text[max(0, self._console_read - dropped) :]).decode("latin-1")
            match = compiled.search(text)
            if match:
                self._console_read = max(self._console_read, dropped) + match.end()
                return match
            if self.now_ms >= limit:
                raise BoardTimeout(f"no {pattern!r} within {limit_ms} ms of board time; console: ...{text[-400:]!r}")
            self._advance_time(5)

    def read_files(self) -> dict[str, bytes]:
        """Every file in the flash, read with the reference littlefs."""
        with self.simulation.lock:
            files = filesystem.read_files(self.simulation.flash.data)
        return {path.removeprefix("/"): data for path, data in files.items()}

    @property
    def resets(self) -> list[tuple[float, int]]:
        """Every reset: board milliseconds and MicroPython's cause (1 power, 2 hard, 3 watchdog, 5 soft)."""
        return self.simulation.resets
