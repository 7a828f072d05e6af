# SPDX-License-Identifier: MIT
# earlid: before anything else, no coil is fed and no Ctrl-C ends the start in a REPL (MicroPython allows it anew for each
# file that it runs). 18 and 19 are the pumps of lid/circuit.py.
import machine
import micropython

micropython.kbd_intr(-1)
for _pin in (18, 19):
    machine.Pin(_pin, machine.Pin.OUT, value=0)
