# SPDX-License-Identifier: MIT
# `time` as the ESP32 port has it, on the board's clock: ticks wrap at 2**30, the epoch is 2000, power-on is zero.
import time as _host_time

import bridge
from micropython import const

_WRAP = const(0x3FFFFFFF)
_HALF = const(0x20000000)
_EPOCH_2000 = const(946684800)


def ticks_us():
    return bridge.now_us() & _WRAP


def ticks_ms():
    return bridge.now_us() // 1000 & _WRAP


def ticks_add(ticks, delta):
    return (ticks + delta) & _WRAP


def ticks_diff(end, start):
    return ((end - start + _HALF) & _WRAP) - _HALF


def sleep_us(us):
    bridge.sleep_us(us)


def sleep_ms(ms):
    bridge.sleep_us(ms * 1000)


def sleep(seconds):
    bridge.sleep_us(int(seconds * 1000000))


def time():
    return bridge.now_us() // 1000000


def time_ns():
    return bridge.now_us() * 1000


def gmtime(seconds=None):
    return _host_time.gmtime((time() if seconds is None else seconds) + _EPOCH_2000)[:8]


localtime = gmtime


def mktime(parts):
    return int(_host_time.mktime(parts)) - _EPOCH_2000
