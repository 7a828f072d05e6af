# SPDX-License-Identifier: MIT
# Small files that must survive a power cut: written beside the old, read back, switched in one rename.
import binascii
import json
import os

from lid import config

_CONFIG = "/config.json"
_PREVIOUS = "/config.previous"
_IDENTITY = "/identity.json"
_STARTS = "/starts"


def write_whole(path, data):
    """Replace path by data (bytes) in one step; OSError when what was read back differs."""
    beside = path + ".new"
    with open(beside, "wb") as file:
        file.write(data)
    with open(beside, "rb") as file:
        if file.read() != data:
            raise OSError(5)
    os.rename(beside, path)


def read_whole(path):
    """The file's bytes, or None when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def load_config():
    """(configuration, whether a damaged one was put aside for the safe defaults)."""
    data = read_whole(_CONFIG)
    if data is None:
        return config.defaults(), False
    try:
        return config.parse(data), False
    except ValueError:
        return config.defaults(), True


def load_previous():
    data = read_whole(_PREVIOUS)
    try:
        return config.parse(data) if data else None
    except ValueError:
        return None


def save_config(old, new):
    """Put new in force for the next start; old can be rolled back to."""
    write_whole(_PREVIOUS, config.dump(old))
    write_whole(_CONFIG, config.dump(new))


def load_identity(random_bytes):
    """({"board": 16 hex digits, "key": 32 bytes}, made now); OSError when not kept. random_bytes(n): from hardware."""
    data = read_whole(_IDENTITY)
    if data:
        try:
            values = json.loads(data)
            key = binascii.unhexlify(values["key"])
            if len(key) == 32 and len(values["board"]) == 16:
                return {"board": values["board"], "key": key}, False
        except (ValueError, KeyError, TypeError):
            pass
    identity = make_identity(random_bytes)
    text = json.dumps({"board": identity["board"], "key": binascii.hexlify(identity["key"]).decode()})
    write_whole(_IDENTITY, text.encode())
    return identity, True


def make_identity(random_bytes):
    return {"board": binascii.hexlify(random_bytes(8)).decode(), "key": random_bytes(32)}


def count_start():
    """Starts in a row, this one included, that were not followed by settle()."""
    data = read_whole(_STARTS)
    try:
        starts = int(data) + 1 if data else 1
    except ValueError:
        starts = 1
    write_whole(_STARTS, b"%d" % min(starts, 99))
    return starts


def settle():
    """The start went well: forget the ones before it."""
    try:
        os.remove(_STARTS)
    except OSError:
        pass
