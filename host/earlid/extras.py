# SPDX-License-Identifier: MIT
"""Extras of the package: which one brings a package that the small install goes without, and the command for it."""

from __future__ import annotations

import platform
import sys

from earlid.errors import FAILED, USAGE, UserError

# Package as it is imported -> the extra that brings it. Three verbs have an extra of their own name, which goes first.
EXTRA_OF = {
    "numpy": "evaluate", "scipy": "evaluate", "matplotlib": "evaluate", "soundfile": "evaluate", "soxr": "evaluate",
    "av": "evaluate", "pymicro_wakeword": "evaluate", "micropython_unix": "evaluate", "micropython_run": "evaluate",
    "sounddevice": "mic", "psycopg": "postgres", "paho": "mqtt", "keyring": "mqtt", "pyarrow": "parquet",
    "distributed": "cluster", "rfc3161_client": "tsa",
    "torch": "train", "onnxruntime": "train", "pyroomacoustics": "train", "wordfreq": "train",
}  # fmt: skip
OF_VERBS = ("calibrate", "demo", "evaluate")
ELSEWHERE = (
    "MicroPython is missing: it comes for Linux on x86-64 only, and `demo`, `score` and `evaluate` need it. "
    "Boards can be flashed, watched and calibrated from this computer all the same."
)


def command(extra: str) -> str:
    """What brings an extra, for any shell."""
    return f'pip install "earlid[{extra}]"'


def missing(module: str | None, verb: str = "") -> UserError | None:
    """What to say of a package that is not there; None when no extra brings it, and its absence is a fault.

    Args:
        module: as it was imported, as `scipy.special`; of an ImportError, its `name`.
        verb: that wanted it.
    """
    package = (module or "").partition(".")[0]
    if package not in EXTRA_OF:
        return None
    if package.startswith("micropython_") and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return UserError(ELSEWHERE, FAILED)
    extra = verb if verb in OF_VERBS else EXTRA_OF[package]
    what = f"`earlid {verb}`" if verb else "this"
    return UserError(f"{what} needs the package {package}, which the small install goes without: `{command(extra)}`.", USAGE)
