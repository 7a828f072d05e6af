# SPDX-License-Identifier: MIT
# Atomic writes of small files: written beside the old, read back, switched in one rename.
import binascii
import json
import os

from lid import config

_CONFIG = "/config.json"
_PREVIOUS = "/config.previous"
_IDENTITY = "/identity.json"
_STARTS = "/starts"


def write_atomically(path, content):
    """Replace path by content (bytes) in one step; OSError when what was read back differs."""
    new_path = path + ".new"
    with open(new_path, "wb") as file:
        file.write(content)
    with open(new_path, "rb") as file:
        if file.read() != content:
            raise OSError(5)
    os.rename(new_path, path)


def read_or_none(path):
    """The file's bytes, or None when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def load_config():
    """(configuration, whether a damaged one was put aside for the safe defaults)."""
    content = read_or_none(_CONFIG)
    if content is None:
        return config.defaults(), False
    try:
        return config.parse(content), False
    except ValueError:
        return config.defaults(), True


def load_previous_config():
    content = read_or_none(_PREVIOUS)
    try:
        return config.parse(content) if content else None
    except ValueError:
        return None


def save_config(old, new):
    """Put new in force for the next start; old can be rolled back to."""
    write_atomically(_PREVIOUS, config.dump(old))
    write_atomically(_CONFIG, config.dump(new))


def load_identity(random_bytes):
    """({"board": 16 hex digits, "key": 32 bytes}, made now); OSError when not kept. random_bytes(n): from hardware."""
    content = read_or_none(_IDENTITY)
    if content:
        try:
            values = json.loads(content)
            key = binascii.unhexlify(values["key"])
            if len(key) == 32 and len(values["board"]) == 16:
                return {"board": values["board"], "key": key}, False
        except (ValueError, KeyError, TypeError):
            pass
    identity = make_identity(random_bytes)
    text = json.dumps({"board": identity["board"], "key": binascii.hexlify(identity["key"]).decode()})
    write_atomically(_IDENTITY, text.encode())
    return identity, True


def make_identity(random_bytes):
    return {"board": binascii.hexlify(random_bytes(8)).decode(), "key": random_bytes(32)}


def count_start():
    """Starts in a row, this one included, that were not followed by settle()."""
    content = read_or_none(_STARTS)
    try:
        starts = int(content) + 1 if content else 1
    except ValueError:
        starts = 1
    write_atomically(_STARTS, b"%d" % min(starts, 99))
    return starts


def forget_starts():
    """The start went well: forget the ones before it."""
    try:
        os.remove(_STARTS)
    except OSError:
        pass
