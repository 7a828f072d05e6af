# SPDX-License-Identifier: MIT
"""Port detection and `earlid list`; control lines are recorded and run through a model of a board's reset circuit."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
import serial
from earlid.board import detect
from earlid.board import port as port_module
from earlid.board.port import QuietSerial, open_port
from earlid.cli import main
from earlid.verbs import list as list_verb
from esptool.reset import ClassicReset
from lid import config, wire

from tests.flash import harness
from tests.outputs import parse_output

HELLO = {"board": "00112233445566aa", "fw": "0.1.0", "state": "closed", "mute": False, "maintenance": False}


class RecordingSerial(QuietSerial):
    """A port that records its control lines, with a device behind it that `answer` simulates."""

    def __init__(self, answer: Callable[[bytes], bytes], vanish_after: int = 1_000_000) -> None:
        super().__init__(None, timeout=0)
        self.lines: list[tuple[str, bool]] = []
        self.written = b""
        self._answer = answer
        self._waiting = b""
        self._vanish_after = vanish_after
        self.open()

    def open(self) -> None:
        """As Linux does: both lines come on when the device is opened."""
        self.fd = None
        self.is_open = True
        self.lines += [("open", self.dtr), ("dtr", self.dtr), ("rts", self.rts)]

    def close(self) -> None:
        if self.is_open:
            super().close()
            self.lines.append(("close", False))

    def _update_dtr_state(self) -> None:
        self.lines.append(("dtr", self._dtr_state))

    def _update_rts_state(self) -> None:
        self.lines.append(("rts", self._rts_state))

    def _reconfigure_port(self, force_update: bool = False) -> None:
        pass

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int = 1) -> bytes:
        if len(self.written) > self._vanish_after:
            raise serial.SerialException(errno.EIO, "device disconnected")
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data

    def write(self, data: bytes) -> int:
        self.written += data
        self._waiting += self._answer(data)
        return len(data)


def resets(lines: list[tuple[str, bool]]) -> int:
    """How often the two-transistor circuit of an ESP32 board pulls EN low: RTS on while DTR is off.

    The kernel raises both at once when it opens the device; everything after that is one line at a time.
    """
    dtr = rts = False
    count = 0
    for name, value in lines:
        if name == "open":
            dtr = rts = True
            continue
        before = rts and not dtr
        dtr, rts = (value, rts) if name == "dtr" else (dtr, value) if name == "rts" else (dtr, rts)
        count += rts and not dtr and not before
    return count


def device_earlid(data: bytes) -> bytes:
    if not data.startswith(b"#"):
        return b""
    _, body = wire.decode(data.strip())
    return b"noise\r\n" + wire.encode(3, {"re": body["id"], "ok": True, "hi": HELLO})


def device_repl(data: bytes) -> bytes:
    return data + b"\r\n>>> " if b"\r" in data else data


def device_boot_loader(data: bytes) -> bytes:
    return b"\xc0\x01\x08\x02\x00\x07\x07\x12\x20\x00\x00\xc0" if data.startswith(b"\xc0\x00\x08") else b""


DEVICES = {
    "earlid": device_earlid,
    "micropython": device_repl,
    "bootloader": device_boot_loader,
    "silent": lambda data: b"",
}


@pytest.mark.parametrize("state", DEVICES)
def test_probe_detects_every_state_and_resets_nothing(state: str) -> None:
    opened = RecordingSerial(DEVICES[state])
    result = detect.probe("P", lambda path: opened, timeout_s=0.1)
    assert result.state == state
    assert opened.lines[-1][0] == "close"
    assert resets(opened.lines) == 0
    assert b"\x03" not in opened.written, "Ctrl-C ends a program"
    assert b"\x04" not in opened.written, "Ctrl-D restarts a REPL"
    assert (result.hello or {}) == (HELLO if state == "earlid" else {})


def test_reset_circuit_model_detects_esptools_reset() -> None:
    opened = RecordingSerial(lambda data: b"")
    ClassicReset(opened).reset()
    assert resets(opened.lines) == 1


def test_probes_use_different_request_ids() -> None:
    # A board answers a number that comes again with its earlier reply, which may no longer be true.
    ids = []

    def device(data: bytes) -> bytes:
        ids.append(wire.decode(data.strip())[1]["id"])
        return device_earlid(data)

    for _ in range(5):
        detect.probe("P", lambda path: RecordingSerial(device), timeout_s=0.1)
    assert len(set(ids)) == len(ids) == 5


def test_unknown_device_gets_no_boot_loader_sync() -> None:
    opened = RecordingSerial(lambda data: b"")
    assert detect.probe("P", lambda path: opened, timeout_s=0.05, ask_boot_loader=False).state == "silent"
    assert opened.written.startswith(b"#")
    assert b"\xc0" not in opened.written


def test_boot_messages_are_in_the_probe_result() -> None:
    opened = RecordingSerial(lambda data: b"rst:0x1 (POWERON_RESET),boot:0x3 (DOWNLOAD_BOOT)\r\nwaiting for download\r\n")
    result = detect.probe("P", lambda path: opened, timeout_s=0.1)
    assert result.state == "bootloader"
    assert "boot:0x3" in result.console_text


def test_port_that_vanishes_during_a_probe_is_gone() -> None:
    opened = RecordingSerial(lambda data: b"", vanish_after=10)
    result = detect.probe("P", lambda path: opened, timeout_s=0.5)
    assert result.state == "gone"
    assert "vanished" in result.error


@pytest.mark.parametrize(
    ("number", "state"),
    [(errno.EACCES, "no-permission"), (errno.EAGAIN, "busy"), (errno.EBUSY, "busy"), (errno.ENOENT, "gone")],
)
def test_port_that_does_not_open_has_a_state_and_a_sentence(number: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(number, "could not open port")

    monkeypatch.setattr(port_module, "QuietSerial", refuse)
    result = detect.probe("/dev/ttyNONE0")
    assert result.state == state
    assert result.error.endswith((".", "`earlid list`."))


@pytest.mark.usefixtures("patient")
def test_list_does_not_reset_a_virtual_board(capsys: pytest.CaptureFixture[str]) -> None:
    with harness.bare_board() as board:
        harness.restart(board)
        count = len(board.resets)
        assert main(["list", "--port", board.serial_port, "--json"]) == 0
        (entry,) = parse_output("list", capsys.readouterr().out)
        assert (entry["port"], entry["state"], entry["board"]) == (board.serial_port, "micropython", None)
        assert len(board.resets) == count


def test_list_shows_a_busy_port(capsys: pytest.CaptureFixture[str]) -> None:
    with harness.bare_board() as board:
        holder = open_port(board.serial_port)
        try:
            assert main(["list", "-p", board.serial_port]) == 0
        finally:
            holder.close()
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:2] == [board.serial_port, "busy"]
    assert "is busy" in err


def test_list_table_is_aligned() -> None:
    result = [
        detect.ProbeResult("/dev/ttyUSB0", "earlid", "CP2102", "10c4:ea60", hello=HELLO),
        detect.ProbeResult("/dev/ttyUSB11", "busy", "", "1a86:7523", holder="screen (4711)"),
        detect.ProbeResult("/dev/ttyUSB2", "busy", "", "1a86:7523", holder="earlid (7)", hello=HELLO | {"state": "muted"}),
        detect.ProbeResult("COM3", "no-permission"),
    ]
    assert list_verb.table(result) == [
        "PORT           STATE                                   BOARD             USB        DESCRIPTION",
        "/dev/ttyUSB0   Earlid 0.1.0, closed                    00112233445566aa  10c4:ea60  CP2102",
        "/dev/ttyUSB11  busy: screen (4711)                     -                 1a86:7523  -",
        "/dev/ttyUSB2   busy: earlid (7) (Earlid 0.1.0, muted)  00112233445566aa  1a86:7523  -",
        "COM3           no permission                           -                 -          -",
    ]


@pytest.mark.parametrize(
    ("hello", "text"),
    [
        ({"no_word": "no-memory", "missing": 2104}, "2,104 bytes found no place"),
        ({"no_word": "no-memory", "missing": 0}, "there was no memory for it"),
        ({"no_word": "model-damaged", "missing": 0}, "its file is damaged or missing"),
        ({"no_word": "new-reason"}, "new-reason"),
        ({"no_word": ""}, ""),
        ({"word": "Alexa"}, ""),
    ],
)
def test_list_says_why_there_is_no_word(hello: dict[str, object], text: str) -> None:
    assert detect.no_word_text(hello) == text
    result = detect.ProbeResult("P", "earlid", hello={"fw": "0.2.0", "state": "closed", **hello})
    assert list_verb.state_text(result) == "Earlid 0.2.0, closed" + (f", no word: {text}" if text else "")


def test_board_with_the_settings_it_came_with_is_not_calibrated() -> None:
    factory = f"{config.digest(config.defaults()):08x}"
    result = detect.ProbeResult("COM1", "earlid", hello={"board": "0123456789abcdef", "fw": "0.2.0", "config": factory})
    assert result.as_json()["calibrated"] is False
    assert "not calibrated" in list_verb.state_text(result)
    other = detect.ProbeResult("COM1", "earlid", hello={"config": "00000000"})
    assert other.as_json()["calibrated"] is None
    assert "calibrated" not in list_verb.state_text(other)
