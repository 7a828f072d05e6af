# SPDX-License-Identifier: MIT
# The journal's record: 64 bytes in flash, a list on the wire, one meaning on both sides.
# body (40 bytes) | link (12) | mac (8) | crc32 (4), little-endian.
import binascii
import hashlib
import struct

from lid.portable import const

SLOT_BYTES = const(64)
BODY_BYTES = const(40)
LINK_BYTES = const(12)
MAC_BYTES = const(8)
KEY_BYTES = const(32)

# Order is the format: append only.
EVENTS = (
    "boot", "mute", "unmute", "open", "close", "near-miss", "fault",
    "selftest", "config", "clock", "maintenance", "lost",
    "live", "dead", "mark", "limited",
)  # fmt: skip
REASONS = (
    "", "word", "button", "timeout", "silence", "host", "mute", "fault",
    "power-on", "reset-pin", "watchdog", "soft-reset", "brown-out", "deep-sleep",
    "passed", "failed",
    "welded", "no-close", "sagging", "mute-poles", "mic-dead", "mic-stuck", "mic-clipped", "overrun",
    "flash-full", "flash-error", "clock-back", "boot-loop", "exception", "config-damaged", "model-damaged",
    "changed", "rolled-back", "refused", "paired", "first-start",
    "set", "entered", "overwritten", "torn", "drop-time", "pump-stuck", "recovered",
    "no-memory", "reset", "start", "unexpected", "open", "live", "refractory", "hint", "repaired", "key-lost",
    "coil-sags",
)  # fmt: skip

PRESENCE = const(1)  # flags: talk button held
MUTED = const(2)  # flags: mute switch latched
CLOCK_SET = const(4)  # flags: wall_ms is known
CLOCK_VOUCHED = const(8)  # flags: and a paired host said so
LOOK = const(16)  # flags, of a word: its look decided, not microWakeWord's own mean

# Field order of body and wire; event and reason are names outside flash.
FIELDS = (
    "seq", "boot", "ms", "event", "reason", "score", "flags", "energy_log2_q8",
    "guarded_mv", "sentinel_mv", "wall_ms", "wall_unc_ms", "a", "b",
)  # fmt: skip
LIMITS = (
    0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFF, 255, 255, 255, 255, 65535,
    65535, 65535, 0xFFFFFFFFFFFF, 65535, 0xFFFFFFFF, 0xFFFFFFFF,
)  # fmt: skip
EVENT_AT = const(3)
REASON_AT = const(4)
LAYOUT = "<IIIHBBBBHHHIHHII"


def make_body(fields):
    """40 canonical bytes of 14 fields in FIELDS order; ValueError names the field out of range."""
    values = []
    for i, value in enumerate(fields):
        if i == EVENT_AT:
            value = _code(EVENTS, value)
        elif i == REASON_AT:
            value = _code(REASONS, value)
        if type(value) is not int or not 0 <= value <= LIMITS[i]:
            raise ValueError("record field %s out of range: %r" % (FIELDS[i], value))
        values.append(value)
    if len(values) != len(FIELDS):
        raise ValueError("record has %d fields, not %d" % (len(values), len(FIELDS)))
    seq, boot, ms, event, reason, score, flags, energy, guarded, sentinel, wall, unc, a, b = values
    return struct.pack(
        LAYOUT, seq, boot, ms & 0xFFFFFFFF, ms >> 32, event, reason, score, flags, energy,
        guarded, sentinel, wall & 0xFFFFFFFF, wall >> 32, unc, a, b,
    )  # fmt: skip


def read_body(body):
    """The 14 fields of 40 canonical bytes, as a list in FIELDS order; ValueError for an unknown event."""
    seq, boot, ms, ms_high, event, reason, score, flags, energy, guarded, sentinel, wall, wall_high, unc, a, b = struct.unpack(
        LAYOUT, body
    )
    if event >= len(EVENTS) or reason >= len(REASONS):
        raise ValueError("record %d: event %d or reason %d is unknown" % (seq, event, reason))
    return [
        seq, boot, ms | ms_high << 32, EVENTS[event], REASONS[reason], score, flags, energy,
        guarded, sentinel, wall | wall_high << 32, unc, a, b,
    ]  # fmt: skip


def _code(names, name):
    try:
        return names.index(name)
    except ValueError:
        raise ValueError("record has an unknown event or reason: %r" % (name,))


def genesis(board):
    """The link before a board's first record; board: its identifier as text."""
    return hashlib.sha256(b"earlid chain 1 " + board.encode()).digest()[:LINK_BYTES]


def next_key(key):
    """The key of the next segment. One way: who takes a key cannot seal what was sealed before it."""
    return hashlib.sha256(b"earlid ratchet 1 " + key).digest()


def hmac(key, first, second):
    """HMAC-SHA-256 (RFC 2104) of first + second under a key of 32 bytes."""
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in key) + b"\x36" * (64 - KEY_BYTES))
    inner.update(first)
    inner.update(second)
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in key) + b"\x5c" * (64 - KEY_BYTES))
    outer.update(inner.digest())
    return outer.digest()


def make_mac(key, prev_link, body):
    """HMAC of prev_link + body, truncated to 64 bits: a forger without the key cannot test guesses."""
    return hmac(key, prev_link, body)[:MAC_BYTES]


def make_link(prev_link, body, mac):
    """SHA-256 over everything before, truncated to 96 bits: anyone can check it, so anyone can also remake it."""
    digest = hashlib.sha256(prev_link)
    digest.update(body)
    digest.update(mac)
    return digest.digest()[:LINK_BYTES]


def seal(key, prev_link, body):
    """(slot of 64 bytes, its link): the body with link, keyed mac and the crc that shows a torn write."""
    mac = make_mac(key, prev_link, body)
    link = make_link(prev_link, body, mac)
    slot = body + link + mac
    return slot + struct.pack("<I", binascii.crc32(slot) & 0xFFFFFFFF), link


def slot_is_whole(slot):
    return struct.unpack("<I", slot[60:64])[0] == binascii.crc32(slot[:60]) & 0xFFFFFFFF


def slot_to_wire(slot):
    """A slot as the list the wire carries: 14 fields, link and mac in hex."""
    row = read_body(slot[:BODY_BYTES])
    row.append(binascii.hexlify(slot[40:52]).decode())
    row.append(binascii.hexlify(slot[52:60]).decode())
    return row


def wire_to_slot(row):
    """The slot of a wire list; ValueError when it is not one that slot_to_wire could have made."""
    if type(row) is not list or len(row) != len(FIELDS) + 2:
        raise ValueError("not a record of %d items" % (len(FIELDS) + 2))
    slot = make_body(row[: len(FIELDS)]) + _unhex(row[14], LINK_BYTES) + _unhex(row[15], MAC_BYTES)
    return slot + struct.pack("<I", binascii.crc32(slot) & 0xFFFFFFFF)


def _unhex(text, size):
    if type(text) is not str or len(text) != 2 * size or text != text.lower():
        raise ValueError("record link or mac is not %d hex digits" % (2 * size))
    return binascii.unhexlify(text)
