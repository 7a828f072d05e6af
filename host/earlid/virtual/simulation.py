# SPDX-License-Identifier: MIT
"""Discrete-event simulation of the board: owns time, which moves only by what the chip waits for, and answers its requests."""

from __future__ import annotations

import heapq
import os
import random
import struct
import threading
import time
from collections.abc import Callable

from earlid.virtual import protocol as p
from earlid.virtual.adc import Adc
from earlid.virtual.affinity import share_cpu
from earlid.virtual.circuit import NEVER, Circuit, Constants
from earlid.virtual.figures import Figures
from earlid.virtual.i2s import I2sDriver, MicrophonePower
from earlid.virtual.nor_flash import NorFlash, PowerLost
from earlid.virtual.pins import Pins
from earlid.virtual.processor import Processor
from earlid.virtual.pty_port import PtyPort
from earlid.virtual.rtc_memory import RtcMemory
from earlid.virtual.sound import Sound
from earlid.virtual.timing import Timing
from earlid.virtual.uart import Uart

POWER_ON, HARD, WATCHDOG, SOFT, BROWN_OUT = range(5)
# What the ESP32's ROM calls them (the number is also in its RTC_CNTL_RESET_STATE_REG), and what MicroPython calls them
_ROM_CAUSES = {
    POWER_ON: (0x1, b"POWERON_RESET", 1),
    HARD: (0xC, b"SW_CPU_RESET", 2),
    WATCHDOG: (0xC, b"SW_CPU_RESET", 3),
    SOFT: (0xC, b"", 5),
    BROWN_OUT: (0xF, b"RTCWDT_BROWN_OUT_RESET", 1),
}
_REQUEST = struct.Struct("<6I")
_ANSWER = struct.Struct("<QQiI")
_EVENTS = [struct.Struct(f"<{2 * n}I") for n in range(p.MAX_EVENTS + 1)]
_FLASH_OPS = (p.OP_FLASH_WRITE, p.OP_FLASH_ERASE)
_POLL_MS = 5  # how long to wait for a request before checking what the chip does
_BUSY_CPU_S = 0.05  # computing longer than this, the chip gets serial input and Ctrl-C in the middle of it

OFF, BOOTING, RUNNING, WAITING, HUNG = "off", "booting", "running", "waiting", "hung"
HISTORY_LIMIT = 1_000_000


class Simulation:
    """The board without its public interface. `lock` guards every step; nothing else may touch it while a step runs."""

    def __init__(
        self, flash: NorFlash, sound: Sound, port: PtyPort, processor: Processor, constants: Constants, adc: Adc,
        figures: Figures, seed: int, entropy: int,
    ) -> None:  # fmt: skip
        self.flash, self.sound, self.port, self.processor = flash, sound, port, processor
        self.adc = adc
        self.rng = random.Random(entropy)
        self.timing = Timing()
        self.lock = threading.RLock()
        self.now_us = self.clock_offset_us = 0  # offset: how far the chip's clock is ahead
        self.state = OFF
        self.history: list[tuple[float, str, object]] = []
        self.microphone_power = MicrophonePower()
        self.rtc_memory = RtcMemory(seed)
        self.circuit = Circuit(constants, self._on_change, figures)
        self.pins = Pins(self.circuit, self._on_change, self.rng)
        self.uart = Uart(port, processor)
        self.i2s = I2sDriver()
        self.resets: list[tuple[float, int]] = []
        self.boots = 0
        self.phase = 0
        self.cause = POWER_ON
        self.hang_at_request: int | None = None
        self.requests = 0
        self._boot_at_us = NEVER
        self._answered_us = 0
        self._answer_due_us = NEVER
        self._pending_answer: tuple[int, int, int, bytes] = (0, 0, 0, b"")  # op, argument, status, payload
        self._wdt_timeout_us = 0
        self._wdt_at_us = NEVER
        self._actions: list[tuple[int, int, Callable[[], None]]] = []
        self._action_count = 0
        self._cpu_s = 0.0
        self._pinned = False
        self._appended = False  # something was written to flash since the last hop of sound

    # --- time ---

    def run_to(self, target_us: int, small_steps: bool = False) -> None:
        """Step until `target_us`. `small_steps`: advance time by 10 ms at most while the chip waits for input."""
        while self.now_us < target_us:
            with self.lock:
                self.step(target_us, small_steps)

    def run_pinned_to(self, target_us: int, small_steps: bool = False) -> None:
        """As `run_to`, with this thread and the chip on one processor: switching between them is ten times cheaper there."""
        before = share_cpu(self.processor.pids)
        self._pinned = before is not None
        try:
            self.run_to(target_us, small_steps)
        finally:
            self._pinned = False
            if before is not None:
                os.sched_setaffinity(0, before)

    def step(self, target_us: int, small_steps: bool = False) -> None:
        """One step: at most one request from the chip or one answer to it."""
        if self.state == WAITING:
            self._advance(min(self._answer_due_us, target_us))
            if self.state == WAITING and self.now_us >= self._answer_due_us:
                self._answer()
            elif self.state == WAITING:
                self._exchange_serial(0)
                if self.uart.interrupt and self._pending_answer[0] == p.OP_SLEEP:
                    self._answer_due_us = self.now_us
        elif self.state == RUNNING:
            self._await_request(target_us, small_steps)
        else:
            self._exchange_serial(0)
            if small_steps and self.state != BOOTING:
                time.sleep(0.002)
                target_us = min(target_us, self.now_us + 10_000)
            self._advance(min(target_us, max(self._boot_at_us, self.now_us)))
            if self.state == BOOTING and self.now_us >= self._boot_at_us:
                self._start_chip()

    def at(self, time_us: int, action: Callable[[], None]) -> None:
        """Do something at a moment of board time."""
        self._action_count += 1
        heapq.heappush(self._actions, (max(time_us, self.now_us), self._action_count, action))

    def _advance(self, to_us: int) -> bool:
        # Process the events of circuit, watchdog and test up to then; False if the chip was reset on the way
        boots, circuit, actions = self.boots, self.circuit, self._actions
        if circuit.next_us > to_us < self._wdt_at_us and (not actions or actions[0][0] > to_us):  # nothing falls due
            if to_us > self.now_us:
                self.now_us = to_us
            return True
        while True:
            next_us = min(circuit.next_us, self._wdt_at_us)
            if actions and actions[0][0] < next_us:
                next_us = actions[0][0]
            if next_us > to_us:
                break
            self.now_us = max(self.now_us, next_us)
            if circuit.next_us <= next_us:
                circuit.advance(next_us)
            elif actions and actions[0][0] <= next_us:
                heapq.heappop(actions)[2]()
            else:
                self.reset(WATCHDOG)
            if self.boots != boots:
                return False
        if to_us > self.now_us:
            self.now_us = to_us
        return True

    def _on_change(self, time_us: int, what: str, value: object) -> None:
        self.history.append((time_us / 1000, what, value))
        if len(self.history) > HISTORY_LIMIT:
            del self.history[: HISTORY_LIMIT // 2]
        if what == f"{self.circuit.sentinel.name}_rail":
            self.microphone_power.rail(time_us, bool(value))

    def record(self, what: str, value: object) -> None:
        """Append a line to the history now."""
        self._on_change(self.now_us, what, value)

    # --- the chip's life ---

    def power(self, on: bool, cause: int = POWER_ON) -> None:
        """The board's supply."""
        if on == self.circuit.powered:
            return
        self.record("power", on)
        self.circuit.power(self.now_us, on)
        if on:
            self._restart(cause, self.timing.boot_us)
        else:
            self._stop_chip()
            self.boots += 1
            self.state = OFF
            self._boot_at_us = NEVER

    def reset(self, cause: int) -> None:
        """A reset that clears everything: watchdog, reset pin, `machine.reset`."""
        if self.circuit.powered:
            self._stop_chip()
            self._restart(cause, self.timing.boot_us)

    def _stop_chip(self) -> None:
        self.uart.read_output(self.now_us)
        self.processor.kill()
        self.i2s.receiver = None
        self._wdt_timeout_us, self._wdt_at_us = 0, NEVER
        self.uart.reset()
        self.pins.reset(self.now_us)

    def _soft_reset(self) -> None:
        # As on the ESP32: pins keep their levels and a started watchdog goes on counting
        self.uart.read_output(self.now_us)
        self.processor.kill()
        self.i2s.receiver = None
        self.uart.emit(b"MPY: soft reboot\r\n")
        self._restart(SOFT, self.timing.soft_boot_us)

    def _restart(self, cause: int, after_us: int) -> None:
        self.boots += 1
        self.cause = cause
        self.phase = 0
        number, name, micropython_cause = _ROM_CAUSES[cause]
        self.record("reset", micropython_cause)
        self.resets.append((self.now_us / 1000, micropython_cause))
        if cause in (POWER_ON, BROWN_OUT):
            self.rtc_memory.lose_supply()
        self.state = BOOTING
        self._boot_at_us = self.now_us + after_us
        if name:
            self.uart.emit(b"rst:0x%x (%s),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n" % (number, name))

    def _start_chip(self) -> None:
        transmitter = self.uart.transmitter
        transmitter.reset(self.cause == SOFT and transmitter.raw_repl)
        self.processor.start(self.flash.content_fd)
        if self._pinned:
            share_cpu((self.processor.pid,))
        self.state = RUNNING
        self._boot_at_us = NEVER
        self._answered_us = self.now_us
        self._cpu_s = 0.0

    # --- the chip's requests ---

    def _exchange_serial(self, timeout_ms: int) -> bool:
        coding = self.phase == p.PHASE_CODE
        return self.uart.transfer(self.now_us, timeout_ms, coding, self.phase != 0)

    def _await_request(self, target_us: int, small_steps: bool) -> None:
        if self._exchange_serial(_POLL_MS):
            self._read_request()
            return
        sleeping, cpu_s = self.processor.activity()
        self._cpu_s = self._cpu_s or cpu_s
        sleeping = sleeping and not self.processor.unread_input()
        if not sleeping and cpu_s - self._cpu_s < _BUSY_CPU_S:
            return
        uart, delivered = self.uart, self.uart.delivered
        if self._exchange_serial(0):  # a request may have come meanwhile
            self._read_request()
        elif uart.delivered > delivered:
            pass  # now it has something to read
        elif uart.interrupt and self.processor.interruptible():
            uart.interrupt = False
            self.processor.interrupt()
        elif sleeping:
            self._advance(min(target_us, self.now_us + 10_000) if small_steps else target_us)
        elif cpu_s - self._cpu_s > self.timing.hang_cpu_s and (self._wdt_timeout_us or self.phase != p.PHASE_REPL):
            # It computes for ever without a request: time goes on without it (at the REPL it may be an honest computation)
            self._advance(min(target_us, self.now_us + 1_000_000))

    def _read_request(self) -> None:
        packet = os.read(self.processor.request_fd, 4096)
        if packet:
            self._handle_request(packet)
        elif self.phase == p.PHASE_REPL:
            self._soft_reset()
        else:  # MicroPython itself crashed
            self.reset(HARD)

    def _handle_request(self, packet: bytes) -> None:
        op, events, elapsed_us, a, b, fed = _REQUEST.unpack_from(packet)
        boots, base_us = self.boots, self._answered_us
        if fed and self._wdt_timeout_us and self._wdt_at_us > base_us + fed:
            self._wdt_at_us = base_us + fed + self._wdt_timeout_us
        self._cpu_s = 0.0
        if events:
            fields = _EVENTS[events].unpack_from(packet, p.REQUEST_HEADER)
            for i in range(0, 2 * events, 2):
                self._event(base_us + fields[i], fields[i + 1])
                if self.boots != boots:
                    return
        arrive_us = max(self.now_us, base_us + elapsed_us)
        if self.uart.stall_us:
            arrive_us += self.uart.stall_us
            self.uart.stall_us = 0
        self.requests += 1
        if self.hang_at_request is not None and self.requests >= self.hang_at_request:
            self.hang_at_request = None
            self.state = HUNG
            self.record("hang", self.requests)
        elif self._advance(arrive_us):
            self.state = WAITING
            if op == p.OP_I2S_READ:
                self._appended = False
                self._schedule_sound(a, bool(b), arrive_us)
            else:
                self._dispatch(op, a, b, packet[p.REQUEST_HEADER + 8 * events :])

    def _event(self, time_us: int, what: int) -> None:
        if not self._advance(time_us):
            return
        kind, pin, value = what >> 8 & 0xFF, what & 0xFF, what >> 16
        if kind == p.EVENT_LEVEL:
            self.pins.levels[pin] = value
            self.pins.drive(self.now_us, pin)
        elif kind == p.EVENT_MODE:
            self.pins.outputs[pin] = value
            self.pins.drive(self.now_us, pin)

    def _schedule_sound(self, size: int, waits: bool, arrive_us: int) -> None:
        receiver = self.i2s.receiver
        if receiver is None:
            raise RuntimeError("the chip reads sound from a driver that does not run")
        self._pending_answer = (p.OP_I2S_READ, size, 0, b"")
        self._answer_due_us = self.i2s.due_us(receiver, size, waits, arrive_us)

    def _schedule_answer(self, op: int, due_us: int, status: int = 0, payload: bytes = b"") -> None:
        self._pending_answer = (op, 0, status, payload)
        self._answer_due_us = due_us

    def _dispatch(self, op: int, a: int, b: int, payload: bytes) -> None:
        now_us = self.now_us
        if op == p.OP_SLEEP:
            self._schedule_answer(op, now_us + a)
        elif op == p.OP_SYNC:
            self._schedule_answer(op, now_us)
        elif op in _FLASH_OPS:
            self._access_flash(op, a, b, payload)
        elif op == p.OP_I2S_START:
            self._schedule_answer(op, now_us, self.i2s.start(now_us, payload))
        elif op == p.OP_WDT_START:
            self._wdt_timeout_us = a * 1000
            self._wdt_at_us = now_us + self._wdt_timeout_us
            self._schedule_answer(op, now_us)
        elif op == p.OP_HELLO:
            number, _, micropython_cause = _ROM_CAUSES[self.cause]
            adc, read_us = self.adc, self.timing.flash_read_us
            hello = bytes([self.uart.transmitter.raw_repl, micropython_cause, number, adc.scheme, adc.end + 1, read_us, 0, 0])
            hello += self.rng.getrandbits(63).to_bytes(8, "little") + self.timing.pack()
            self._schedule_answer(op, now_us, payload=hello.ljust(p.HELLO_BYTES))
        elif op == p.OP_PHASE:
            self.phase = a
            if a == p.PHASE_REPL and self.uart.transmitter.raw_repl:
                self.uart.start_raw()
            self._schedule_answer(op, now_us)
        elif op == p.OP_RTC_WRITE:
            self.rtc_memory.write(payload[:a])
            self._schedule_answer(op, now_us)
        elif op == p.OP_RTC_READ:
            content = self.rtc_memory.content
            self._schedule_answer(op, now_us, len(content), content.ljust(p.RTC_BYTES, b"\0"))
        elif op == p.OP_RESET:
            self.reset(HARD)
        elif op == p.OP_SOFT_RESET:
            self._soft_reset()
        else:
            raise RuntimeError(f"the chip sent request {op}, which is not in the protocol")

    def _access_flash(self, op: int, address: int, length: int, payload: bytes) -> None:
        try:
            if op == p.OP_FLASH_WRITE:
                status, took_us = self.flash.program(address, payload[:length])
                took_us += 0 if self._appended else self.timing.append_us
                self._appended = True
            else:
                status, took_us = self.flash.erase(address, length)
        except PowerLost:
            self.power(False)
            return
        self._schedule_answer(op, self.now_us + took_us, status)

    def _answer(self) -> None:
        op, size, status, payload = self._pending_answer
        receiver = self.i2s.receiver
        if size and receiver is not None:
            status, payload = self.i2s.read(receiver, size, self.now_us, self.sound, self.microphone_power)
        flags = 0
        if self.uart.interrupt and op not in _FLASH_OPS and op != p.OP_HELLO:
            self.uart.interrupt = False
            flags = p.FLAG_INTERRUPT
        inputs, adc = self.pins.sample(self.now_us)
        self.state = RUNNING
        self._answered_us = self.now_us
        try:
            os.write(
                self.processor.answer_fd, _ANSWER.pack(self.now_us + self.clock_offset_us, inputs, status, flags) + adc + payload
            )
        except BrokenPipeError:
            pass  # it died while it waited; the next step notices

    def close(self) -> None:
        """End the processes and let go of files."""
        self.processor.close()
        self.port.unplug()
        self.flash.close()
