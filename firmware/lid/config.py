# SPDX-License-Identifier: MIT
# Settings: schema with units and ranges, checked whole before any is used. Pure; lid.files keeps them.
import binascii
import hashlib
import json

from lid.portable import const

TIGHTER_UP = const(1)  # a larger value loosens nothing
TIGHTER_DOWN = const(-1)  # a smaller value loosens nothing
_NEITHER = const(0)  # any change asks for presence
_FREE = const(2)  # no change asks for presence

# name: (default, lowest, highest, which way tightens); what each is stands in lid.wire_schema, which stays off the board
SCHEMA = {
    "cutoff_q8": (0, 0, 255, _NEITHER),
    "decision": (1, 0, 1, _NEITHER),
    "near_miss_q8": (128, 1, 255, _FREE),
    "rearm_q8": (64, 1, 255, TIGHTER_DOWN),
    "gain_q8": (4096, 256, 16384, _NEITHER),
    "open_ms": (8000, 500, 60000, TIGHTER_DOWN),
    "silence_ms": (2500, 500, 60000, TIGHTER_DOWN),
    "refractory_ms": (200, 200, 60000, TIGHTER_UP),
    "telemetry_ms": (0, 0, 60000, _FREE),
    "dim": (0, 0, 1, _FREE),
}
GONE = ("energy_gate", "energy_on_q8", "energy_off_q8", "energy_hang_ms")  # of earlier firmware, in its files


def defaults():
    return {name: SCHEMA[name][0] for name in SCHEMA}


def check(values):
    """A complete configuration from a dict that names any of the settings; ValueError names the setting and its range."""
    if type(values) is not dict:
        raise ValueError("a configuration is an object of settings")
    complete = defaults()
    for name in values:
        if name not in SCHEMA:
            raise ValueError("no setting is called %r" % (name,))
        low, high = SCHEMA[name][1], SCHEMA[name][2]
        if type(values[name]) is not int or not low <= values[name] <= high:
            raise ValueError("%s must be a whole number from %d to %d" % (name, low, high))
        complete[name] = values[name]
    return complete


def complete(values):
    """As check(), of settings that were kept: `decision` is 0 where they lack it and have a cutoff, which is in its scale."""
    if type(values) is dict and values.get("cutoff_q8") and "decision" not in values:
        values = dict(values)
        values["decision"] = 0
    return check(values)


def loosens(old, new):
    """Whether going from one complete configuration to another loosens the gate or the window in any setting."""
    for name in SCHEMA:
        direction = SCHEMA[name][3]
        step = new[name] - old[name]
        if step and direction != _FREE and (direction == _NEITHER or step * direction < 0):
            return True
    return False


def digest(values):
    """First 32 bits of SHA-256 over the settings in the order of their names."""
    text = " ".join("%s=%d" % (name, values[name]) for name in sorted(SCHEMA))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def seal(text):
    """A small file's bytes: the text, a line, and a CRC-32 over it."""
    return text + b"\n%08x\n" % (binascii.crc32(text) & 0xFFFFFFFF)


def unseal(data):
    """The text of a small file's bytes; ValueError when they are not as seal() made them."""
    text = bytes(data).split(b"\n")[0]
    if seal(text) != data:
        raise ValueError("file is damaged")
    return text


def dump(values):
    """The file's bytes of a configuration."""
    return seal(json.dumps(values).encode())


def parse(data):
    """A complete configuration from the file's bytes; ValueError when it is damaged or out of range."""
    values = json.loads(unseal(data))
    if type(values) is dict:
        for name in GONE:
            values.pop(name, None)
    return complete(values)
