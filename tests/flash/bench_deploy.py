# SPDX-License-Identifier: MIT
"""Benchmark of the two ways onto a board, and of a deploy against `mpremote cp -r`: `python -m tests.flash.bench_deploy`.

A deploy writes to an empty virtual board, through a line of 115200 baud (11,520 bytes a second each way), with flash that takes
its time to erase and program. An image is written to a mock of the boot loader, whose flash takes none, at 460800 baud once the
stub runs. Printed: bytes to the board, bytes from it, seconds of wall time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

from earlid import firmware
from earlid.board.port import open_port
from earlid.flash import content, deploy, firmware_build, flasher, image, inputs, one_file
from earlid.flash.flasher import OneFile
from earlid.flash.image import MicroPythonImage
from earlid.flash.repl import Repl
from earlid.virtual.board import VirtualBoard

from tests.flash import harness, release_image

MPREMOTE_LIMIT_S = 300


@dataclass(frozen=True)
class DeployCost:
    """Bytes on the wire to the board and from it, seconds of wall time."""

    sent: int
    received: int
    seconds: float


def measure(write: Callable[[str], None], bytes_per_s: float | None) -> DeployCost:
    """The cost of one way to fill an empty board; write is given the port."""
    board = VirtualBoard(firmware=None)
    board.power_on()
    # At a paced line the board's clock is the wall's; else nothing waits for anything.
    board.run_background(speed=1.0 if bytes_per_s else None)
    try:
        with harness.cable(harness.board_end(board), bytes_per_s) as cable:
            begin_s = time.monotonic()
            write(cable.path)
            return DeployCost(cable.sent, cable.received, time.monotonic() - begin_s)
    finally:
        board.stop()


def by_flash(path: str, model: bytes | None = None) -> None:
    """As `earlid flash` does it, from the first question to the switch; compiling included."""
    port = open_port(path)
    try:
        with Repl(port) as repl:
            inventory = deploy.parse_inventory(repl.inventory())
            plan = deploy.make_plan(
                inventory, deploy.hash_files(repl, inventory), firmware_build.build(firmware.root(), inventory.arch), model, None
            )
            deploy.execute(repl, plan, lambda done, total: None)
    finally:
        port.close()


def write_image(micropython: MicroPythonImage, chosen: OneFile | None) -> DeployCost:
    """The cost of MicroPython alone, or of the one file, on an empty chip."""
    chip = harness.BootloaderChip()
    with harness.cable(chip.end(), "baud") as cable:
        begin_s = time.monotonic()
        flasher.write(cable.path, micropython, erase=False, force=False, report=lambda *_: None, choose=lambda flash: chosen)
        return DeployCost(cable.sent, cable.received, time.monotonic() - begin_s)


def print_first_flash() -> None:
    """Print a row for each way of a first flash, the usual word included, up to the restart."""
    # Where the pinned release is not at hand, a made-up one that compresses to as many bytes
    micropython = image.cached() or release_image.release(app_bytes=1_137_000)
    word = inputs.word_blob(inputs.DEFAULT_WORD)
    files = content.files(firmware_build.build(firmware.root(), firmware_build.ESP32_ARCH), word)
    place = one_file.layout(micropython).file_system
    one = write_image(micropython, OneFile(one_file.make(micropython, files), place.offset))
    alone = write_image(micropython, None)
    deployed = measure(partial(by_flash, model=word), harness.BYTES_PER_S)
    careful = DeployCost(*(first + second for first, second in zip(astuple(alone), astuple(deployed), strict=True)))
    print(f"First flash of {micropython.name} and {inputs.DEFAULT_WORD}, {inputs.FAST_BAUD} baud while an image is written")
    for name, cost in (("MicroPython, deploy", careful), ("one file", one)):
        print(f"{name:22}{cost.sent:>12} B{cost.received:>8} B{cost.seconds:>10.1f} s")


def by_mpremote(path: str) -> None:
    """`mpremote cp -r` of boot.py, main.py and lid, as sources."""
    root = firmware.root()
    with tempfile.TemporaryDirectory() as scratch:
        # A copy without caches: only sources are to travel.
        shutil.copytree(root / "lid", Path(scratch) / "lid", ignore=shutil.ignore_patterns("__pycache__"))
        names = [str(root / name) for name in firmware_build.LOADERS] + [str(Path(scratch) / "lid")]
        command = [sys.executable, "-m", "mpremote", "connect", path, "resume", "fs", "cp", "-r", *names, ":/"]
        subprocess.run(command, check=True, capture_output=True, timeout=MPREMOTE_LIMIT_S)


def main() -> int:
    """Print the table; 1 when a deploy takes more than half of mpremote's bytes or time."""
    parser = argparse.ArgumentParser(prog="python -m tests.flash.bench_deploy", description=__doc__)
    parser.parse_args()
    print(f"{'':22}{'to the board':>14}{'from it':>10}{'wall time':>12}")
    costs = {}
    for name, write in (("mpremote cp -r", by_mpremote), ("earlid flash", by_flash)):
        cost = costs[name] = measure(write, harness.BYTES_PER_S)
        print(f"{name:22}{cost.sent:>12} B{cost.received:>8} B{cost.seconds:>10.1f} s")
    slow, quick = costs.values()
    bytes_share = (quick.sent + quick.received) / (slow.sent + slow.received)
    time_share = quick.seconds / slow.seconds
    print(f"{'share':22}{bytes_share:>14.0%} of the bytes{time_share:>10.0%} of the time")
    print_first_flash()
    return int(bytes_share > 0.5 or time_share > 0.5)


if __name__ == "__main__":
    sys.exit(main())
