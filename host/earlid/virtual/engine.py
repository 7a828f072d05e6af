"""Nature: owns time, and answers the chip. Nothing moves but by what the chip waits for (or the wall's clock, if wanted)."""

from __future__ import annotations

import heapq
import os
import random
import select
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lid import circuit as figures

from . import protocol as p
from .affinity import share_cpu
from .capture import Awake, Capture
from .circuit import NEVER, Circuit, Constants
from .console import RX_BUFFER_BYTES, Receiver, Transmitter
from .flash import Flash, PowerLost
from .port import Port
from .processor import Processor
from .sound import RATE_HZ, Sound

POWER_ON, HARD, WATCHDOG, DEEP_SLEEP, SOFT = 1, 2, 3, 4, 5
_ROM_CAUSES = {POWER_ON: (1, "POWERON_RESET"), HARD: (12, "SW_CPU_RESET"), WATCHDOG: (12, "SW_CPU_RESET")}
_REQUEST = struct.Struct("<6I")
_ANSWER = struct.Struct("<QQiI")
_ADC = struct.Struct("<8H")
_EVENTS = [struct.Struct(f"<{2 * n}I") for n in range(p.MAX_EVENTS + 1)]
_PATIENCE_MS = 5  # how long to wait for the chip before looking what it does

OFF, BOOTING, RUNNING, WAITING, HUNG = "off", "booting", "running", "waiting", "hung"
PUMP_PINS = {figures.SENTINEL_PUMP_PIN: "sentinel", figures.GUARDED_PUMP_PIN: "guarded"}
SHOWN_PINS = {figures.STATUS_LED_PIN: "status_led", figures.BUZZER_PIN: "buzzer"}
HISTORY_LIMIT = 1_000_000


@dataclass
class Speeds:
    """What the chip's own work costs in board time, microseconds, and how silence is judged, wall seconds."""

    hop_us: int = 2_000  # modelled work of one hop, added to every I2S read
    boot_us: int = 300_000
    soft_boot_us: int = 50_000
    flash_read_us: int = 60
    hang_cpu_s: float = 1.5


class Engine:
    """The whole board but its public face. `lock` guards every step; nothing else may touch it while a step runs."""

    def __init__(self, flash: Flash, sound: Sound, port: Port, processor: Processor, constants: Constants, seed: int) -> None:
        self.flash, self.sound, self.port, self.processor = flash, sound, port, processor
        self.seed = seed
        self.rng = random.Random(seed)
        self.speeds = Speeds()
        self.lock = threading.RLock()
        self.now_us = 0
        self.state = OFF
        self.history: list[tuple[float, str, object]] = []
        self.circuit = Circuit(constants, self._changed)
        self.transmitter = Transmitter()
        self.receiver = Receiver()
        self.awake = Awake()
        self.capture: Capture | None = None
        self.resets: list[tuple[float, int]] = []
        self.boots = 0
        self.phase = 0
        self.cause = POWER_ON
        self.inputs = 1 << figures.TALK_BUTTON_PIN
        self.pressed = False
        self.bounce_until_us = 0
        self.stuck: dict[int, int] = {}
        self.outputs: dict[int, int] = {}
        self.levels: dict[int, int] = {}
        self.shown: dict[int, int] = {}
        self.hang_at: int | None = None
        self.requests = 0
        self.lost_frames = 0
        self._boot_at_us = NEVER
        self._answered_us = 0
        self._due_us = NEVER
        self._owed: tuple[int, int, int, bytes] = (0, 0, 0, b"")  # op, argument, status, payload
        self._wdt_timeout_us = 0
        self._wdt_at_us = NEVER
        self._actions: list[tuple[int, int, Callable[[], None]]] = []
        self._action_count = 0
        self._interrupt = False
        self._cpu_s = 0.0
        self._stall_us = 0
        self._adc = _ADC.pack(*[0] * 8)
        self._adc_key = (-1, 0)
        self._poll = select.poll()
        self._polled = (-1, -1, -1)
        self._pumps = 0

    # Time

    def run_to(self, target_us: int, gently: bool = False) -> None:
        """Step until `target_us`. `gently`: while the chip waits for input, let time run in small steps only."""
        while self.now_us < target_us:
            with self.lock:
                self.step(target_us, gently)

    def race_to(self, target_us: int, gently: bool = False) -> None:
        """As `run_to`, with this thread and the chip on one processor: they take turns, and waking is ten times cheaper."""
        before = share_cpu(self.processor.pids)
        if before is None:
            self.run_to(target_us, gently)
            return
        try:
            self.run_to(target_us, gently)
        finally:
            os.sched_setaffinity(0, before)

    def step(self, target_us: int, gently: bool = False) -> None:
        """One step: at most one word from the chip or to it."""
        if self.state == WAITING:
            self._advance(min(self._due_us, target_us))
            if self.state == WAITING and self.now_us >= self._due_us:
                self._answer()
            return
        if self.state == RUNNING:
            self._listen(target_us, gently)
            return
        self._pump(0)
        if gently and self.state != BOOTING:
            time.sleep(0.002)
            target_us = min(target_us, self.now_us + 10_000)
        self._advance(min(target_us, max(self._boot_at_us, self.now_us)))
        if self.state == BOOTING and self.now_us >= self._boot_at_us:
            self._boot()

    def at(self, time_us: int, action: Callable[[], None]) -> None:
        """Do something at a moment of board time."""
        self._action_count += 1
        heapq.heappush(self._actions, (max(time_us, self.now_us), self._action_count, action))

    def _advance(self, to_us: int) -> bool:
        # Let the copper, the watchdog and the test's actions happen; False if the chip was reset on the way
        boots, state = self.boots, self.state
        circuit, actions = self.circuit, self._actions
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
            if self.boots != boots or (self.state != state and self.state in (OFF, BOOTING)):
                return False
        if to_us > self.now_us:
            self.now_us = to_us
        return True

    def _changed(self, time_us: int, what: str, value: object) -> None:
        self.history.append((time_us / 1000, what, value))
        if len(self.history) > HISTORY_LIMIT:
            del self.history[: HISTORY_LIMIT // 2]
        if what == "sentinel_rail":
            self.awake.rail(time_us, bool(value))

    def note(self, what: str, value: object) -> None:
        """Put a line into the history now."""
        self._changed(self.now_us, what, value)

    # The chip's life

    def power(self, on: bool) -> None:
        """The board's supply."""
        if on == self.circuit.powered:
            return
        self.note("power", on)
        self.circuit.power(self.now_us, on)
        if on:
            self._restart(POWER_ON, self.speeds.boot_us)
        else:
            self._silence_chip()
            self.state = OFF
            self._boot_at_us = NEVER

    def reset(self, cause: int) -> None:
        """A reset that clears everything: watchdog, reset pin, `machine.reset`."""
        if not self.circuit.powered:
            return
        self.note("reset", cause)
        self._silence_chip()
        self._restart(cause, self.speeds.boot_us)

    def _silence_chip(self) -> None:
        self._take_output()
        self.processor.kill()
        self.capture = None
        self._interrupt = False
        self._wdt_timeout_us, self._wdt_at_us = 0, NEVER
        self.receiver.queue.clear()
        for pin in list(self.outputs):
            self.outputs[pin] = 0
            self.drive_pin(self.now_us, pin)
        self.outputs.clear()
        self.levels.clear()
        self.transmitter.reset(False)

    def _soft_reset(self) -> None:
        self._take_output()
        self.processor.kill()
        self.note("reset", SOFT)
        self.capture = None
        self._say(b"MPY: soft reboot\r\n")
        self._restart(SOFT, self.speeds.soft_boot_us)

    def _restart(self, cause: int, after_us: int) -> None:
        self.boots += 1
        self.cause = cause
        self.phase = 0
        self.resets.append((self.now_us / 1000, cause))
        self.state = BOOTING
        self._boot_at_us = self.now_us + after_us
        if cause in _ROM_CAUSES:
            self._say(b"rst:0x%x (%s),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n" % (_ROM_CAUSES[cause][0], _ROM_CAUSES[cause][1].encode()))

    def _boot(self) -> None:
        self.transmitter.reset(self.cause == SOFT and self.transmitter.raw_repl)
        self.processor.start()
        self.state = RUNNING
        self._boot_at_us = NEVER
        self._answered_us = self.now_us
        self._cpu_s = 0.0

    # Hearing the chip

    def _listen(self, target_us: int, gently: bool) -> None:
        if self._pump(_PATIENCE_MS):
            self._hear()
            return
        sleeping, cpu_s = self.processor.activity()
        self._cpu_s = self._cpu_s or cpu_s
        sleeping = sleeping and not self.processor.unread_input()
        if sleeping and self._pump(0):  # it may have spoken meanwhile
            self._hear()
            return
        if self._interrupt and (sleeping or cpu_s - self._cpu_s > 0.05) and self.processor.interruptible():
            self._interrupt = False
            self.processor.interrupt()
        elif sleeping:
            self._advance(min(target_us, self.now_us + 10_000) if gently else target_us)
            return
        if cpu_s - self._cpu_s > self.speeds.hang_cpu_s:
            if not self._wdt_timeout_us and self.phase == p.PHASE_REPL:
                return  # a long computation at the REPL: wait for it
            self._hung(target_us)

    def _hear(self) -> None:
        packet = os.read(self.processor.request_fd, 65536)
        if packet:
            self._serve(packet)
        elif self.phase == p.PHASE_REPL:
            self._soft_reset()
        else:  # MicroPython itself crashed
            self.reset(HARD)

    def _hung(self, target_us: int) -> None:
        # It computes for ever without a word: time goes on without it
        if self.state == RUNNING:
            self._advance(min(target_us, self.now_us + 1_000_000))

    def _serve(self, packet: bytes) -> None:
        op, held, elapsed_us, a, b, _ = _REQUEST.unpack_from(packet)
        boots = self.boots
        base_us = self._answered_us
        self._cpu_s = 0.0
        if held:
            words = _EVENTS[held].unpack_from(packet, p.REQUEST_HEADER)
            for i in range(0, 2 * held, 2):
                self._event(base_us + words[i], words[i + 1])
                if self.boots != boots:
                    return
        arrive_us = max(self.now_us, base_us + elapsed_us)
        if self._stall_us:
            arrive_us += self._stall_us
            self._stall_us = 0
        self.requests += 1
        if self.hang_at is not None and self.requests >= self.hang_at:
            self.hang_at = None
            self.state = HUNG
            self.note("hang", self.requests)
            self._boot_at_us = NEVER
            return
        if not self._advance(arrive_us):
            return
        self.state = WAITING
        if op == p.OP_I2S_READ:
            self._owe_sound(a, arrive_us + self.speeds.hop_us)
        else:
            self._dispatch(op, a, b, packet[p.REQUEST_HEADER + 8 * held :])

    def _owe_sound(self, count: int, arrive_us: int) -> None:
        capture = self.capture
        if capture is None:
            self._owe(p.OP_I2S_READ, arrive_us, payload=bytes(count))
            return
        capture.arrive(arrive_us)
        self._owed = (p.OP_I2S_READ, count, 0, b"")
        self._due_us = max(arrive_us, capture.ready_us(count // capture.frame_bytes))

    def _owe(self, op: int, due_us: int, status: int = 0, payload: bytes = b"", argument: int = 0) -> None:
        self._owed = (op, argument, status, payload)
        self._due_us = due_us

    def _dispatch(self, op: int, a: int, b: int, payload: bytes) -> None:
        now_us = self.now_us
        if op == p.OP_SLEEP:
            self._owe(op, now_us + a)
        elif op == p.OP_SYNC:
            self._owe(op, now_us)
        elif op == p.OP_FLASH_READ:
            status, data = self.flash.read(a, b)
            self._owe(op, now_us + self.speeds.flash_read_us, status, data)
        elif op in (p.OP_FLASH_WRITE, p.OP_FLASH_ERASE):
            try:
                status, took_us = self.flash.program(a, payload[:b]) if op == p.OP_FLASH_WRITE else self.flash.erase(a, b)
            except PowerLost:
                self.power(False)
                return
            self._owe(op, now_us + took_us, status)
        elif op == p.OP_I2S_START:
            bits, stereo, rate_hz, ibuf = struct.unpack("<4I", payload[:16])
            self.capture = Capture(now_us, bits, bool(stereo), rate_hz, ibuf)
            self._owe(op, now_us)
        elif op == p.OP_I2S_STOP:
            self.capture = None
            self._owe(op, now_us)
        elif op == p.OP_WDT_START:
            self._wdt_timeout_us = a * 1000
            self._wdt_at_us = now_us + self._wdt_timeout_us
            self._owe(op, now_us)
        elif op == p.OP_HELLO:
            hello = bytes([self.transmitter.raw_repl, self.cause]) + bytes(6)
            self._owe(op, now_us, payload=hello + self.rng.getrandbits(63).to_bytes(8, "little"))
        elif op == p.OP_PHASE:
            self.phase = a
            if a == p.PHASE_REPL and self.transmitter.raw_repl:
                self.transmitter.hide_until_raw()
                os.write(self.processor.stdin_fd, b"\x01")
            self._owe(op, now_us)
        elif op == p.OP_RESET:
            self.reset(HARD)
        elif op == p.OP_SOFT_RESET:
            self._soft_reset()
        else:
            raise RuntimeError(f"the chip sent request {op}, which nobody knows")

    def _answer(self) -> None:
        op, argument, status, payload = self._owed
        if op == p.OP_I2S_READ and self.capture is not None and argument:
            capture = self.capture
            payload = capture.take(argument // capture.frame_bytes, self.sound, self.awake)
            self.lost_frames += capture.lost_frames
            capture.lost_frames = 0
        flags = 0
        if self._interrupt and op not in (p.OP_FLASH_READ, p.OP_FLASH_WRITE, p.OP_FLASH_ERASE, p.OP_HELLO):
            self._interrupt = False
            flags = p.FLAG_INTERRUPT
        now_us = self.now_us
        circuit = self.circuit
        changes = circuit.changes + circuit.sentinel.changes + circuit.guarded.changes
        key, settled_us = self._adc_key
        if key != changes or now_us < settled_us + 100_000:
            self._adc_key = (changes, circuit.settled_us())
            sentinel, guarded, arm, mute = circuit.adc_mv(now_us)
            self._adc = _ADC.pack(0, 0, sentinel, guarded, arm, 0, 0, mute)
        if now_us < self.bounce_until_us:
            self.inputs ^= self.rng.getrandbits(1) << figures.TALK_BUTTON_PIN
        elif self.bounce_until_us:
            self.bounce_until_us = 0
            self.settle_inputs()
        self.state = RUNNING
        self._answered_us = now_us
        try:
            os.write(self.processor.answer_fd, _ANSWER.pack(now_us, self.inputs, status, flags) + self._adc + payload)
        except BrokenPipeError:
            pass  # it died while it waited; the next listen finds out

    def settle_inputs(self) -> None:
        """Levels of the input pins after all bouncing."""
        mask = 0 if self.pressed else 1 << figures.TALK_BUTTON_PIN
        for pin, level in self.stuck.items():
            mask = mask & ~(1 << pin) | level << pin
        self.inputs = mask

    # Pins

    def _event(self, time_us: int, what: int) -> None:
        if time_us > self.now_us and not self._advance(time_us):
            return
        kind, pin, value = what >> 8 & 0xFF, what & 0xFF, what >> 16
        if kind == p.EVENT_LEVEL:
            self.levels[pin] = value
            self.drive_pin(self.now_us, pin)
        elif kind == p.EVENT_FEED:
            if self._wdt_timeout_us:
                self._wdt_at_us = self.now_us + self._wdt_timeout_us
        elif kind == p.EVENT_MODE:
            self.outputs[pin] = value
            self.drive_pin(self.now_us, pin)
        elif kind == p.EVENT_PWM and pin in SHOWN_PINS:
            self.note(SHOWN_PINS[pin], value)

    def drive_pin(self, time_us: int, pin: int) -> None:
        """Let a pin's level, as chip or fault sets it, have its effect."""
        # A pin that is no output floats; the pump's first capacitor sees no edge from that
        level = self.stuck.get(pin, self.levels.get(pin, 0) if self.outputs.get(pin) else 0)
        name = PUMP_PINS.get(pin)
        if name is not None:
            self.circuit.drive(time_us, self.circuit.sentinel if name == "sentinel" else self.circuit.guarded, level)
        elif pin in SHOWN_PINS and self.shown.get(pin, 0) != level:
            self.shown[pin] = level
            self._changed(time_us, SHOWN_PINS[pin], level)

    # Serial

    def _watch(self, wanted: tuple[int, int, int]) -> None:
        for fd in self._polled:
            if fd >= 0:
                try:
                    self._poll.unregister(fd)
                except KeyError:
                    pass
        for fd in wanted:
            if fd >= 0:
                self._poll.register(fd, select.POLLIN)
        self._polled = wanted

    def _pump(self, patience_ms: int) -> bool:
        """Carry serial bytes both ways; True when the chip has said something (or ended)."""
        self._pumps += 1
        port = self.port
        if not self._pumps & 15:
            port.look()
        wanted = (self.processor.request_fd, self.processor.stdout_fd, port.listening_fd)
        if wanted != self._polled:
            self._watch(wanted)
        spoken = False
        for fd, event in self._poll.poll(patience_ms):
            if fd == wanted[0]:
                spoken = True
            elif fd == wanted[1]:
                if event & select.POLLIN:
                    self._take_output()
                else:
                    spoken = True
            else:
                self.receiver.put(port.read())
        if self.receiver.queue and self.state in (RUNNING, WAITING):
            self._give_input()
        return spoken

    def _take_output(self) -> None:
        if self.processor.stdout_fd < 0:
            return
        while True:
            try:
                data = os.read(self.processor.stdout_fd, 65536)
            except BlockingIOError:
                return
            if not data:
                return
            sent = self.transmitter.take(data)
            if sent:
                self._stall_us += self.transmitter.stall_us(self.now_us, len(sent))
                self.port.write(sent)

    def _say(self, text: bytes) -> None:
        self.transmitter.keep(text)
        self.port.write(text)

    def _give_input(self) -> None:
        room = RX_BUFFER_BYTES - self.processor.unread_input()
        data = self.receiver.due(self.now_us, room, self.phase == p.PHASE_CODE)
        if b"\x03" in data and self.phase and self.processor.interruptible():
            data = data.replace(b"\x03", b"")
            self._interrupt = True
            if self.state == WAITING and self._owed[0] == p.OP_SLEEP:
                self._due_us = self.now_us
        if data:
            try:
                os.write(self.processor.stdin_fd, data)
            except BrokenPipeError:
                pass

    def close(self) -> None:
        """End the processes and let go of files."""
        self.processor.close()
        self.port.unplug()
        self.flash.close()


def make(
    *, flash_path: Path | None, seed: int, heap_bytes: int, constants: Constants, link: Path | None
) -> Engine:
    """An engine with all its parts."""
    return Engine(
        Flash(flash_path, random.Random(seed ^ 0x0F1A54)), Sound(seed), Port(link), Processor(heap_bytes), constants, seed
    )


def frame_at(time_us: int) -> int:
    """The first sound frame that begins at or after a moment of board time."""
    return -(-time_us * RATE_HZ // 1_000_000)
