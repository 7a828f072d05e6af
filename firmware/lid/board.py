# SPDX-License-Identifier: MIT
# The only module that touches the machine: pins, rails, microphone, watchdog, flash, port.
import hashlib
import os
import select
import sys
import time

import esp32
import machine
from micropython import const, kbd_intr

from lid import circuit, health

_WATCHDOG_MS = const(2000)
_SILENT_HOPS = const(50)  # no sample for so long after its start: the I2S driver is dead
_ENOMEM = const(12)
_RING_BYTES = const(12288)  # the I2S driver makes 6 buffers of 256 frames of it, 8 bytes a frame: 96 ms
_RESET_STATE = const(0x3FF48034)  # ESP32 RTC_CNTL_RESET_STATE_REG: low 6 bits say why the first core was reset
_BROWN_OUT = const(15)
_NOISE_READINGS = const(64)
_EDGE_US = const(3000)  # two edges of a pump within 1.2 ms cancel in DRIVE's RC
_CAUSES = {1: "power-on", 2: "reset-pin", 3: "watchdog", 4: "deep-sleep", 5: "soft-reset"}


class Board:
    def __init__(self):
        # The pumps first: whatever follows, no coil is fed.
        self._pumps = (
            machine.Pin(circuit.SENTINEL_PUMP_PIN, machine.Pin.OUT, value=0),
            machine.Pin(circuit.GUARDED_PUMP_PIN, machine.Pin.OUT, value=0),
        )
        machine.freq(240000000)  # 160 MHz after a reset
        self.listening = False  # feed the sentinel's relay
        self.guarding = False  # feed the lid's relay
        self._level = 0
        self._edge_us = time.ticks_us()
        self._status_led = machine.Pin(circuit.STATUS_LED_PIN, machine.Pin.OUT, value=0)
        self._buzzer = machine.Pin(circuit.BUZZER_PIN, machine.Pin.OUT, value=0)
        self._talk = machine.Pin(circuit.TALK_BUTTON_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        self._guarded = machine.ADC(machine.Pin(circuit.GUARDED_RAIL_PIN))
        self._sentinel = machine.ADC(machine.Pin(circuit.SENTINEL_RAIL_PIN))
        self._arm = machine.ADC(machine.Pin(circuit.ARM_SENSE_PIN))
        self._mute = machine.ADC(machine.Pin(circuit.MUTE_SENSE_PIN))
        self._i2s = None
        self._awaited = 0  # hops that the driver still has for its first sample; 0: it came
        self._driver = select.poll()
        self._frame = bytearray(8)
        self.microphone_fault = None  # (reason, measured): why start_microphone() started none
        self._watchdog = None
        self.rail = health.RailMonitor()
        self._rail_at = time.ticks_ms()
        self._rtc = machine.RTC()
        self._port_in = select.poll()
        self._port_in.register(sys.stdin, select.POLLIN)
        self._port_out = select.poll()
        self._port_out.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        self._due_ms = time.ticks_ms()
        partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
        self.flash = Flash(partition)

    # --- the hop -------------------------------------------------------------------------------------------------

    def start_microphone(self, both_slots=False):
        if self._i2s is None:
            self.microphone_fault = None
            self._due_ms = time.ticks_ms()
            try:
                shape = machine.I2S.STEREO if both_slots else machine.I2S.MONO
                self._i2s = machine.I2S(
                    0, sck=machine.Pin(circuit.I2S_SCK_PIN), ws=machine.Pin(circuit.I2S_WS_PIN),
                    sd=machine.Pin(circuit.I2S_SD_PIN), mode=machine.I2S.RX, bits=32, format=shape, rate=16000, ibuf=_RING_BYTES,
                )  # fmt: skip
                # A driver without memory may start and stay silent (MicroPython 1.23), and a read that waits would wait for
                # ever. The port takes whoever polls for asyncio: reads do not wait then, until irq(None).
                self._driver.register(self._i2s, select.POLLIN)
                self._driver.ipoll(0)
                self._awaited = _SILENT_HOPS
            except (OSError, AttributeError, TypeError, ValueError) as error:  # hops go by time then: the button still opens
                no_memory = type(error) is OSError and error.args[0] == _ENOMEM
                self.microphone_fault = ("no-memory", _RING_BYTES) if no_memory else ("mic-dead", 0)
                self.hold_clocks(0)

    def stop_microphone(self):
        # Clocks low: a microphone without supply must not be fed through them. The driver keeps its buffers, see boot.py:
        # once given back, they would become heap.
        if self._i2s is not None:
            self._i2s = None
            machine.Pin(circuit.I2S_SCK_PIN, machine.Pin.OUT, value=0)
            machine.Pin(circuit.I2S_WS_PIN, machine.Pin.OUT, value=0)
            machine.Pin(circuit.I2S_SD_PIN, machine.Pin.IN)
        self._due_ms = time.ticks_ms()

    def wait_hop(self, slots):
        # Blocks for 10 ms of sound, or of time when the microphone is off. Returns whether slots were filled.
        if self._i2s is not None and (not self._awaited or self._has_begun(self._i2s)):
            self._i2s.readinto(slots)
            return True
        now = time.ticks_ms()
        self._due_ms = time.ticks_add(self._due_ms, circuit.TOGGLE_MS)
        wait = time.ticks_diff(self._due_ms, now)
        if wait > circuit.TOGGLE_MS or wait < -100:  # a counter that went back must not put the loop to sleep
            self._due_ms = now
        elif wait > 0:
            time.sleep_ms(wait)
        return False

    def _has_begun(self, i2s):
        try:
            begun = i2s.readinto(self._frame)
        except OSError:
            begun = 0
            self._awaited = 1
        if begun:
            self._awaited = 0
            i2s.irq(None)
        else:
            self._awaited -= 1
            if not self._awaited:
                self.stop_microphone()
                self.microphone_fault = ("mic-dead", 0)
        return begun

    def drive_pumps(self):
        # The last act of every hop: the charge pumps live by these edges, and the watchdog by this call.
        # The driver gives 256 frames at a time, so every other hop comes hard on the heels of the one before.
        wait_us = _EDGE_US - time.ticks_diff(time.ticks_us(), self._edge_us)
        if 0 < wait_us <= _EDGE_US:  # else they are minutes apart, and the counter has wrapped
            time.sleep_us(wait_us)
        self._edge_us = time.ticks_us()
        self._level ^= 1
        if not circuit.ONE_CHANNEL:
            self._pumps[0].value(self._level if self.listening else 0)
        self._pumps[1].value(self._level if self.guarding else 0)
        if self._watchdog:
            self._watchdog.feed()

    def release(self):
        # Contact first: no more edges from here on.
        self.guarding = False
        self._pumps[1].value(0)

    def pause(self):
        time.sleep_ms(circuit.TOGGLE_MS)
        self.feed()

    def hold_clocks(self, level):
        # For the self-test only, with the microphone stopped: clocks that stand high must not feed its rail.
        machine.Pin(circuit.I2S_SCK_PIN, machine.Pin.OUT, value=level)
        machine.Pin(circuit.I2S_WS_PIN, machine.Pin.OUT, value=level)

    def hold_pumps(self, level):
        # For the self-test only: a pin stuck at a level must not energise a coil.
        self._pumps[0].value(level)
        self._pumps[1].value(level)

    def rush_pumps(self):
        # For the self-test only: 2 kHz for a hop. The capacitor on each drive must swallow it.
        for _ in range(20):
            self.hold_pumps(1)
            time.sleep_us(250)
            self.hold_pumps(0)
            time.sleep_us(250)
        self.feed()

    def start_watchdog(self):
        self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)

    def feed(self):
        # Where the loop stands still: the rail is watched all the same.
        self.read_rail()
        if self._watchdog:
            self._watchdog.feed()

    # --- readings and lights ------------------------------------------------------------------------------------

    def read_rail(self):
        now = time.ticks_ms()
        self.rail.push(time.ticks_diff(now, self._rail_at), self.guarded_mv())
        self._rail_at = now

    def guarded_mv(self):
        return _mv(self._guarded, circuit.GUARDED_ATTEN) * circuit.GUARDED_SCALE_Q10 >> 10

    def sentinel_mv(self):
        return _mv(self._sentinel, circuit.ATTEN) * circuit.SENTINEL_SCALE_Q10 >> 10

    def arm_mv(self):
        return _mv(self._arm, circuit.ATTEN) * circuit.SENSE_SCALE_Q10 >> 10

    def mute_mv(self):
        return _mv(self._mute, circuit.ATTEN) * circuit.SENSE_SCALE_Q10 >> 10

    def talk_pressed(self):
        return not self._talk.value()

    def status_led(self, on):
        self._status_led.value(on)

    def buzzer(self, on):
        self._buzzer.value(on)

    # --- the port ------------------------------------------------------------------------------------------------

    def read_port(self, buffer):
        # Into buffer what has arrived, without waiting; how many bytes.
        used = 0
        while used < len(buffer):
            for _ in self._port_in.ipoll(0):
                break
            else:
                return used
            if not sys.stdin.buffer.readinto(self._byte):
                return used
            buffer[used] = self._byte[0]
            used += 1
        return used

    def port_ready(self):
        for _ in self._port_out.ipoll(0):
            return True
        return False

    def write_port(self, data):
        sys.stdout.buffer.write(data)

    # --- the rest ------------------------------------------------------------------------------------------------

    def close_repl(self):
        kbd_intr(-1)

    def reset_cause(self):
        if machine.mem32[_RESET_STATE] & 0x3F == _BROWN_OUT:
            return "brown-out"
        return _CAUSES.get(machine.reset_cause(), "power-on")

    def keep(self, block):
        # In the RTC's memory, which software and watchdog resets leave alone.
        self._rtc.memory(block)

    def kept(self):
        return self._rtc.memory()

    def random_bytes(self, count):
        # At most 32. The generator promises true randomness with the radio on only: the noise of an ADC goes in too,
        # of whichever throw of the mute switch is made: near 0 V it has none.
        pool = hashlib.sha256(os.urandom(32))
        for _ in range(_NOISE_READINGS):
            pool.update(b"%d %d " % (self.arm_mv(), self.mute_mv()))
        return pool.digest()[:count]

    def reset(self):
        machine.reset()


class Flash:
    # The partition under littlefs, for lid.segments: reads and programs bytes, never erases.
    def __init__(self, partition):
        self._partition = partition
        self.block_count = partition.ioctl(4, 0)

    def read(self, block, offset, buffer):
        self._partition.readblocks(block, buffer, offset)

    def program(self, block, offset, data):
        self._partition.writeblocks(block, data, offset)


def _mv(adc, atten):
    # At the pin. 0 V reads as 142 mV at 11 dB, as 75 at 0 dB: a dead rail is told from a live one without attenuation only.
    adc.atten(0)
    mv = adc.read_uv() // 1000
    if mv > circuit.FULL_MV:
        adc.atten(atten)
        mv = max(mv, adc.read_uv() // 1000)  # never less: a live rail must not look dead
    return mv
