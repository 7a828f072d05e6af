# SPDX-License-Identifier: MIT
"""What the flashing page (web/) takes from the host, as a JavaScript module: `python -m earlid.flash.web_tables`."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import Any, Literal, get_args, get_origin, is_typeddict

from lid import circuit, config, wire, wire_schema
from lid.wire_schema import EVENTS, SELF_TEST, TEXT_MAX

from earlid.board import consent, detect, level
from earlid.board.port import BAUD, BOARD_VENDORS
from earlid.filesystem import SECTOR_BYTES
from earlid.flash import firmware_build, flasher, foreign, inputs, one_file, partitions, provision
from earlid.flash.progress_bars import ESTIMATE_AFTER_S, ESTIMATE_AFTER_SHARE
from earlid.ledger import anchor_code

MESSAGES = {
    "hi": wire_schema.Hello, "maintenance": wire_schema.MaintenanceHello, "rec": wire_schema.Record, "tm": wire_schema.Telemetry,
}  # fmt: skip
OWN_FILE = "identity"  # in the root of a board that Earlid has started on, and of no image
EVERYONES_FILE = firmware_build.LOADERS[0]  # in the root of whatever MicroPython has made


def tables() -> dict[str, Any]:
    """Every table by its name."""
    return {
        "schema": one_file.SCHEMA,
        "boards": one_file.BOARDS,
        "defaultWord": inputs.DEFAULT_WORD,
        "version": metadata.version("earlid"),
        "wire": {"seqWrap": wire.SEQ_WRAP, "lineMax": wire.HOST_LINE_MAX, "textMax": TEXT_MAX},
        "messages": {name: _fields(message) for name, message in MESSAGES.items()},
        "reasons": {name: event.reasons for name, event in EVENTS.items()},
        "selfTest": [[int(bit), meaning] for bit, meaning in SELF_TEST.items()],
        "gesture": consent.GESTURE,
        "noWord": detect.NO_WORD,
        "uncalibrated": f"{config.digest(config.defaults()):08x}",
        "railLiveMv": circuit.RAIL_LIVE_MV,
        "level": {"fullScale": level.FULL_SCALE_LOG2_Q8, "dbPerQ8": level.DB_PER_Q8, "low": level.METER_LOW_DBFS},
        "anchor": {"digits": anchor_code.DIGITS, "linkBits": anchor_code.LINK_BITS},
        "port": {"baud": BAUD, "vendors": sorted(BOARD_VENDORS)},
        "probe": {"timeoutMs": round(detect.REPLY_TIMEOUT_S * 1000), "retryMs": round(detect.RETRY_S * 1000)},
        "flasher": {
            "baud": [inputs.FAST_BAUD, flasher.SLOW_BAUD], "chip": flasher.SUPPORTED, "flashMinBytes": flasher.FLASH_MIN_BYTES,
            "attempts": flasher.CONNECT_ATTEMPTS, "estimateAfterMs": round(ESTIMATE_AFTER_S * 1000),
            "estimateAfterShare": ESTIMATE_AFTER_SHARE, "startupMs": round(provision.STARTUP_WAIT_S * 1000),
        },
        "foreign": {
            "appOffset": foreign.APP_OFFSET, "lookBytes": foreign.LOOK_BYTES,
            "lookFurtherBytes": foreign.LOOK_FURTHER_BYTES,
            "ownFile": OWN_FILE, "everyonesFile": EVERYONES_FILE,
            "tableOffset": partitions.TABLE_OFFSET, "tableBytes": partitions.TABLE_BYTES, "sectorBytes": SECTOR_BYTES,
            "vfsLabel": partitions.FILE_SYSTEM,
        },
    }  # fmt: skip


def _fields(message: Any) -> list[dict[str, Any]]:
    rows = []
    for name, annotated in wire_schema.fields(message).items():
        plain, field, optional = wire_schema.field_of(annotated)
        row: dict[str, Any] = {"name": name, "optional": optional}
        if is_typeddict(plain):
            row["fields"] = _fields(plain)
        elif get_origin(plain) is Literal:
            row["values"] = get_args(plain)
        elif plain is int:
            row |= {"low": field.low, "high": field.high}
        elif plain is str:
            row["pattern"] = field.pattern
        rows.append(row)
    return rows


def module() -> str:
    """The text of the module: one constant, `tables`."""
    return f"export const tables = {json.dumps(tables(), indent=1)};\n"


def main() -> int:
    """Print the module; 0."""
    print(module(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
