# SPDX-License-Identifier: MIT
# Small files: each in two copies with a CRC-32, each copy written beside the old, read back, switched in one rename.
import binascii
import os

from lid import config

_CONFIG = "/config.json"
_PREVIOUS = "/config.previous"
_IDENTITY = "/identity"
_STARTS = "/starts"
BASELINE = "/baseline"
ACKED = "/journal/acked"
OLD_IDENTITY = "/identity.json"  # of firmware 0.1, with the key
_FILES = (_CONFIG, _PREVIOUS, _IDENTITY, _STARTS, BASELINE, ACKED)
repaired = []  # type: list[int] # places in _FILES: a copy was damaged since the start


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


def save(path, data):
    """Keep data, as config.seal() makes it, in two copies; OSError when a copy could not be written."""
    write_atomically(path, data)
    write_atomically(path + "2", data)


def load(path):
    """What was saved, None when nothing was; ValueError when both copies are damaged. If one is, or is older, it is mended."""
    paths = (path, path + "2")
    copies = [read_or_none(paths[0]), read_or_none(paths[1])]
    whole = None
    for i in range(2):
        data = copies[i]
        if data is not None:
            try:
                config.unseal(data)
                whole = whole or data
            except ValueError:
                copies[i] = b""
    if whole is None and copies != [None, None]:
        raise ValueError("both copies of %s are damaged" % path)
    for i in range(2):
        if copies[i] != whole:
            if copies[i] == b"" and _FILES.index(path) not in repaired:
                repaired.append(_FILES.index(path))
            try:
                write_atomically(paths[i], whole)
            except OSError:
                pass  # the other is whole
    return whole


def load_number(path):
    """The number kept, 0 when there is none."""
    try:
        data = load(path)
        return int(config.unseal(data)) if data else 0
    except ValueError:
        return 0


def save_number(path, number):
    save(path, config.seal(b"%d" % number))


def load_config():
    """(configuration, whether a damaged one was put aside for the safe defaults)."""
    try:
        data = load(_CONFIG)
        return config.parse(data) if data else config.defaults(), False
    except ValueError:
        return config.defaults(), True


def load_previous_config():
    try:
        data = load(_PREVIOUS)
        return config.parse(data) if data else None
    except ValueError:
        return None


def save_config(old, new, feed):
    """Put new in force for the next start; old can be rolled back to. feed: called between, four erases can take 1.6 s."""
    save(_PREVIOUS, config.dump(old))
    feed()
    save(_CONFIG, config.dump(new))


def load_identity(random_bytes, known=""):
    """(the board's identifier: 16 hex digits, made now); OSError when not kept. known: of firmware 0.1."""
    try:
        data = load(_IDENTITY)
    except ValueError:
        data = None
    if data:
        return config.unseal(data).decode(), False
    board = known or make_identity(random_bytes)
    save(_IDENTITY, config.seal(board.encode()))
    return board, not known


def make_identity(random_bytes):
    return binascii.hexlify(random_bytes(8)).decode()


def count_start(anew):
    """Starts in a row, this one included, that were not followed by forget_starts(). anew: a power-on, which begins the row."""
    starts = 1 if anew else min(load_number(_STARTS) + 1, 99)
    save_number(_STARTS, starts)
    return starts


def forget_starts():
    """The start went well: forget the ones before it."""
    for path in (_STARTS + "2", _STARTS):  # in this order: a cut between them brings no count back
        try:
            os.remove(path)
        except OSError:
            pass
