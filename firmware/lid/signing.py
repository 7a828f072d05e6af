# SPDX-License-Identifier: MIT
# What exactly a request asks for, as a text: consent is given to its digest, and a paired host signs it.
import binascii
import hashlib

from lid import record
from lid.portable import const

_NO_TEXT = "an argument must be a whole number, a short text without spaces, or an object of whole numbers"
_TEXT_MAX = const(480)  # the longest has all settings; a board has no block for more


def canonical(body):
    """The request as text: its verb, then every argument as name=value, sorted; ValueError when it has no such text."""
    words = []  # type: list[str]
    for name in body:
        if name in ("id", "do", "mac"):
            continue
        value = body[name]
        if type(value) is dict:
            for inner in value:
                words.append(_word(name, "." + inner, value[inner]))
        else:
            words.append(_word(name, "", value))
    words.sort()
    size = len(words)
    for word in words:
        size += len(word)
    if size > _TEXT_MAX:
        raise ValueError(_NO_TEXT)
    text = " ".join([body["do"]] + words)
    # Each word is one argument: no two requests have the same text.
    if text.count(" ") != len(words) or text.count("=") != len(words):
        raise ValueError(_NO_TEXT)
    return text


def _word(name, inner, value):
    if "." in name or (type(value) is not int and (inner or type(value) is not str)):
        raise ValueError(_NO_TEXT)
    return "%s%s=%s" % (name, inner, value)


def digest(text):
    """First 32 bits of SHA-256 of a canonical text, in hex: what board and tool show to whoever consents."""
    return binascii.hexlify(hashlib.sha256(text.encode()).digest()[:4]).decode()


def request_mac(key, nonce, text):
    """First 64 bits of the request's HMAC, in hex. nonce: the board's newest, 16 hex digits."""
    return binascii.hexlify(record.hmac(key, b"earlid request " + nonce.encode() + b" ", text.encode())[:8]).decode()
