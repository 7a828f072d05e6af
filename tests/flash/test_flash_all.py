# SPDX-License-Identifier: MIT
"""Many boards side by side: one failure stops no other; each has its result."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from earlid import firmware
from earlid.cli import main
from earlid.flash import inputs, progress_bars, repl, stages
from earlid.flash.provision import FlashOptions, Provisioner
from earlid.verbs import flash as verb
from earlid.virtual.board import VirtualBoard

from tests.flash import harness
from tests.outputs import parse_lines
from tests.terminal import Terminal

BOARDS = 8


@pytest.fixture(autouse=True)
def _small_firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.small_build(tmp_path, "0.9.0")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path)
    monkeypatch.setattr(inputs, "word_blob", lambda name: harness.fake_model(20_000))


def test_two_broken_boards_of_eight_do_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        boards = [stack.enter_context(harness.bare_board()) for _ in range(BOARDS - 1)]
        foreign = stack.enter_context(harness.bare_board(files={"main.py": b"import network\n"}))
        loose = stack.enter_context(harness.cable(harness.board_end(boards[0])))

        def intercept(data: bytes) -> bytes:
            if loose.sent > 12_000:
                loose.vanish()
                return b""
            return data

        loose.intercept = intercept
        ports = [loose.path, *(board.serial_port for board in boards[1:]), foreign.serial_port]
        monkeypatch.setattr(verb, "candidate_ports", lambda: [SimpleNamespace(device=port) for port in ports])
        with monkeypatch.context() as patch:
            patch.setattr(repl, "REPL_TIMEOUT_S", 30.0)  # all of them on one processor
            assert main(["flash", "--all", "--json"]) == 1, capsys.readouterr()
        printed = capsys.readouterr()
        assert printed.err == ""
        results = {entry["port"]: entry for entry in parse_lines("flash", printed.out)}
        assert list(results) == ports
        assert [results[port]["code"] for port in ports] == [3, *[0] * (BOARDS - 2), 2], results
        assert "fell silent" in results[loose.path]["say"] or "went away" in results[loose.path]["say"]
        assert "another project's main.py" in results[foreign.serial_port]["say"]
        for board in boards[1:]:
            assert results[board.serial_port]["board"] == "1122334455667788"
            assert results[board.serial_port]["self_test"] == "passed"
        # The one whose cable was pulled is completed by the next run, over a good cable.
        assert main(["flash", "-p", boards[0].serial_port]) == 0, (capsys.readouterr(), boards[0].console[-1500:])
        assert "runs Earlid 0.9.0" in capsys.readouterr().out
        assert "main.py" in foreign.read_files()
        assert foreign.read_files()["main.py"] == b"import network\n"


@pytest.mark.parametrize("ports", [",", "A,A"])
def test_empty_or_repeated_ports_are_refused(ports: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flash", "--all", "-p", ports]) == 2
    assert "different ports" in capsys.readouterr().err


def test_flash_all_without_a_board_exits_with_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(verb, "candidate_ports", list)
    assert main(["flash", "--all"]) == 3
    assert "no board found" in capsys.readouterr().err


def test_failed_self_test_is_reported_as_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harness.small_build(tmp_path, "0.9.0", self_test="failed")
    with harness.bare_board() as board:
        assert main(["flash", "-p", board.serial_port]) == 1
        assert "Its self-test failed (bits 0x3ff): the lid stays closed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("look", "has what it had"),
        ("deploy", "has what it had"),
        ("write", "no working MicroPython"),
        ("restart", "firmware is on the board"),
    ],
)
def test_interrupted_text_says_what_is_left(stage: str, words: str) -> None:
    text = stages.interrupted_text(stage)
    assert words in text
    assert "run `earlid flash` again" in text


def test_next_run_completes_a_deploy_stopped_by_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with harness.bare_board() as board:
        stop = threading.Event()

        def report(stage: str, done: int, total: int) -> None:
            if stage == "deploy" and done >= 3:
                stop.set()

        options = FlashOptions(image=lambda report: pytest.fail("no image is needed"), model=harness.fake_model())
        with monkeypatch.context() as patch:
            patch.setattr(repl, "REPL_TIMEOUT_S", 30.0)
            outcome = Provisioner(board.serial_port, options, report, stop).run()
        assert (outcome.code, outcome.say.split(".")[0]) == (130, "stopped")
        assert main(["flash", "-p", board.serial_port]) == 0
        assert "runs Earlid 0.9.0" in capsys.readouterr().out


def test_ctrl_c_at_a_terminal_ends_tidily() -> None:
    board = VirtualBoard()
    board.power_on()
    board.run_until(lambda: '"selftest"' in board.console, 10_000)
    board.run_background(speed=2.0)
    try:
        with Terminal(["flash", "-p", board.serial_port]) as person:
            person.expect("hold its talk button, press and release its")
            person.expect("waiting for maintenance mode")
            person.keys("\x03")
            person.expect("stopped")
            person.expect("earlid: stopped. The board has what it had")
            person.end_tidily(130)
    finally:
        board.stop()


def test_remaining_time_is_unknown_at_first() -> None:
    assert progress_bars.remaining_s(0, 100, 10) is None
    assert progress_bars.remaining_s(50, 0, 10) is None, "of how much is not known"
    assert progress_bars.remaining_s(50, 100, 1.0) is None, "too early"
    assert progress_bars.remaining_s(1, 100, 10) is None, "too little"
    assert progress_bars.remaining_s(25, 100, 10) == 30


def test_progress_bars_are_for_terminals_only(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars.show(["A", "B"]) as bars:
        report = bars.reporter("A")
        report("look", 0, 0)
        report("write", 1, 2)
        report("write", 2, 2)
    assert capsys.readouterr().err == "A: looking at the board\nA: writing the flash\n"
    with progress_bars.show(["A"], quiet=True) as bars:
        bars.reporter("A")("look", 0, 0)
    assert capsys.readouterr() == ("", "")
