# earlid: before anything else, no coil is fed. 18 and 19 are the pumps of lid/circuit.py.
import machine

for _pin in (18, 19):
    machine.Pin(_pin, machine.Pin.OUT, value=0)
