# SPDX-License-Identifier: MIT
"""`-v`, `--trace` and EARLID_LOG: what goes over the wire, with time, on stderr alone; nothing of a key."""

from __future__ import annotations

import json
import re

import pytest
from earlid import cli, log
from earlid.board.port_trace import traced
from earlid.virtual.board import VirtualBoard

LINE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} (\S+) ([<>]) (.*)")


class Loop:
    """A port that gives back what was written, in pieces."""

    port = "loop"

    def __init__(self) -> None:
        self.held = b""

    def write(self, data: bytes) -> int:
        self.held += data
        return len(data)

    def read(self, size: int = 1) -> bytes:
        data, self.held = self.held[:size], self.held[size:]
        return data


@pytest.fixture(autouse=True)
def quiet_again() -> None:
    yield
    log.set_level(False, False)


def test_every_whole_line_is_shown_once_with_time_and_without_keys(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_level(False, True)
    port = traced(Loop())
    assert "loop is open" in capsys.readouterr().err
    port.write(b'#1 {"ok":1,"key":"00ff"}*aa\r\n#2 {"mac": "abcd"')
    while port.read(5):
        pass
    port.write(b"}\n\x1b[2J\xff\n")
    shown = [LINE.fullmatch(line).groups() for line in capsys.readouterr().err.splitlines()]
    assert shown == [
        ("loop", ">", '#1 {"ok":1,"key":"..."}*aa'),
        ("loop", "<", '#1 {"ok":1,"key":"..."}*aa'),
        ("loop", ">", '#2 {"mac": "..."}'),
        ("loop", ">", "\\x1b[2J\\xff"),
    ]


def test_without_it_a_port_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    log.set_level(True, False)
    loop = Loop()
    assert traced(loop).read == loop.read
    assert re.fullmatch(r"\S+ loop is open\n", capsys.readouterr().err)


@pytest.mark.parametrize("how", ["option", "variable"])
def test_trace_of_a_verb_has_both_ways_and_stdout_is_as_without(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with VirtualBoard() as board:
        board.run_background(speed=1.0)
        words = ["settings", "-p", board.serial_port, "--json"]
        if how == "variable":
            monkeypatch.setenv("EARLID_LOG", "trace")
        assert cli.main(words + (["--trace"] if how == "option" else [])) == 0
        said = capsys.readouterr()
    assert json.loads(said.out)["config"]
    lines = [match.groups() for match in map(LINE.fullmatch, said.err.splitlines()) if match]
    assert any(arrow == ">" and '"do":"config-get"' in text for _, arrow, text in lines)
    assert any(arrow == "<" and '"config":' in text for _, arrow, text in lines)
    assert {port for port, _, _ in lines} == {board.serial_port}


def test_verbose_says_what_runs_and_a_wrong_word_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARLID_LOG", "loud")
    cli.main(["config", "path", "-v"])
    said = capsys.readouterr().err
    assert "EARLID_LOG is 'loud': info or trace is understood." in said
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3} Python .* earlid config$", said, re.MULTILINE)
