# SPDX-License-Identifier: MIT
"""Flasher: writes a MicroPython image with esptool as a library (stub, compression, verification); a failure is one sentence."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import esptool.cmds
import serial
from esptool.loader import ESPLoader
from esptool.logger import TemplateLogger, log
from esptool.reset import ResetStrategy
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError, PrintOnce, flash_size_bytes

from earlid.board.port import port_holder
from earlid.errors import FAILED, NO_BOARD, USAGE, UserError
from earlid.flash.foreign import APP_OFFSET, LOOK_BYTES, Found
from earlid.flash.image import MicroPythonImage
from earlid.flash.stages import Report

SLOW_BAUD = 115200
FAST_BAUD = 460800
CONNECT_ATTEMPTS = 5
FLASH_MIN_BYTES = 4 << 20  # MicroPython's file system of an ESP32 begins at 2 MB and ends with the fourth
SUPPORTED = "ESP32"  # the circuit's pin numbers are the plain ESP32's


class _ThreadLogger(TemplateLogger):  # type: ignore[misc]  # esptool has no types
    """esptool's logger, split by thread: it has one for the process, and boards are written by several threads."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextlib.contextmanager
    def to(self, report: Report) -> Iterator[list[str]]:
        """Send this thread's progress to report; yields the lines that esptool logs meanwhile."""
        self._local.report, self._local.lines = report, []
        try:
            yield self._local.lines
        finally:
            self._local.report = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        lines = getattr(self._local, "lines", None)
        if lines is not None:
            lines.append(" ".join(str(arg) for arg in args))
            if "Verifying" in lines[-1] and self._local.report:
                self._local.report("verify", 0, 0)

    def note(self, message: str) -> None:
        self.print(message)

    def warning(self, message: str) -> None:
        self.print(message)

    def error(self, message: str) -> None:
        self.print(message)

    def stage(self, finish: bool = False) -> None:
        pass

    def progress_bar(self, cur_iter: int, total_iters: int, prefix: str = "", suffix: str = "", bar_length: int = 30) -> None:
        report = getattr(self._local, "report", None)
        if report:
            report("write", cur_iter, total_iters)

    def set_verbosity(self, verbosity: str) -> None:
        pass


_logger = _ThreadLogger()
log.set_logger(_logger)
ResetStrategy.print_once = PrintOnce(_logger.warning)  # esptool bound the old logger when it was imported


def write(
    port: str,
    image: MicroPythonImage,
    *,
    erase: bool,
    force: bool,
    report: Report,
    agree: Callable[[Found], None] = lambda found: None,
) -> None:
    """Put an image on the chip at a port, verify it, and start it.

    Resets the chip into its boot loader. Tries 460800 baud first and 115200 when the connection breaks.

    Args:
        port: the device name.
        image: as `image.load` gives it.
        erase: erase the whole flash first: the journal, the key, everything.
        force: write to another chip than the image's or than a plain ESP32.
        report: called with the stages `connect`, `erase`, `write`, `verify`; an exception it raises stops the write.
        agree: called with what is on the chip before that is changed; an exception it raises leaves it as it is.

    Raises:
        UserError: code 3 when there is no chip or it went away, code 2 for the wrong chip or image, code 1 otherwise.
    """
    for baud in (FAST_BAUD, SLOW_BAUD):
        with _logger.to(report) as lines:
            try:
                _write(port, image, baud, erase, force, report, agree)
                return
            except (FatalError, serial.SerialException, OSError) as error:
                stub_ran = any("Stub flasher running" in line for line in lines)
                if stub_ran and baud != SLOW_BAUD and _connection_lost(error):
                    continue
                raise _user_error(port, error, stub_ran) from error


def _write(
    port: str, image: MicroPythonImage, baud: int, erase: bool, force: bool, report: Report, agree: Callable[[Found], None]
) -> None:
    report("connect", 0, 0)
    chip = esptool.cmds.detect_chip(port, SLOW_BAUD, connect_attempts=CONNECT_ATTEMPTS)
    try:
        _check_chip(chip, image, force)
        chip = esptool.cmds.run_stub(chip)
        chip.WRITE_FLASH_ATTEMPTS = 1  # a lost connection is tried again here, more slowly
        if baud != SLOW_BAUD:
            chip.change_baud(baud)
        esptool.cmds.attach_flash(chip)
        size = _check_size(chip, image)
        places = (chip.BOOTLOADER_FLASH_OFFSET, APP_OFFSET)
        try:
            agree(Found(chip.CHIP_NAME, size, *(bytes(chip.read_flash(place, LOOK_BYTES)) for place in places)))
        except Exception:
            esptool.cmds.reset_chip(chip, "hard-reset")  # what is there goes on
            raise
        if erase:
            report("erase", 0, 0)
            esptool.cmds.erase_flash(chip)
        esptool.cmds.write_flash(chip, [(chip.BOOTLOADER_FLASH_OFFSET, image.data)], force=force, compress=True)
        esptool.cmds.reset_chip(chip, "hard-reset")
    finally:
        with contextlib.suppress(serial.SerialException, OSError):
            chip._port.close()


def _check_chip(chip: ESPLoader, image: MicroPythonImage, force: bool) -> None:
    if force:
        return
    for target in CHIP_DEFS.values():
        if image.chip_id == target.IMAGE_CHIP_ID and target.CHIP_NAME != chip.CHIP_NAME:
            raise UserError(
                f"this chip is an {chip.CHIP_NAME}, and {image.name} is for the {target.CHIP_NAME}. "
                f"Nothing was written. Name this chip's image with --image, or plug in an {target.CHIP_NAME}.", USAGE,
            )  # fmt: skip
    if chip.CHIP_NAME != SUPPORTED:
        raise UserError(
            f"this chip is an {chip.CHIP_NAME}. Earlid's circuit is for the plain {SUPPORTED}: its pins are elsewhere. "
            "Nothing was written. Say --force if you have changed them.", USAGE,
        )  # fmt: skip


def _check_size(chip: ESPLoader, image: MicroPythonImage) -> str:
    label = esptool.cmds.detect_flash_size(chip)
    if label is None:
        raise UserError(
            "the chip's flash does not answer. Nothing was written. Unplug everything wired to GPIO 6 to 11 and 12, "
            "and try again; else the module is broken.", FAILED,
        )  # fmt: skip
    if flash_size_bytes(label) < max(FLASH_MIN_BYTES, len(image.data)):
        raise UserError(
            f"this module has {label} of flash, Earlid needs {FLASH_MIN_BYTES >> 20}MB. Nothing was written. "
            "Take a module with more, as an ESP32-WROOM-32.", USAGE,
        )  # fmt: skip
    return str(label)


def _connection_lost(error: Exception) -> bool:
    text = str(error)
    return not isinstance(error, FatalError) or "No more data" in text or "No serial data" in text or "Timed out" in text


def _user_error(port: str, error: Exception, stub_ran: bool) -> UserError:
    # esptool's own texts name a web page; ours say what to do here. Matched by the words that its 5.x series keeps.
    text = " ".join(str(error).split())
    again = "The chip can be written again: run `earlid flash` once more"
    if stub_ran and _connection_lost(error):
        return UserError(
            f"the connection to {port} was lost while writing. {again}, with another cable or USB port "
            "if this repeats.", NO_BOARD,
        )  # fmt: skip
    if "Wrong boot mode" in text or "0x13" in text:
        return UserError(
            f"the chip at {port} did not enter its boot loader (boot mode 0x13): hold BOOT on the board, start "
            "`earlid flash` again and release BOOT when writing begins.", NO_BOARD,
        )  # fmt: skip
    if "could not open" in text.lower() or "port is busy" in text:
        holder = port_holder(port)
        who = f" ({holder} has it open)" if holder else ""
        return UserError(f"cannot open {port}{who}. Close what uses it and see `earlid list`.", NO_BOARD)
    if "Failed to connect" in text or "No serial data" in text:
        return UserError(
            f"no ESP32 answers at {port}. Use a data cable, hold BOOT on the board while `earlid flash` starts, and "
            "see `earlid doctor`.", NO_BOARD,
        )  # fmt: skip
    if "MD5" in text or "Write failed" in text:
        return UserError(f"what was written to {port} reads back wrong. {again}; if it repeats, the flash is worn out.")
    if not isinstance(error, FatalError):
        return UserError(f"{port} went away: {text}. {again}.", NO_BOARD)
    return UserError(f"esptool stopped at {port}: {text}. {again}.")
