# SPDX-License-Identifier: MIT
"""Binary format of the page's data: columns of numbers and a JSON header, compressed; 200,000 records are a few megabytes.

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
    directory: dict[str, Any] = {}
    body: list[bytes] = []
    offset = 0
    for name, columns in tables.items():
        columns_at = []
        for column, values in columns.items():
            data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
            columns_at.append([column, values.dtype.str[1:], offset])
            data += b"\0" * (-len(data) % 8)
            body.append(data)
            offset += len(data)
        directory[name] = {"rows": len(next(iter(columns.values()), ())), "columns": columns_at}
    text = json.dumps({**header, "tables": directory}, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return gzip.compress(struct.pack("<I", len(text)) + text + b"".join(body), 4, mtime=0)


def unpack(block: bytes) -> tuple[dict[str, Any], dict[str, Columns]]:
    """Header and tables of a block: what pack.js does, for tests and other programs."""
    data = gzip.decompress(block)
    (size,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + size])
    tables = {
        name: {
            column: np.frombuffer(data, np.dtype(f"<{kind}"), table["rows"], 4 + size + offset)
            for column, kind, offset in table["columns"]
        }
        for name, table in header["tables"].items()
    }
    return header, tables
