# SPDX-License-Identifier: MIT
# The smallest loop that behaves: a hop of sound, an edge for each pump, food for the watchdog.
import time

from machine import ADC, I2S, WDT, Pin, freq, reset_cause

freq(240000000)
print("cause", reset_cause())
pumps = (Pin(18, Pin.OUT, value=0), Pin(19, Pin.OUT, value=0))
lamp = Pin(27, Pin.OUT, value=0)
talk = Pin(32, Pin.IN, Pin.PULL_UP)
rails = [ADC(Pin(n), atten=ADC.ATTN_11DB) for n in (34, 35, 36, 39)]
i2s = I2S(0, sck=Pin(26), ws=Pin(25), sd=Pin(33), mode=I2S.RX, bits=32, format=I2S.MONO, rate=16000, ibuf=12288)
slots = bytearray(640)
dog = WDT(timeout=1000)
hops = 0
toggling = True
print("ready")
while True:
    i2s.readinto(slots)
    hops += 1
    lamp.value(not talk.value())
    if toggling:
        pumps[0].value(hops & 1)
        pumps[1].value(hops & 1)
    dog.feed()
    if hops % 20 == 0:
        loudest = max(slots[i] for i in range(3, 640, 4))
        print("hop", hops, time.ticks_ms(), loudest, *[adc.read_uv() // 1000 for adc in rails])
