# SPDX-License-Identifier: MIT
"""What a chip carries that is neither Earlid nor MicroPython is named and not overwritten unasked."""

from __future__ import annotations

import os
import pty
import random
import socket
import struct
import threading
import tty
from contextlib import suppress
from pathlib import Path

import pytest
from earlid.cli import main
from earlid.errors import UserError
from earlid.flash import flasher, provision
from earlid.flash.foreign import APP_OFFSET, LOOK_BYTES, Flash, Found, look, overwritten, program_in, program_of

from tests.flash import harness
from tests.terminal import Terminal

LOADER_OFFSET = 0x1000
ROM = "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\nmode:DIO, clock div:2\r\n"
IDF = ROM + "I (31) boot: ESP-IDF v5.3.1 2nd stage bootloader\r\nI (48) boot.esp32: SPI Flash Size : 2MB\r\n"


def application(name: str, version: str = "1.0") -> bytes:
    """The beginning of an image with ESP-IDF's description of its application."""
    description = struct.pack("<I12x32s32s", 0xABCD5432, version.encode(), name.encode())
    return (b"\xe9\x05\x02\x20".ljust(32, b"\0") + description).ljust(LOOK_BYTES, b"\0")


@pytest.mark.parametrize(
    ("log", "program"),
    [
        (ROM + "[I][logger:242]: Log initialized\r\n[I][app:100]: ESPHome version 2024.6.1 compiled on\r\n", "ESPHome 2024.6.1"),
        ("\x1b[0;36m[D][sensor:094]: 'Power': Sending state\x1b[0m\r\n", "ESPHome"),
        (ROM + "00:00:00.132-125 Project tasmota - Tasmota Version 13.2.0(tasmota32)\r\n", "Tasmota 13.2.0"),
        ("21:03:32 RSL: stat/tasmota/STATUS = {}\r\n", "Tasmota"),
        (ROM + "[   132][E][esp32-hal-gpio.c:102] __pinMode(): Invalid pin\r\n", "an Arduino program"),
        (IDF + "I (428) app_init: Project name:     smart_config\r\n", "smart_config, an ESP-IDF program"),
        (IDF, "a program of ESP-IDF 5.3.1"),
        (ROM + "hello\r\n", "a program that does not say its name"),
        (ROM + "invalid header: 0xffffffff\r\n" * 3, ""),
        (IDF + "I (428) app_init: Project name:     \x1b[2Jx\r\n", "\\x1b[2Jx, an ESP-IDF program"),
        ("", ""),
        ("$GPGGA,123519,4807.038,N\r\n", ""),
    ],
)
def test_program_is_known_by_what_it_says(log: str, program: str) -> None:
    assert program_in(log) == program


def test_program_is_known_by_its_image() -> None:
    assert program_of(application("micropython", "v1.26.1")) == "MicroPython"
    assert program_of(application("arduino-lib-builder")) == "an Arduino program"
    assert program_of(application("plug-kitchen", "2024.6.1")) == "plug-kitchen 2024.6.1"
    assert program_of(b"\xe9" + bytes(LOOK_BYTES - 1)) == "a program that does not say its name"
    assert program_of(b"\xe9") == "a program that does not say its name"
    for data in (b"", b"\xff" * LOOK_BYTES, bytes(LOOK_BYTES)):
        assert program_of(data) == ""
    rng = random.Random(5)
    for _ in range(200):
        assert program_of(application("", "")[:36] + rng.randbytes(rng.randrange(LOOK_BYTES))).isprintable(), "seed 5"


def test_micropython_is_known_by_its_banner_where_its_image_has_no_name() -> None:
    # As its published releases are: ESP-IDF's description with neither name nor version
    flash = bytearray(b"\xff" * 0x40000)
    flash[APP_OFFSET : APP_OFFSET + LOOK_BYTES] = application("", "")
    reads = []

    def read(offset: int, count: int) -> bytes:
        reads.append(count)
        return bytes(flash[offset : offset + count])

    chip = Flash("ESP32", "4MB", 4 << 20, LOADER_OFFSET, read)
    assert program_of(look(chip).application) == "a program without a name"
    banner = b"MicroPython v1.26.1 on 2025-09-11; Generic ESP32 module with ESP32"
    flash[APP_OFFSET + 0x5F88 : APP_OFFSET + 0x5F88 + len(banner)] = banner
    assert program_of(look(chip).application) == "MicroPython"
    flash[APP_OFFSET : APP_OFFSET + LOOK_BYTES] = application("plug", "2")
    reads.clear()
    assert program_of(look(chip).application) == "plug 2"
    assert sum(reads) == 2 * LOOK_BYTES, "no more than is needed"


def test_empty_chip_and_micropython_may_be_written_and_all_else_is_named() -> None:
    loader, empty = b"\xe9" + bytes(LOOK_BYTES - 1), b"\xff" * LOOK_BYTES
    assert overwritten(Found("ESP32", "4MB", empty, empty), "") == ""
    assert overwritten(Found("ESP32", "4MB", loader, application("micropython")), ROM) == ""
    assert overwritten(Found("ESP32", "4MB", loader, application("arduino-lib-builder")), "Tasmota Version 13.2.0") == (
        "This ESP32 with 4MB of flash carries Tasmota 13.2.0."
    )
    assert "carries plug 2." in overwritten(Found("ESP32", "4MB", loader, application("plug", "2")), "")
    assert "no program of a usual place" in overwritten(Found("ESP32", "8MB", loader, empty), "")


@pytest.fixture
def image_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image for the ESP32 by its header; silent ports are quickly given up."""
    monkeypatch.setattr(provision, "PROBE_S", 0.2)
    monkeypatch.setattr(provision, "PROMPT_WAIT_S", 0.5)
    path = tmp_path / "image.bin"
    path.write_bytes(b"\xe9\x03\x02\x20" + bytes(8) + b"\x00\x00" + bytes(4000))
    return path


@pytest.fixture
def chip() -> harness.BootloaderChip:
    """A chip that carries another project's program."""
    chip = harness.BootloaderChip()
    chip.flash.data[LOADER_OFFSET : LOADER_OFFSET + 4] = b"\xe9\x04\x02\x20"
    chip.flash.data[APP_OFFSET : APP_OFFSET + LOOK_BYTES] = application("plug-kitchen", "2024.6.1")
    return chip


def test_foreign_program_is_not_overwritten_by_a_script_unless_it_says_yes(
    chip: harness.BootloaderChip, image_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def enough(_: provision.Provisioner) -> None:
        raise UserError("written")

    monkeypatch.setattr(provision.Provisioner, "_probe_after_image", enough)
    before = bytes(chip.flash.data)
    with harness.cable(chip.end()) as cable:
        words = ["flash", "--port", cable.path, "--image", str(image_file)]
        assert main(words) == 2
        assert f"{cable.path}: This ESP32 with 4MB of flash carries plug-kitchen 2024.6.1. Nothing was" in capsys.readouterr().err
        assert bytes(chip.flash.data) == before
        assert main([*words, "--yes"]) == 1
        assert bytes(chip.flash.data[LOADER_OFFSET : LOADER_OFFSET + 4]) == image_file.read_bytes()[:4]


@pytest.mark.parametrize(("keys", "code", "says"), [("no\r", 1, "nothing was written."), ("\x03", 130, "")])
def test_person_is_asked_before_a_foreign_program_is_overwritten(
    keys: str, code: int, says: str, chip: harness.BootloaderChip, image_file: Path
) -> None:
    before = bytes(chip.flash.data)
    with harness.cable(chip.end()) as cable:
        with Terminal(["flash", "-p", cable.path, "--image", str(image_file)], columns=140) as person:
            person.expect("carries plug-kitchen 2024.6.1. It would be overwritten.")
            person.expect("Type 'yes' to go on: ")
            person.keys(keys)
            person.expect(says)
            person.end_tidily(code)
        assert bytes(chip.flash.data) == before


def test_image_is_not_sent_where_there_are_no_control_lines(image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                while client.recv(4096):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        url = f"socket://127.0.0.1:{listener.getsockname()[1]}"
        assert main(["flash", "-p", url, "--image", str(image_file)]) == 2
        assert "has no control lines" in capsys.readouterr().err


def test_device_that_is_no_chip_is_said_with_what_it_says(
    image_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(flasher, "CONNECT_ATTEMPTS", 1)
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.02):
            with suppress(BlockingIOError):
                os.write(master, b"$GPGGA,123519,4807.038,N\r\n")

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        assert main(["flash", "-p", os.ttyname(slave), "--image", str(image_file)]) == 3
    finally:
        stop.set()
        thread.join()
        os.close(master)
        os.close(slave)
    assert "What was heard there: '$GPGGA,123519" in capsys.readouterr().err
