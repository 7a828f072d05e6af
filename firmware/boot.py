# SPDX-License-Identifier: MIT
# earlid: before anything else, no coil is fed and no Ctrl-C ends the start in a REPL (MicroPython allows it anew for each
# file that it runs). Then the microphone's driver takes its buffers, while memory is in one piece: lid/board.py starts it
# again in the same place and never gives it back. A test holds the numbers to lid/circuit.py and lid/board.py.
import machine
import micropython

micropython.kbd_intr(-1)
for _pin in (18, 19):
    machine.Pin(_pin, machine.Pin.OUT, value=0)
try:
    machine.I2S(
        0, sck=machine.Pin(26), ws=machine.Pin(25), sd=machine.Pin(33),
        mode=machine.I2S.RX, bits=32, format=machine.I2S.MONO, rate=16000, ibuf=12288,
    )  # fmt: skip
except (OSError, ValueError, TypeError, AttributeError):
    pass  # lid/board.py tries again, and says what came of it
for _pin in (26, 25):
    machine.Pin(_pin, machine.Pin.OUT, value=0)  # clocks low: they must not feed a microphone without supply
