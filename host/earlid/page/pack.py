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
import sys
from array import array
from collections.abc import Mapping
from typing import Any, TypeAlias

Columns: TypeAlias = "dict[str, array[Any]]"
KINDS = {"f8": "d", "u4": "I", "u2": "H", "u1": "B", "i1": "b"}  # of a column -> of an array
_KIND_OF = {code: kind for kind, code in KINDS.items()}


def pack(header: Mapping[str, Any], tables: Mapping[str, Columns]) -> bytes:
    """The block of a header and its tables.

    Args:
        header: plain values; `tables` is added to it: table -> {rows, columns: [[name, kind, offset], ...]}, kind of KINDS,
            offsets from the end of the header.
        tables: table -> column -> numbers, all of a table's columns of one length.
    """
    directory: dict[str, Any] = {}
    body: list[bytes] = []
    offset = 0
    for name, columns in tables.items():
        columns_at = []
        for column, values in columns.items():
            data = _little_endian(values).tobytes()
            columns_at.append([column, _KIND_OF[values.typecode], offset])
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
            column: _column(kind, data[4 + size + offset : 4 + size + offset + table["rows"] * int(kind[1])])
            for column, kind, offset in table["columns"]
        }
        for name, table in header["tables"].items()
    }
    return header, tables


def _little_endian(values: array[Any]) -> array[Any]:
    if sys.byteorder == "little":
        return values
    turned = values[:]
    turned.byteswap()
    return turned


def _column(kind: str, data: bytes) -> array[Any]:
    return _little_endian(array(KINDS[kind], data))
