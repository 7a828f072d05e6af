# SPDX-License-Identifier: MIT
# One line on the wire: #<seq> <compact json>*<crc32 hex>\n . Printable ASCII only. What the bodies hold is defined in
# lid/wire_schema.py, which no board carries; firmware/PROTOCOL.md is both, for people.
import binascii
import json

from lid.portable import const

SEQ_WRAP = const(1000000)
BOARD_LINE_MAX = const(512)  # longest request a board takes
HOST_LINE_MAX = const(2048)  # longest line a host takes
_TRIES = const(4)
_FIELDS = const(13)  # of a dict in one piece: only a hello has more


def encode(seq, body):
    """One line as bytes; seq counts lines, body a dict of JSON values in ASCII."""
    return b"".join(encode_pieces(seq, body))


def encode_pieces(seq, body):
    # The same in pieces: a board has no block for the whole of a long line.
    head = b"#"
    crc = 0
    for text in _json_pieces("%d " % (seq % SEQ_WRAP), body):
        data = text.encode()
        crc = binascii.crc32(data, crc)
        yield head + data
        head = b""
    yield b"*%08x\n" % (crc & 0xFFFFFFFF)


def _json_pieces(before, body):
    for name in body:
        if type(body[name]) is dict and len(body[name]) > _FIELDS:
            break
    else:
        yield before + json.dumps(body, separators=(",", ":"))
        return
    # The one with many fields comes last.
    rest = dict(body)
    fields = list(rest.pop(name).items())
    before += json.dumps(rest, separators=(",", ":"))[:-1] + ("," if rest else "") + json.dumps(name) + ":{"
    for at in range(0, len(fields), _FIELDS):
        yield before + json.dumps(dict(fields[at : at + _FIELDS]), separators=(",", ":"))[1:-1]
        before = ","
    yield "}}"


def decode(line):
    """(seq, body) of one line without its newline; ValueError says what is wrong with it."""
    if len(line) < 14 or line[0] != 35 or line[-9] != 42:
        raise ValueError("no frame")
    text = bytes(line[1:-9])
    if bytes(line[-8:]) != b"%08x" % (binascii.crc32(text) & 0xFFFFFFFF):
        raise ValueError("crc")
    for c in line:
        if not 32 <= c <= 126:
            raise ValueError("unprintable byte")
    space = text.find(b" ")
    if not 1 <= space <= 6 or not text[:space].decode().isdigit():
        raise ValueError("seq")
    try:
        body = json.loads(text[space + 1 :])
    except (ValueError, MemoryError, RuntimeError) as error:  # RuntimeError: nesting too deep, on either side
        raise ValueError("json: %s" % error)
    if type(body) is not dict:
        raise ValueError("body is no object")
    return int(text[:space]), body


class Decoder:
    # Cuts lines out of any bytes. What is no frame (REPL noise, a torn line) is counted and skipped.
    def __init__(self, line_max):
        self._line = bytearray(line_max)
        self._used = 0
        self._skipping = False
        self.noise_bytes = 0
        self.bad_lines = 0

    def feed(self, data):
        """A list of (seq, body) for every good line completed by these bytes."""
        messages = []  # type: list[tuple[int, dict]]
        line = self._line
        used = self._used
        for c in data:
            if c == 35 and not self._in_string(used):
                self.noise_bytes += used
                used = 0
                self._skipping = False
            if c == 10:
                if not self._skipping and used:
                    self._decode_line(used, messages)
                used = 0
                self._skipping = False
            elif c == 13 or self._skipping:
                self.noise_bytes += self._skipping
            elif used == len(line):
                self.noise_bytes += used
                self.bad_lines += 1
                used = 0
                self._skipping = True
            else:
                line[used] = c
                used += 1
        self._used = used
        return messages

    def _in_string(self, used):
        # '#' starts a frame wherever it stands, except inside a frame's own text, where encode() may have put one.
        return used and self._line[0] == 35

    def _decode_line(self, used, messages):
        line = self._line
        if line[0] != 35:
            self.noise_bytes += used
            return
        # A frame cut short and then another on the same line: where a number and " {" follow a '#'. Only the last few are
        # tried, so that no line costs much.
        start = 0
        at = used
        for _ in range(_TRIES):
            if start >= 0:
                try:
                    messages.append(decode(memoryview(line)[start:used]))
                    self.noise_bytes += start
                    return
                except ValueError:
                    pass
            at = line.rfind(b" {", 0, at)
            if at < 0:
                break
            start = line.rfind(b"#", max(1, at - 7), at)
        self.bad_lines += 1
        self.noise_bytes += used
