# SPDX-License-Identifier: MIT
"""Flasher: esptool's real protocol against esp32-mock-bootloader, and its failures."""

from __future__ import annotations

import argparse
import io
import random
import struct
import threading
from pathlib import Path

import pytest
from earlid import firmware
from earlid.cli import main
from earlid.errors import UserError
from earlid.flash import flasher, image, provision
from earlid.flash.foreign import Flash
from earlid.verbs import flash as verb
from esp32_mock_bootloader import registers
from esptool.targets.esp32 import ESP32ROM

from tests.flash import harness

IMAGE_OFFSET = 0x1000
SEED = 4


@pytest.fixture(scope="module")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image for the ESP32 by its header, 200 KB, half of it incompressible."""
    path = tmp_path_factory.mktemp("image") / "image.bin"
    rng = random.Random(SEED)
    path.write_bytes(b"\xe9\x03\x02\x20" + bytes(8) + b"\x00\x00" + bytes(100_000) + rng.randbytes(100_000))
    return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "PROBE_S", 0.2)  # these chips wait in their boot loader, and never greet
    monkeypatch.setattr(provision, "PROMPT_WAIT_S", 120.0)


def flash(cable: harness.Cable, image_file: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    """Run `earlid flash` at a cable; its exit code and stderr without the progress."""
    code = main(["flash", "--port", cable.path, "--image", str(image_file), *more])
    err = capsys.readouterr().err.replace(cable.path, "PORT")
    return code, "\n".join(line for line in err.splitlines() if not line.startswith("PORT: "))


def test_flash_takes_a_bare_chip_to_a_deployed_firmware(
    image_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.small_build(tmp_path, "fresh")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path)
    chip = harness.BootloaderChip()
    with harness.bare_board() as board, harness.cable(chip.end()) as cable:

        def intercept(data: bytes) -> bytes:
            # The chip starts what was written: from here on a MicroPython answers.
            if harness.is_probe(data) and chip.flash.data[IMAGE_OFFSET] == 0xE9:
                cable.far_end = board_end
            return data

        board_end = harness.board_end(board)
        cable.intercept = intercept
        code, err = flash(cable, image_file, capsys)
        written = image_file.read_bytes()
        assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written
        assert (code, err) == (0, "")
        assert "started fresh" in harness.restart(board)
        chip.close()


@pytest.mark.parametrize("name", ["esp32s3", "esp32c3"])
def test_wrong_chip_is_refused_and_nothing_written(name: str, image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = harness.BootloaderChip(name)
    with harness.cable(chip.end()) as cable:
        label = name.upper().replace("ESP32", "ESP32-")
        assert flash(cable, image_file, capsys) == (
            2,
            f"earlid: this chip is an {label}, and image.bin is for the ESP32. Nothing was written. "
            "Name this chip's image with --image, or plug in an ESP32.",
        )
    assert set(chip.flash.data) == {0xFF}


def test_too_small_flash_is_refused_and_nothing_written(image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with harness.flash_id(0x154020):
        chip = harness.BootloaderChip()
        with harness.cable(chip.end()) as cable:
            assert flash(cable, image_file, capsys) == (
                2,
                "earlid: this module has 2MB of flash, Earlid needs 4MB. Nothing was written. "
                "Take a module with more, as an ESP32-WROOM-32.",
            )
    assert set(chip.flash.data) == {0xFF}


@pytest.mark.parametrize(
    ("register", "value"),
    [(ESP32ROM.EFUSE_RD_ABS_DONE_REG, ESP32ROM.EFUSE_RD_ABS_DONE_0_MASK), (ESP32ROM.EFUSE_SPI_BOOT_CRYPT_CNT_REG, 1 << 20)],
    ids=["secure boot", "flash encryption"],
)
def test_chip_with_security_fuses_is_refused_and_nothing_written(
    register: int, value: int, image_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = registers.read_reg_value
    monkeypatch.setattr(registers, "read_reg_value", lambda chip, at: value if at == register else plain(chip, at))
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:
        code, err = flash(cable, image_file, capsys)
    assert code == 2
    assert err.startswith("earlid: this chip has secure boot or flash encryption in its fuses")
    assert set(chip.flash.data) == {0xFF}


def test_file_that_is_no_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "image.bin"
    bad.write_bytes(b"not this")
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:
        code, err = flash(cable, bad, capsys)
    assert code == 2
    assert err.startswith("earlid: image.bin is no ESP32 image (it does not begin with 0xE9)")


@pytest.mark.parametrize(("how", "baud"), [("cut", 57600), ("vanish", 460800)])
def test_lost_connection_ends_with_a_sentence(how: str, baud: int, image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:

        def intercept(data: bytes) -> bytes:
            if cable.sent < 90_000:
                return data
            if how == "vanish":
                cable.vanish()
            return b""

        cable.intercept = intercept
        code, err = flash(cable, image_file, capsys, "--baud", str(baud))
        assert how == "vanish" or cable.baud == baud
    assert code == 3
    assert err == (
        "earlid: the connection to PORT was lost while writing. The chip can be written again: run `earlid flash` once "
        "more, with another cable or USB port if this repeats."
    )


def begun(chip: harness.BootloaderChip) -> list[int]:
    """The offsets at which writes to a chip begin, as they come."""
    offsets: list[int] = []
    begin = chip.flash.begin_defl

    def count(payload: bytes) -> None:
        offsets.append(struct.unpack_from("<I", payload, 12)[0])
        begin(payload)

    chip.flash.begin_defl = count  # type: ignore[method-assign]
    return offsets


def spoil(how: str, cable: harness.Cable, chip: harness.BootloaderChip, after_bytes: int) -> None:
    """Give a chip a line that bears 115200 baud and no more: faster it goes wrong behind so many bytes."""

    def broken() -> bool:
        return cable.baud > flasher.SLOW_BAUD and cable.sent > after_bytes

    def intercept(data: bytes) -> bytes:
        if not broken():
            return data
        return b"" if how == "dropped" else data.replace(b"\x05\x05", b"\x05\x04")

    def forget(payload: bytes) -> None:
        write_block(payload)
        if broken():
            chip.flash.data[flasher.HEAD_BYTES + 500] = 0xFF  # in the piece that was right

    write_block = chip.flash.write_defl_block
    if how == "forgotten":
        chip.flash.write_defl_block = forget  # type: ignore[method-assign]
    else:
        cable.intercept = intercept


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of three pieces, that halves when it is compressed."""
    path = tmp_path_factory.mktemp("image") / "large.bin"
    path.write_bytes(b"\xe9\x03\x02\x20" + bytes(8) + b"\x00\x00" + bytes(random.Random(SEED).choices(range(16), k=380_000)))
    return path


@pytest.mark.parametrize("how", ["dropped", "garbled", "forgotten"])
def test_write_that_fails_fast_goes_on_slowly(how: str, large_file: Path) -> None:
    chip = harness.BootloaderChip()
    offsets = begun(chip)
    stages: list[str] = []
    asked: list[Flash] = []
    with harness.cable(chip.end()) as cable:
        spoil(how, cable, chip, 130_000)  # in the second of three
        flasher.write(
            cable.path, image.load(str(large_file)), erase=True, force=False, report=lambda stage, *_: stages.append(stage),
            choose=asked.append,
        )  # fmt: skip
        assert cable.baud == flasher.SLOW_BAUD
    written = large_file.read_bytes()
    assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written
    assert (stages.count("slower"), stages.count("connect")) == (1, 2)
    assert len(asked) == 1, "who agreed is not asked again"
    first, second = flasher.HEAD_BYTES, flasher.PIECE_BYTES
    again = [first] if how == "forgotten" else [second, IMAGE_OFFSET]  # what is right is not sent again
    assert offsets == [first, second, *([IMAGE_OFFSET] if how == "forgotten" else []), *again]


def test_one_bad_cable_of_two_is_written_slowly_and_said(
    large_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def enough(_: provision.Provisioner) -> None:
        raise UserError("written")

    monkeypatch.setattr(provision.Provisioner, "_probe_after_image", enough)
    chips = [harness.BootloaderChip(), harness.BootloaderChip()]
    with harness.cable(chips[0].end()) as bad, harness.cable(chips[1].end()) as good:
        spoil("garbled", bad, chips[0], 50_000)
        main(["flash", "--all", "-p", f"{bad.path},{good.path}", "--image", str(large_file), "--baud", "921600"])
        err = capsys.readouterr().err.replace(bad.path, "BAD").replace(good.path, "GOOD")
        assert (bad.baud, good.baud) == (115200, 921600)
    assert "BAD: the fast line failed, going on at 115200 baud." in err
    assert "GOOD: the fast" not in err
    written = large_file.read_bytes()
    for chip in chips:
        assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written


@pytest.mark.parametrize("baud", ["", "fast", "4800", "-1", "3000001", "115200.0", "0x1c200"])
def test_impossible_baud_is_refused(baud: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flash", "--baud", baud])
    assert ended.value.code == 2
    assert "baud" in capsys.readouterr().err


def test_pieces_make_up_what_is_written_and_the_boot_loader_comes_last() -> None:
    data = random.Random(SEED).randbytes(0x48000)
    body, keystones = flasher.pieces(data, 0, 0x20000)
    assert [offset for offset, _ in keystones] == [0, 0x20000]
    assert [len(piece) for _, piece in keystones] == [flasher.HEAD_BYTES, 2 * flasher.SECTOR_BYTES]
    flash_bytes = bytearray(len(data))
    for offset, piece in [*body, *keystones]:
        assert offset % flasher.SECTOR_BYTES == 0
        flash_bytes[offset : offset + len(piece)] = piece
    assert flash_bytes == data
    assert sum(len(piece) for _, piece in [*body, *keystones]) == len(data)


def test_what_is_there_already_is_not_sent(large_file: Path) -> None:
    chip = harness.BootloaderChip()
    written = large_file.read_bytes()
    chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)] = written
    chip.flash.data[flasher.PIECE_BYTES + 5] ^= 1
    offsets = begun(chip)
    with harness.cable(chip.end()) as cable:
        flasher.write(cable.path, image.load(str(large_file)), erase=False, force=False, report=lambda *_: None)
    assert offsets == [flasher.PIECE_BYTES]
    assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written


def test_two_chips_at_once_report_their_own_progress(image_file: Path) -> None:
    chips = [harness.BootloaderChip(), harness.BootloaderChip()]
    reports: list[list[tuple[str, int, int]]] = [[], []]
    with harness.cable(chips[0].end()) as one, harness.cable(chips[1].end()) as two:

        def write(number: int, path: str) -> None:
            flasher.write(
                path, image.load(str(image_file)), erase=False, force=False, report=lambda *event: reports[number].append(event)
            )

        threads = [threading.Thread(target=write, args=(n, cable.path)) for n, cable in enumerate((one, two))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    written = image_file.read_bytes()
    for chip, events in zip(chips, reports, strict=True):
        assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written
        done = [count for stage, count, _ in events if stage == "write"]
        assert done == sorted(set(done)), "one chip's progress, and nobody else's"


def test_flash_that_reads_back_wrong_is_reported(image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = harness.BootloaderChip()
    write_block = chip.flash.write_defl_block

    def forget(payload: bytes) -> None:
        write_block(payload)
        chip.flash.data[IMAGE_OFFSET + 500] ^= 1

    chip.flash.write_defl_block = forget  # type: ignore[method-assign]
    with harness.cable(chip.end()) as cable:
        code, err = flash(cable, image_file, capsys)
    assert (code, err) == (
        1,
        "earlid: what was written to PORT reads back wrong. The chip can be written again: run `earlid flash` once "
        "more; if it repeats, the flash is worn out.",
    )


def test_missing_port_exits_with_3(image_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "--port", "/dev/ttyNONE9", "--image", str(image_file)]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "earlid: there is no /dev/ttyNONE9. Check the cable (some carry power only) and see `earlid list`."
    )


def test_erase_without_a_terminal_needs_yes(
    image_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody is there, though somebody may have started the tests
    chip = harness.BootloaderChip()
    with harness.cable(chip.end()) as cable:
        code, err = flash(cable, image_file, capsys, "--erase")
    assert code == 2
    assert err == "earlid: --erase destroys the journal and the key: say --yes when nobody is there to be asked."
    assert set(chip.flash.data) == {0xFF}


@pytest.mark.parametrize(("answer", "code"), [("erase\n", None), ("no\n", 1), ("", 1)])
def test_erase_asks_for_confirmation(
    answer: str, code: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = io.StringIO(answer)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    args = argparse.Namespace(erase=True, yes=False)
    if code is None:
        verb._ask_before_erase(args, ["P"])
    else:
        with pytest.raises(UserError, match="nothing was erased") as raised:
            verb._ask_before_erase(args, ["P"])
        assert raised.value.code == code
    assert "erases the journal, the key and the configuration of P" in capsys.readouterr().err


def test_erase_leaves_only_the_image(image_file: Path) -> None:
    chip = harness.BootloaderChip()
    chip.flash.data[:] = b"old" + bytes(len(chip.flash.data) - 3)
    with harness.cable(chip.end()) as cable:
        flasher.write(cable.path, image.load(str(image_file)), erase=True, force=False, report=lambda *event: None)
    written = image_file.read_bytes()
    assert set(chip.flash.data[:IMAGE_OFFSET]) == {0xFF}
    assert bytes(chip.flash.data[IMAGE_OFFSET : IMAGE_OFFSET + len(written)]) == written
    assert (
        chip.flash.data[IMAGE_OFFSET + len(written) + 4096 :].count(0xFF)
        == len(chip.flash.data) - IMAGE_OFFSET - len(written) - 4096
    )


def test_ctrl_c_while_writing_says_what_is_left(image_file: Path) -> None:
    chip = harness.BootloaderChip()
    stop = threading.Event()

    def report(stage: str, done: int, total: int) -> None:
        if stage == "write" and done > total / 2:
            stop.set()

    with harness.cable(chip.end()) as cable:
        options = provision.FlashOptions(image=lambda report: image.load(str(image_file)), write_image=True)
        outcome = provision.Provisioner(cable.path, options, report, stop).run()
    assert outcome.code == 130
    assert outcome.say == (
        "stopped. The chip has no working MicroPython now, and its lid is closed: run `earlid flash` again to finish."
    )


@pytest.mark.parametrize(
    ("text", "stub_ran", "expected", "code"),
    [
        ("Failed to connect to ESP32: Wrong boot mode detected (0x13)! The chip needs ...", False, "hold BOOT", 3),
        ("Failed to connect to Espressif device: No serial data received.", False, "no ESP32 answers at P", 3),
        ("Could not open P, the port is busy or doesn't exist.", False, "cannot open P", 3),
        ("MD5 of file does not match data in flash!", True, "reads back wrong", 1),
        ("The chip stopped responding.", True, "esptool stopped at P: The chip stopped responding", 1),
    ],
)
def test_esptool_errors_become_one_sentence(text: str, stub_ran: bool, expected: str, code: int) -> None:
    error = flasher._user_error("P", flasher.FatalError(text), stub_ran)
    assert isinstance(error, UserError)
    assert expected in str(error)
    assert error.code == code
    assert "http" not in str(error)
