# SPDX-License-Identifier: MIT
# `machine` as the ESP32 port has it, as far as the firmware may use it. No more: what is missing raises AttributeError.
import sys

import bridge
from adc import Adc
from protocol import (
    ANSWER_HEADER,
    EVENT_LEVEL,
    EVENT_MODE,
    MAX_PAYLOAD,
    MODE_INPUT,
    MODE_OUTPUT,
    OP_I2S_READ,
    OP_I2S_START,
    OP_RESET,
    OP_RTC_READ,
    OP_RTC_WRITE,
    OP_SOFT_RESET,
    OP_WDT_START,
    RTC_BYTES,
)

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_work_us = [0, 0, 0]  # a hop, an inference, a collection of garbage
_inference = []  # names of module, class and method
_adc = Adc()
_cause = PWRON_RESET
_rom_cause = 1
_freq_hz = 160000000


def reset_cause():
    if _inference:
        _count_inferences()  # the firmware asks this when all its code is loaded
    return _cause


class _Registers:
    # Only RTC_CNTL_RESET_STATE_REG: why the first core was reset, as the ROM numbers it.
    def __getitem__(self, address):
        if address != 0x3FF48034:
            raise ValueError("no such register on the virtual board")
        return _rom_cause


mem32 = _Registers()


def reset():
    bridge.send_last(OP_RESET)


def soft_reset():
    bridge.send_last(OP_SOFT_RESET)


def freq(hz=None):
    global _freq_hz
    if hz is None:
        return _freq_hz
    if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq_hz = hz


class Pin:
    IN = 1
    OUT = 3
    PULL_UP = 2

    _known = {}

    def __new__(cls, id, *args, **kwargs):
        if not isinstance(id, int) or not 0 <= id <= 39 or id in (20, 24, 28, 29, 30, 31):
            raise ValueError("invalid pin")
        pin = cls._known.get(id)
        if pin is None:
            pin = super().__new__(cls)
            cls._known[id] = pin
            pin._id = id
            pin._mode = cls.IN
            pin._level = 0
        return pin

    def __init__(self, id, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if mode is not None or pull != -1 or value is not None:
            self.init(mode, pull, value=value)

    def init(self, mode=None, pull=-1, *, value=None, drive=None, hold=None):
        if mode is not None and mode != self.IN and self._id >= 34:
            raise ValueError("pin can only be input")
        if value is not None:  # the level is latched before the direction turns: no glitch
            self._level = 1 if value else 0
            bridge.event(self._id | EVENT_LEVEL << 8 | self._level << 16)
        if mode is not None:
            self._mode = mode
            bridge.event(self._id | EVENT_MODE << 8 | (MODE_INPUT if mode == self.IN else MODE_OUTPUT) << 16)

    def value(self, level=None):
        if level is None:
            return bridge.input_level(self._id) if self._mode == 1 else self._level
        level = 1 if level else 0
        if level != self._level:  # the same level again is nothing that the copper could notice
            self._level = level
            bridge.event(self._id | EVENT_LEVEL << 8 | level << 16)

    __call__ = value

    def toggle(self):
        self.value(self._level ^ 1)

    def __repr__(self):
        return f"Pin({self._id})"


def _number(pin):
    return pin._id if isinstance(pin, Pin) else pin


class ADC:
    ATTN_0DB = 0
    ATTN_11DB = 3

    _attens = {}  # by pin: two objects of one pin share it

    def __init__(self, pin, *, atten=None):
        self._id = _number(pin)
        if not 32 <= self._id <= 39:
            raise ValueError("invalid pin")
        self.atten(atten if atten is not None else self._attens.get(self._id, self.ATTN_0DB))

    def atten(self, value):
        if not 0 <= value <= 3:
            raise ValueError("invalid atten")
        self._attens[self._id] = value

    def read_uv(self):
        return _adc.reading_mv(self._attens[self._id], bridge.adc_mv(self._id)) * 1000


class I2S:
    RX = 1
    TX = 2
    MONO = 0
    STEREO = 1

    _known = {}

    def __new__(cls, id, **kwargs):
        if id not in (0, 1):
            raise ValueError("invalid id")
        channel = cls._known.get(id)
        if channel is None:
            channel = cls._known[id] = super().__new__(cls)
        return channel

    def __init__(self, id, **kwargs):
        self._running = False
        self.init(**kwargs)

    def init(self, *, sck, ws, sd, mode, bits, format, rate, ibuf):
        if mode != self.RX:
            raise NotImplementedError("the board has no loudspeaker: RX only")
        if bits not in (16, 32):
            raise ValueError("invalid bits")
        if format not in (0, 1):
            raise ValueError("invalid format")
        self._frame_bytes = (bits // 8) << format
        self._scratch = bytearray(16)
        for i, word in enumerate((bits, format, rate, ibuf)):
            for j in range(4):
                self._scratch[4 * i + j] = word >> (8 * j) & 0xFF
        self._running = False
        bridge.call(OP_I2S_START, 0, 0, 0, self._scratch, 0, 16)
        if bridge.status():
            raise OSError(bridge.status(), "ESP_ERR_NO_MEM")
        self._running = self._blocking = True

    def readinto(self, buf):
        if not self._running:
            raise OSError(19)
        length = len(buf)
        if length % self._frame_bytes:
            raise ValueError("buffer length must be a multiple of frame size")
        done = 0
        while done < length:
            some = min(length - done, MAX_PAYLOAD)
            bridge.call(OP_I2S_READ, some, self._blocking, some)
            got = bridge.status()
            if got < 0:
                raise OSError(got, "ESP_ERR_INVALID_STATE")
            bridge.move(buf, done, bridge.answer, ANSWER_HEADER, got)
            done += got
            if got < some:
                break
        if self._blocking:
            bridge.begin_hop(_work_us[0], _work_us[2])
        return done

    def _poll(self):  # called by chip_select alone
        self._blocking = False  # the port takes whoever polls for asyncio: reads give what there is

    def irq(self, handler):
        if handler is not None:
            raise NotImplementedError("the virtual board has no non-blocking mode")
        self._blocking = True


class RTC:
    def memory(self, data=None):
        if data is None:
            bridge.call(OP_RTC_READ, 0, 0, RTC_BYTES)
            return bytes(memoryview(bridge.answer)[ANSWER_HEADER : ANSWER_HEADER + bridge.status()])
        if len(data) > RTC_BYTES:
            raise ValueError("buffer too long")
        bridge.call(OP_RTC_WRITE, len(data), 0, 0, data, 0, len(data))


def _count_inferences():
    # Once, when the code is loaded and nobody has bound the method yet: from now on each takes its time.
    module, name, method = _inference
    kind = getattr(sys.modules.get(module), name, None)
    if kind:
        _inference.clear()
        infer = getattr(kind, method)

        def counted(self, columns):
            bridge.spend(_work_us[1])
            return infer(self, columns)

        setattr(kind, method, counted)


class WDT:
    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        bridge.call(OP_WDT_START, timeout)

    def feed(self):
        bridge.feed()
