# SPDX-License-Identifier: MIT
"""Flasher: writes a MicroPython image with esptool as a library (stub, compression, verification); a failure is one sentence."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import esptool.cmds
import serial
from esptool.loader import ESPLoader
from esptool.logger import TemplateLogger, log
from esptool.reset import ResetStrategy
from esptool.targets import CHIP_DEFS
from esptool.util import FatalError, PrintOnce, flash_size_bytes

from earlid.board.port import port_holder
from earlid.errors import FAILED, NO_BOARD, USAGE, UserError
from earlid.filesystem import SECTOR_BYTES
from earlid.flash.foreign import Flash
from earlid.flash.image import MicroPythonImage
from earlid.flash.inputs import FAST_BAUD
from earlid.flash.stages import Report

SLOW_BAUD = 115200  # the boot loader's own
PIECE_BYTES = 0x40000  # what has its own MD5: a write that breaks off goes on behind the last that is right
HEAD_BYTES = 0x10000  # boot loader and partition table
ERASED = b"\xff"
CONNECT_ATTEMPTS = 5
FLASH_MIN_BYTES = 4 << 20  # MicroPython's file system of an ESP32 begins at 2 MB and ends with the fourth
SUPPORTED = "ESP32"  # the circuit's pin numbers are the plain ESP32's

Piece = tuple[int, bytes]
"""An offset in the flash and what stands there."""


class OneFile(NamedTuple):
    """What is written at offset 0, and where its file system begins."""

    data: bytes
    files_offset: int


class _ThreadLogger(TemplateLogger):  # type: ignore[misc]  # esptool has no types
    """esptool's logger, split by thread: it has one for the process, and boards are written by several threads."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextlib.contextmanager
    def to(self, report: Report, done: int, total: int) -> Iterator[None]:
        """Send this thread's progress to report, as so many bytes behind done, of total."""
        self._local.report, self._local.done, self._local.total = report, done, total
        try:
            yield
        finally:
            self._local.report = None

    def print(self, *args: Any, **kwargs: Any) -> None:
        pass

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
            report("write", self._local.done + cur_iter, self._local.total)

    def set_verbosity(self, verbosity: str) -> None:
        pass


_logger = _ThreadLogger()
log.set_logger(_logger)
ResetStrategy.print_once = PrintOnce(_logger.warning)  # esptool bound the old logger when it was imported


@dataclass
class _Run:
    """What lasts over the tries of one write: what was chosen, what is still to be erased, bytes sent."""

    port: str
    image: MicroPythonImage
    erase: bool
    force: bool
    report: Report
    choose: Callable[[Flash], OneFile | None]
    chosen: tuple[list[Piece], list[Piece]] | None = None
    stub_ran: bool = False
    sent_bytes: int = 0


def write(
    port: str,
    image: MicroPythonImage,
    *,
    erase: bool,
    force: bool,
    report: Report,
    choose: Callable[[Flash], OneFile | None] = lambda flash: None,
    baud: int = FAST_BAUD,
) -> int:
    """Put an image on the chip at a port, verify it, and start it.

    Resets the chip into its boot loader. When a write faster than 115200 baud fails it goes on at 115200, behind what reads back
    right. The flash is written in pieces that each have their MD5 compared; a piece that is there already is not sent.

    Args:
        port: the device name.
        image: as `image.load` gives it.
        erase: erase the whole flash first: the journal, the key, everything.
        force: write to another chip than the image's or than a plain ESP32, or to one with security fuses.
        report: called with the stages `connect`, `erase`, `write` (bytes on the wire), `verify`, and `slower` when it falls back;
            an exception it raises stops the write.
        choose: called once with what is on the chip before that is changed: the one file to write in the image's place, or None;
            an exception it raises leaves the chip as it is.
        baud: of the line while the flash is written.

    Returns:
        The compressed bytes that were sent to the flash.

    Raises:
        UserError: code 3 when there is no chip or it went away, code 2 for the wrong chip or image, code 1 otherwise.
    """
    run = _Run(port, image, erase, force, report, choose)
    first: Exception | None = None
    for speed in (baud, SLOW_BAUD) if baud > SLOW_BAUD else (baud,):
        run.stub_ran = False
        try:
            _write(run, speed)
            return run.sent_bytes
        except (FatalError, serial.SerialException, OSError) as error:
            if run.stub_ran and speed > SLOW_BAUD:
                first = error
                report("slower", 0, 0)
                continue
            # A chip that does not come back was lost by the first try
            cause = first if first is not None and not run.stub_ran else error
            raise _user_error(port, cause, run.stub_ran or first is not None) from error
    raise AssertionError("unreachable")


def _write(run: _Run, baud: int) -> None:
    run.report("connect", 0, 0)
    chip = esptool.cmds.detect_chip(run.port, SLOW_BAUD, connect_attempts=CONNECT_ATTEMPTS)
    try:
        _check_chip(chip, run.image, run.force)
        chip = esptool.cmds.run_stub(chip)
        run.stub_ran = True
        chip.WRITE_FLASH_ATTEMPTS = 1  # a lost connection is tried again here, more slowly
        if baud != SLOW_BAUD:
            chip.change_baud(baud)
        esptool.cmds.attach_flash(chip)
        size = _check_size(chip, run.image)
        if run.chosen is None:
            try:
                run.chosen = _choose(chip, size, run)
            except Exception:
                esptool.cmds.reset_chip(chip, "hard-reset")  # what is there goes on
                raise
        _write_pieces(chip, *run.chosen, flash_size_bytes(size), run)
        esptool.cmds.reset_chip(chip, "hard-reset")
    finally:
        with contextlib.suppress(serial.SerialException, OSError):
            chip._port.close()


def _choose(chip: ESPLoader, size: str, run: _Run) -> tuple[list[Piece], list[Piece]]:
    flash = Flash(
        chip.CHIP_NAME, size, flash_size_bytes(size), chip.BOOTLOADER_FLASH_OFFSET,
        lambda offset, count: bytes(chip.read_flash(offset, count)),
    )  # fmt: skip
    chosen = run.choose(flash)
    return pieces(run.image.data, flash.loader_offset) if chosen is None else pieces(chosen.data, 0, chosen.files_offset)


def pieces(data: bytes, offset: int, files_offset: int | None = None) -> tuple[list[Piece], list[Piece]]:
    """Cut what is written into pieces. Pure.

    Args:
        data: what is written.
        offset: where it begins; a multiple of a sector.
        files_offset: where its file system begins, if it has one.

    Returns:
        Most of it; and what a chip starts nothing without, to be erased first and written last: boot loader and partition table,
        then the first two blocks of the file system, without which MicroPython takes the partition for an empty one.
    """
    end = offset + len(data)
    cuts = {offset, HEAD_BYTES, end, *range(0, end, PIECE_BYTES)}
    if files_offset is not None:
        cuts |= {files_offset, files_offset + 2 * SECTOR_BYTES}
    ordered = sorted(cut for cut in cuts if offset <= cut <= end)
    made = [(begin, data[begin - offset : stop - offset]) for begin, stop in itertools.pairwise(ordered)]
    keys = (offset, files_offset)
    return [piece for piece in made if piece[0] not in keys], [piece for piece in made if piece[0] in keys]


def _write_pieces(chip: ESPLoader, body: Sequence[Piece], keystones: Sequence[Piece], flash_bytes: int, run: _Run) -> None:
    wanted = [*body, *keystones]
    if run.erase:
        _erase(chip, [(offset, PIECE_BYTES) for offset in range(0, flash_bytes, PIECE_BYTES)], run.report)
        run.erase = False
    missing: list[Piece] = []
    done, total = 0, sum(len(data) for _, data in wanted)
    for piece in wanted:
        run.report("compare", done, total)
        done += len(piece[1])
        if not _reads_back(chip, *piece):
            missing.append(piece)
    sent = [piece for piece in missing if piece[1].strip(ERASED)]
    erased = [(piece[0], len(piece[1])) for piece in reversed(missing) if piece in keystones or piece not in sent]
    _erase(chip, erased, run.report)
    costs = [min(len(zlib.compress(data, 9)), len(data)) for _, data in sent]  # as esptool does
    for index, piece in enumerate(sent):
        with _logger.to(run.report, sum(costs[:index]), sum(costs)):
            esptool.cmds.write_flash(chip, [piece], force=True, compress=True)  # what it would ask has been asked
        run.sent_bytes += costs[index]
    run.report("verify", 0, 0)
    if not all(_reads_back(chip, *piece) for piece in wanted):  # also what stands beside what was written
        raise FatalError("MD5 of file does not match data in flash!")


def _erase(chip: ESPLoader, regions: Sequence[tuple[int, int]], report: Report) -> None:
    done, total = 0, sum(size for _, size in regions)
    for offset, size_bytes in regions:
        report("erase", done, total)
        chip.erase_region(offset, -size_bytes // SECTOR_BYTES * -SECTOR_BYTES)
        done += size_bytes


def _reads_back(chip: ESPLoader, offset: int, data: bytes) -> bool:
    return bool(chip.flash_md5sum(offset, len(data)) == hashlib.md5(data, usedforsecurity=False).hexdigest())


def _check_chip(chip: ESPLoader, image: MicroPythonImage, force: bool) -> None:
    if force:
        return
    if chip.secure_download_mode or chip.get_secure_boot_enabled() or chip.get_flash_encryption_enabled():
        raise UserError(
            "this chip has secure boot or flash encryption in its fuses: it would start nothing that is written plainly. "
            "Nothing was written. Take another board.", USAGE,
        )  # fmt: skip
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
    broken = ("No more data", "No serial data", "Timed out", "data checksum", "Invalid head of packet")
    return not isinstance(error, FatalError) or any(words in text for words in broken)


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
