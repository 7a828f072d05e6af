# SPDX-License-Identifier: MIT
"""Columns of numbers and a header as one compressed block: 200,000 records are a few megabytes, and open in a moment.

    4 bytes   length of the header in bytes, little-endian
    header    JSON, padded with spaces so that what follows begins at a multiple of 8
    columns   little-endian, each padded to a multiple of 8; where each begins is in the header's `tables`

All of it through gzip, which every browser undoes by itself.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

Columns = dict[str, np.ndarray[Any, Any]]


def pack(header: Mapping[str, Any], tables: Mapping[str, Columns]) -> bytes:
    """The block of a header and its tables.

    Args:
        header: plain values; `tables` is added to it: table -> {rows, columns: [[name, kind, offset], ...]}, kind as numpy's
            `f8`, `u4`, offsets from the end of the header.
        tables: table -> column -> numbers, all of a table's columns of one length.
    """
    told: dict[str, Any] = {}
    body: list[bytes] = []
    at = 0
    for name, columns in tables.items():
        places = []
        for column, values in columns.items():
            raw = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
            places.append([column, values.dtype.str[1:], at])
            raw += b"\0" * (-len(raw) % 8)
            body.append(raw)
            at += len(raw)
        told[name] = {"rows": len(next(iter(columns.values()), ())), "columns": places}
    text = json.dumps({**header, "tables": told}, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return gzip.compress(struct.pack("<I", len(text)) + text + b"".join(body), 4, mtime=0)


def unpack(block: bytes) -> tuple[dict[str, Any], dict[str, Columns]]:
    """Header and tables of a block: what pack.js does, for tests and other programs."""
    raw = gzip.decompress(block)
    (size,) = struct.unpack_from("<I", raw)
    header = json.loads(raw[4 : 4 + size])
    tables = {
        name: {
            column: np.frombuffer(raw, np.dtype(f"<{kind}"), table["rows"], 4 + size + at)
            for column, kind, at in table["columns"]
        }
        for name, table in header["tables"].items()
    }
    return header, tables
