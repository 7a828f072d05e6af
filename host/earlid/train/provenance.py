# SPDX-License-Identifier: MIT
"""Where a network comes from: NAME.training.json beside it, with what it was made of and what it was judged to do.

Recordings are told by number and SHA-256, never by name or path.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earlid.accuracy.curve import OperatingPoint, point_json, points_at_rates
from earlid.errors import USAGE, UserError
from earlid.files import read_json

if TYPE_CHECKING:
    from earlid.train.judge import Verdict

SCHEMA = 1
SUFFIX = ".training.json"
HOURS_MAX = 1_000_000
PACKAGES = ("earlid", "torch", "numpy", "scipy", "onnxruntime", "pyroomacoustics", "soxr")


def path_beside(network: Path) -> Path:
    """Where the provenance of a network lies: NAME.training.json beside NAME.tflite or NAME.json."""
    return network.with_suffix("").with_name(network.stem + SUFFIX)


def versions() -> dict[str, str]:
    """What the network was made with: Python, and the packages whose numbers it hangs on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def today() -> str:
    """The day, as in a document."""
    return datetime.now().astimezone().date().isoformat()


def verdict_json(verdict: Verdict, cutoff_q8: int) -> dict[str, Any]:
    """A verdict as plain values: shares of 1, hours, ms.

    Args:
        cutoff_q8: the one in force.
    """
    return {
        "conditions": [
            {
                "condition": each.condition, "in_force": point_json(each.curve.at(cutoff_q8)),
                "at_rates": {f"{rate:g}": point_json(point) for rate, point in points_at_rates(each.curve)},
                "delay_ms": _delays(each.delays_ms), "misses_by_cutoff": each.curve.misses.tolist(),
                "openings_by_cutoff": each.curve.false_openings.tolist(),
            }
            for each in verdict.conditions
        ],
        "near": [{"text": text, "opened": opened, "of": of} for text, (opened, of) in verdict.near.items()],
        "without_the_word": [
            {"kind": kind, "openings": openings, "hours": round(hours, 4)}
            for kind, (openings, hours) in verdict.false_openings.items()
        ],
    }  # fmt: skip


def _delays(delays_ms: Sequence[int]) -> dict[str, int] | None:
    if not delays_ms:
        return None
    return {"median": round(float(np.median(delays_ms))), "nine_in_ten": round(float(np.percentile(delays_ms, 90)))}


def text_of(document: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps({"schema": SCHEMA, **document}, indent=1, ensure_ascii=False) + "\n"


def read(path: Path) -> dict[str, Any]:
    """A provenance that `text_of` wrote.

    Raises:
        UserError: code 2 when it cannot be read, or is something else.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UserError(f"{path} is no provenance of this version (schema {SCHEMA}): it is not shown.", USAGE)
    return document


def point_of(values: dict[str, Any]) -> OperatingPoint:
    """A point of a curve, of what `point_json` made. Raises KeyError, TypeError or ValueError when it is something else."""
    cutoff, misses, trials, openings = (_count(values[name]) for name in ("cutoff", "misses", "trials", "false_openings"))
    hours = values["hours"]
    if misses > trials or not isinstance(hours, int | float) or not 0 <= hours < HOURS_MAX:
        raise ValueError("impossible counts")
    return OperatingPoint(cutoff, misses, trials, openings, float(hours))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError("impossible counts")
    return value
