# SPDX-License-Identifier: MIT
"""The production test: a jig's lines, one line and one row a board, and a file that two writers cannot tear."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
import serial
from earlid.cli import main
from earlid.doctor import production_log
from earlid.doctor.bring_up_rules import find
from earlid.doctor.check_sheet import CheckSheet
from earlid.doctor.operators import Jig
from earlid.errors import UserError
from earlid.verbs import doctor as verb
from earlid.virtual.board import VirtualBoard
from lid import circuit

from tests.doctor.at_the_board import PortInSimulatedTime, open_link
from tests.firmware.kit import FIRST_HOP_MS, Bench


class Adapter:
    """The jig's serial adapter, wired to a virtual board as `hardware.jig` has it."""

    def __init__(self, board: VirtualBoard) -> None:
        self.board = board
        self.closed = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "rts":
            self.board.mute(not value)
            self.board.run_ms(100)
        elif name == "dtr":
            self.board.talk(value)
            self.board.run_ms(200 if value else 50)
        else:
            super().__setattr__(name, value)

    def close(self) -> None:
        self.closed = True


@contextmanager
def on_the_jig(monkeypatch: pytest.MonkeyPatch, entropy: int = 0) -> Iterator[Bench]:
    """A virtual board with the jig under it, for `earlid doctor --production -p board --jig adapter`."""
    with Bench(start=False, entropy=entropy) as bench:
        bench.board.microphone = "dead"  # none is fitted
        monkeypatch.setattr(verb, "Link", lambda port: open_link(PortInSimulatedTime(bench.board)))
        monkeypatch.setattr(verb, "Jig", lambda port: Jig(cast(serial.Serial, Adapter(bench.board))))
        monkeypatch.setattr("earlid.doctor.operators.PRESS_S", 0)
        monkeypatch.setattr("earlid.doctor.operators.SETTLE_S", 0)
        yield bench


def production(path: Path, *words: str) -> int:
    return main(["doctor", "--production", "-p", "/dev/board", "--jig", "adapter", "--csv", str(path), *words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_boards_in_a_loop_have_a_line_and_a_row_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "boards.csv"
    for entropy, broken in ((1, False), (2, True)):
        with on_the_jig(monkeypatch, entropy) as bench:
            if broken:
                bench.board.reverse_flyback("guarded")
            bench.board.start()
            bench.board.run_ms(FIRST_HOP_MS)
            assert production(path) == int(broken)
            assert bench.board.leds["red"] == 1, "the jig left the board in ARM"
    good, bad = capsys.readouterr().out.splitlines()
    first, second = rows(path)
    assert good.startswith(f"PASS {first['board']} drop1_ms=")
    assert bad.startswith(f"FAIL {second['board']} flyback-reversed-2")
    assert first["board"] != second["board"]
    assert (first["result"], first["findings"], second["findings"]) == ("passed", "", "flyback-reversed-2")
    assert circuit.DROP_EARLY_MS <= int(first["drop1_ms"]) <= circuit.DROP_LATE_MS
    assert int(first["rail2_mv"]) >= circuit.GUARDED_GOOD_MV
    assert set(first["skipped"].split()) == {"red", "amber1", "microphone", "amber2", "status", "buzzer"}


def sheet(board: str, **figures: int) -> CheckSheet:
    made = CheckSheet("production test", "2026-11-27T01:02:03+00:00", "0", board, "0.2.0", figures=dict(figures), ended=True)
    made.find([find("talk-silent")])
    return made


def test_rows_are_appended_under_one_header_by_any_number_of_writers(tmp_path: Path) -> None:
    path = tmp_path / "boards.csv"
    writers = [Thread(target=production_log.append, args=(path, sheet(f"{n:016x}", drop1_ms=n))) for n in range(20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text().count("began,board") == 1
    assert sorted(row["board"] for row in rows(path)) == [f"{n:016x}" for n in range(20)]
    assert all(int(row["board"], 16) == int(row["drop1_ms"]) for row in rows(path))


def test_row_that_a_power_cut_tore_costs_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "boards.csv"
    production_log.append(path, sheet("1"))
    with path.open("a") as file:
        file.write("2026-11-27T01:0")
    production_log.append(path, sheet("3"))
    assert [row["board"] for row in rows(path)] == ["1", None, "3"]


def test_table_of_another_kind_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "boards.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="another table"):
        production_log.append(path, sheet("1"))
    assert path.read_text() == "a,b\n1,2\n"
    with pytest.raises(UserError, match="cannot write"):
        production_log.append(tmp_path / "no" / "where.csv", sheet("1"))


@pytest.mark.parametrize(
    "words",
    [
        ["--production"],
        ["--production", "--jig", "x"],
        ["--production", "--jig", "x", "--csv", "y"],
        ["--production", "--bring-up"],
    ],
)
def test_production_without_what_it_needs_is_a_usage_error(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EARLID_PORT", "ESPTOOL_PORT"):
        monkeypatch.delenv(name, raising=False)
    try:
        code = main(["doctor", *words])
    except SystemExit as left:  # argparse's
        code = int(left.code or 0)
    assert code == 2


def test_jig_that_is_not_there_is_said_with_what_to_do() -> None:
    with pytest.raises(UserError, match="--jig") as raised:
        Jig("/dev/earlid-no-such-port")
    assert raised.value.code == 3


def test_jig_that_is_unplugged_is_said_and_closed_quietly() -> None:
    class Gone:
        def __init__(self) -> None:
            self.unplugged = False

        def __setattr__(self, name: str, value: object) -> None:
            if name in ("rts", "dtr") and getattr(self, "unplugged", False):
                raise OSError(5, "Input/output error")
            super().__setattr__(name, value)

        def close(self) -> None:
            """Nothing."""

    port = Gone()
    jig = Jig(cast(serial.Serial, port))
    port.unplugged = True
    with pytest.raises(UserError, match="the jig is gone"):
        jig.throw(False)
    jig.close()
