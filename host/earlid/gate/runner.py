# SPDX-License-Identifier: MIT
"""Runs the firmware's gate on real MicroPython: samples in, bytes out.

The host has no second implementation of the gate. A small MicroPython script next to this module reads raw samples
from its standard input, drives the firmware's own classes, and writes what they say to its standard output.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earlid import firmware
from earlid.errors import FAILED, UserError

HOP_SAMPLES = 160
FEATURES = 40
# `python -m micropython_unix` would drop the script's exit code
LAUNCH = "import sys, micropython_unix; sys.exit(micropython_unix.main())"
HEAP = "16m"  # room for nothing but habit: the gate itself needs less than 64 kB


def require_micropython() -> None:
    """Raise ModuleNotFoundError where the unix MicroPython is not installed, which not every computer can have."""
    if find_spec("micropython_unix") is None:
        raise ModuleNotFoundError("no MicroPython", name="micropython_unix")


def micropython_command(script: Path, *args: str) -> list[str]:
    """The command line that runs a script on the installed unix MicroPython."""
    return [sys.executable, "-c", LAUNCH, "-X", f"heapsize={HEAP}", str(script), *args]


def micropython_environment() -> dict[str, str]:
    """This process's environment with the firmware on MicroPython's search path."""
    return {**os.environ, "MICROPYPATH": os.pathsep.join([str(firmware.root()), str(Path(__file__).parent)])}


Pcm = NDArray[np.int16] | bytes | Iterable[NDArray[np.int16]] | Iterable[bytes]


def run_script(name: str, pcm: Pcm, *args: str) -> bytes:
    """Feed samples to a MicroPython script of this folder and return all that it wrote.

    Args:
        name: file name of the script, such as `mp_features.py`.
        pcm: samples at 16 kHz, mono, 16 bit, or blocks of them, which are handed on one by one; a last incomplete hop is
            ignored by the scripts.
        args: further arguments of the script.

    Raises:
        ModuleNotFoundError: when MicroPython is not installed.
        UserError: when the script failed; the message ends with its last lines.
    """
    blocks = (pcm,) if isinstance(pcm, bytes | np.ndarray) else pcm
    command = micropython_command(Path(__file__).parent / name, *args)
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as wrong,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=wrong, env=micropython_environment()) as running,
    ):
        try:
            with suppress(BrokenPipeError), running.stdin or io.BytesIO() as into:  # one that stopped early tells why
                for block in blocks:
                    into.write(block if isinstance(block, bytes) else np.ascontiguousarray(block, dtype="<i2").tobytes())
        except BaseException:
            running.kill()
            raise
        code = running.wait()
        said.seek(0)
        wrong.seek(0)
        out, errors = said.read(), wrong.read()
    if code != 0:
        lines = errors.decode(errors="replace").strip().splitlines()
        if any("micropython_unix" in line for line in lines):
            raise ModuleNotFoundError("no MicroPython", name="micropython_unix")
        raise UserError(f"MicroPython stopped in {name}: {' | '.join(lines[-3:]) or code}", FAILED)
    return out


def features(pcm: NDArray[np.int16], reset_hops: Sequence[int] = ()) -> NDArray[np.uint16]:
    """What the firmware's frontend makes of samples.

    Args:
        pcm: int16 samples at 16 kHz.
        reset_hops: numbers of hops before which the frontend is reset.

    Returns:
        uint16 array of shape (columns, 40), one column a hop from the third hop after each start on.
    """
    out = run_script("mp_features.py", pcm, *[str(hop) for hop in reset_hops])
    return np.frombuffer(out, dtype="<u2").reshape(-1, FEATURES)
