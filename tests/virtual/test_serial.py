# SPDX-License-Identifier: MIT
"""The virtual serial port: pyserial and the real mpremote on it, unplugging, and line faults."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial
from earlid.virtual.board import VirtualBoard
from earlid.virtual.pty_port import LineFaults, PtyPort
from earlid.virtual.uart import Uart
from earlid.virtual.uart_text import RAW_REPL, Receiver, Transmitter

Make = Callable[..., VirtualBoard]


def mpremote(board: VirtualBoard, *arguments: str) -> str:
    """Run the real command line tool on the board's port; returns what it printed, fails if it fails."""
    command = [sys.executable, "-m", "mpremote", "connect", board.serial_port, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}\n{board.console[-500:]}"
    return result.stdout


@pytest.mark.parametrize("clock", ["simulated", "wall"])
def test_mpremote_program_works_on_the_virtual_port(make_board: Make, tmp_path: Path, clock: str) -> None:
    board = make_board("idle", files={"boot.py": b"print('boot ran')\n"}, clock=clock)
    board.run_background()
    board.wait_for("beat 1")
    source = tmp_path / "mod.py"
    source.write_text("# a comment of some length\n" * 200 + "def f():\n    return 41 + 1\n")
    assert "main.py" in mpremote(board, "ls")
    mpremote(board, "cp", str(source), ":mod.py")
    assert mpremote(board, "exec", "import mod, machine; print(mod.f(), machine.reset_cause())").split() == ["42", "5"]
    back = tmp_path / "back.py"
    mpremote(board, "cp", ":mod.py", str(back))
    assert back.read_text() == source.read_text()
    script = tmp_path / "script.py"
    script.write_text("import time\nfor i in range(3):\n    print('step', i)\n    time.sleep_ms(20)\n")
    assert mpremote(board, "run", str(script)).split() == ["step", "0", "step", "1", "step", "2"]
    mpremote(board, "rm", ":mod.py")
    assert "mod.py" not in mpremote(board, "ls")
    boots = board.console.count("boot ran")
    mpremote(board, "soft-reset")
    board.wait_for("boot ran")
    assert board.console.count("boot ran") > boots
    assert [cause for _, cause in board.resets].count(2) == 0, "the chip crashed"


def test_mpremote_library_works_on_the_virtual_port(make_board: Make) -> None:
    # As earlid's own provisioning drives it: the transport, raw paste included
    from mpremote.transport_serial import SerialTransport

    board = make_board("idle")
    board.run_background()
    board.wait_for("beat 1")
    transport = SerialTransport(board.serial_port)
    try:
        transport.enter_raw_repl()
        assert transport.use_raw_paste
        assert transport.exec("x = 6\nprint(x * 7)\n" + "# filler\n" * 300) == b"42\r\n"
        transport.fs_writefile("note.bin", bytes(range(256)) * 20)
        assert transport.fs_readfile("note.bin") == bytes(range(256)) * 20
        transport.exit_raw_repl()
    finally:
        transport.close()
    assert board.read_files()["note.bin"] == bytes(range(256)) * 20


def test_opening_the_port_does_not_reset_the_board(make_board: Make) -> None:
    board = make_board("idle", clock="wall")
    board.wait_for("beat 1")
    for _ in range(3):
        with serial.Serial(board.serial_port, 115200, timeout=60) as line:
            assert b"beat" in line.read_until(b"\n") + line.read_until(b"\n")
    assert len(board.resets) == 1
    numbers = [int(n) for n in re.findall(r"beat (\d+)", board.console)]
    assert numbers == sorted(numbers)


def test_pseudo_terminal_is_made_on_first_use(make_board: Make) -> None:
    """Else a leftover program that still tries the terminal number of an earlier board would find this one there."""
    board = make_board("idle")
    board.unplug()
    board.replug()
    board.run_ms(1000)
    assert board.simulation.port.master_fd < 0
    path = board.serial_port
    assert Path(path).is_char_device()
    assert board.serial_port == path
    board.unplug()
    assert board.serial_port == path, "where it was"
    assert board.simulation.port.master_fd < 0
    board.replug()  # somebody knows of it, and may wait for it
    assert board.simulation.port.master_fd >= 0


def test_output_without_a_reader_is_lost(make_board: Make) -> None:
    board = make_board("idle")
    board.run_ms(4_000)
    lost = board.simulation.port.lost_bytes
    assert lost > 100
    with serial.Serial(board.serial_port, 115200, timeout=60) as line:
        board.run_ms(500)
        first = line.read_until(b"\n")
    assert int(first.split()[1]) > 18


def test_ctrl_c_interrupts_code_unless_disabled(make_board: Make) -> None:
    board = make_board(
        None,
        files={
            "main.py": b"""
import sys, time
from micropython import kbd_intr
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
kbd_intr(-1)
print("got", repr(sys.stdin.read(1)))
"""
        },
    )
    board.run_ms(1000)
    board.send(b"\x03")
    board.wait_for("stopped", 3000)
    board.run_ms(100)
    board.send(b"\x03")
    board.wait_for(r"got '\\x03'", 3000)


class Computing:
    """A chip as the UART model uses it: code runs until the test ends it."""

    pid = 1
    request_fd = stdout_fd = -1

    def __init__(self) -> None:
        self.runs = True
        self.heard, self.stdin_fd = os.pipe()
        os.set_blocking(self.heard, False)

    def interruptible(self) -> bool:
        return self.runs

    def unread_input(self) -> int:
        return 0


@pytest.mark.parametrize("comes", [True, False])
def test_late_ctrl_c_does_not_interrupt_the_next_code(comes: bool) -> None:
    chip, port = Computing(), PtyPort()
    line = Uart(port, chip)  # type: ignore[arg-type]
    try:
        line.receiver.put(b"\x03")
        line.transfer(0, 0, paced=False, interrupting=True)
        assert line.interrupt
        line.receiver.put(b"\x01next")
        line.transfer(1000, 0, paced=False, interrupting=True)
        with pytest.raises(BlockingIOError):
            os.read(chip.heard, 99)
        chip.runs = False  # the interrupt came and ended it, or it ended by itself before
        line.interrupt = not comes
        line.transfer(2000, 0, paced=False, interrupting=True)
        assert os.read(chip.heard, 99) == b"\x01next"
        assert not line.interrupt
    finally:
        port.unplug()
        os.close(chip.heard)
        os.close(chip.stdin_fd)


def test_ctrl_c_interrupts_a_busy_loop(make_board: Make) -> None:
    board = make_board(None, files={"main.py": b"print('spin')\nwhile True:\n    pass\n"})
    board.simulation.timing.hang_cpu_s = 0.3
    board.run_background()
    board.wait_for("spin")
    board.send(b"\x03")
    board.wait_for("KeyboardInterrupt", 120_000)
    board.wait_for(">>> ")


def test_unplugged_port_fails_and_replugging_makes_a_new_one(make_board: Make, tmp_path: Path) -> None:
    link = tmp_path / "ttyBOARD"
    board = make_board("idle", clock="wall", link=link)
    with serial.Serial(str(link), 115200, timeout=60) as line:
        assert line.read(4)
        board.unplug()
        assert not link.exists()
        with pytest.raises((serial.SerialException, OSError)):
            list(iter(lambda: line.read(100), None))
    board.replug()
    with serial.Serial(str(link), 115200, timeout=60) as line:
        assert b"beat" in line.read_until(b"\n") + line.read_until(b"\n")
    assert len(board.resets) == 1, "the board has its power from elsewhere"


def test_line_faults_have_the_requested_rates() -> None:
    data = bytes(200_000)
    damaged = LineFaults(bit_error_rate=1e-3, seed=4).apply(data)
    wrong = sum(byte.bit_count() for byte in damaged)
    assert 1400 < wrong < 1800
    assert LineFaults(bit_error_rate=1e-3, seed=4).apply(data) == damaged
    in_pieces = LineFaults(bit_error_rate=1e-3, seed=4)
    assert b"".join(in_pieces.apply(data[i : i + 977]) for i in range(0, len(data), 977)) == damaged
    assert LineFaults().apply(data) == data
    lines = b"".join(b"line %d\n" % i for i in range(10_000))
    arrived = LineFaults(drop_rate=0.1, duplicate_rate=0.05, seed=5).apply(lines).split(b"\n")[:-1]
    assert 8_700 < len(set(arrived)) < 9_300
    assert 350 < len(arrived) - len(set(arrived)) < 650
    with pytest.raises(ValueError, match="drop rate"):
        LineFaults(drop_rate=1.5)


def test_corrupted_lines_reach_the_reader(make_board: Make) -> None:
    board = make_board("idle")
    board.corrupt_line(0.02, seed=1)
    transmitter, port = board.simulation.uart.transmitter, board.simulation.port
    with serial.Serial(board.serial_port, 115200, timeout=60) as line:
        before = transmitter.total - port.lost_bytes
        board.run_ms(12_000)
        text = line.read(transmitter.total - port.lost_bytes - before)  # a pseudo-terminal hands bytes on when it comes to it
    good = re.findall(rb"^beat \d+\r$", text, re.M)
    assert 10 < len(good) < 58
    assert text.count(b"beat") < 58


def test_transmitter_converts_line_ends_and_hides_the_raw_banner() -> None:
    transmitter = Transmitter()
    assert transmitter.encode(b"a\nb\r\nc") == b"a\r\nb\r\nc"
    assert transmitter.encode(b"\r") + transmitter.encode(b"\nd\n") == b"\r\nd\r\n"
    transmitter.hide_until_raw()
    assert transmitter.encode(b"MicroPython v1\r\n>>> ") == b""
    assert transmitter.encode(b"\r\n" + RAW_REPL + b"OK") == RAW_REPL + b"OK"
    assert transmitter.raw_repl
    transmitter.encode(b"\r\nMicroPython v1\r\n>>> ")
    assert not transmitter.raw_repl


def test_receiver_delivers_at_the_lines_speed_after_a_silence() -> None:
    receiver = Receiver()
    receiver.put(bytes(280))
    assert len(receiver.due(1_000_000, 260, paced=True)) == 58
    assert len(receiver.due(1_010_000, 260, paced=True)) == 115
    assert len(receiver.due(1_030_000, 260, paced=True)) == 107
    receiver.put(bytes(280))
    assert len(receiver.due(2_000_000, 260, paced=True)) == 58


def test_receiver_overruns_like_a_uart() -> None:
    receiver = Receiver()
    receiver.put(bytes(1000))
    assert len(receiver.due(0, 260, paced=True)) == 0
    assert len(receiver.due(10_000, 260, paced=True)) == 115
    assert len(receiver.due(20_000, 5, paced=True)) == 5
    assert receiver.overrun == 110
    assert len(receiver.due(30_000, 260, paced=False)) == 260


def test_printing_takes_line_time(make_board: Make) -> None:
    board = make_board(
        None,
        files={
            "main.py": b"import time\nt = time.ticks_ms()\nprint('x' * 2000)\ntime.sleep_ms(1)\n"
            b"print('took', time.ticks_diff(time.ticks_ms(), t))\n"
        },
    )
    took = int(board.wait_for(r"took (\d+)").group(1))
    assert 150 < took < 200


def test_stop_ends_every_process() -> None:
    from .conftest import FIRMWARE

    board = VirtualBoard(firmware=FIRMWARE / "idle")
    board.start()
    board.run_ms(1000)
    pids = board.simulation.processor.pids
    assert len(pids) == 2
    board.stop()
    deadline = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
