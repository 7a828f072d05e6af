# SPDX-License-Identifier: MIT
# Reads sound, sleeps too long, reads again: what was in between is gone without a word.
import time

from machine import I2S, Pin

i2s = I2S(0, sck=Pin(26), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.MONO, rate=16000, ibuf=12288)
slots = bytearray(640)
for _ in range(10):
    i2s.readinto(slots)
time.sleep_ms(1000)
before = time.ticks_ms()
for _ in range(8):
    i2s.readinto(slots)
print("eight hops in", time.ticks_diff(time.ticks_ms(), before), "ms")
