# SPDX-License-Identifier: MIT
"""`earlid calibrate` as a user or a script calls it."""

import argparse
import json

import pytest
from earlid import cli
from earlid.ledger.location import locate
from earlid.ledger.store import Ledger
from earlid.verbs.calibrate import duration_s

from tests.collect.watching import EventLog, watching
from tests.outputs import parse_lines


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("8h", 28800), ("1.5 min", 90)])
def test_durations_are_parsed(text, seconds):
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-3s", "3d", "1m30s", "nan"])
def test_invalid_duration_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="no length of time"):
        duration_s(text)


def script(tmp_path, **values):
    path = tmp_path / "script.json"
    path.write_text(json.dumps(values))
    return str(path)


@pytest.mark.parametrize(
    ("values", "say"),
    [
        ({"level": "loud"}, "no level is called"),
        ({"skip": ["rooms"]}, "no step is called 'rooms'"),
        ({"colour": 1}, "colour"),
        ({"words": 0}, "above zero"),
        ({"room_s": "ten"}, "room_s"),
        ({"words": True}, "words"),
    ],
)
def test_invalid_script_is_refused_before_a_port_is_opened(tmp_path, capsys, values, say):
    assert cli.main(["calibrate", "-p", str(tmp_path / "no-port"), "--script", script(tmp_path, **values)]) == 2
    assert say in capsys.readouterr().err


def test_unknown_plot_format_is_refused_before_the_session(tmp_path, capsys):
    assert cli.main(["calibrate", "-p", str(tmp_path / "no-port"), "--plot", "curve.gif"]) == 2
    assert "ends in" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--report", "--plot"])
@pytest.mark.parametrize("where", ["missing/curve.svg", "folder.svg"])
def test_unwritable_file_is_refused_before_the_session(tmp_path, capsys, option, where):
    (tmp_path / "folder.svg").mkdir()
    assert cli.main(["calibrate", "-p", str(tmp_path / "no-port"), option, str(tmp_path / where)]) == 2
    assert "no file can be written there" in capsys.readouterr().err


def test_no_board_is_exit_code_3(tmp_path, capsys):
    assert cli.main(["calibrate", "-p", str(tmp_path / "no-port"), "--json"]) == 3


def test_scripted_session_prints_json_lines(make_room, tmp_path, capsys):
    room = make_room(-58.0, seed=3)
    path = script(tmp_path, room_s=2, skip=["voice", "word", "noise"], level="careful", write=False)
    report = tmp_path / "report.html"
    log = EventLog()
    with Ledger(locate(None)) as ledger, watching(room.board.serial_port, ledger, log):  # which lends the port
        log.wait_for(lambda item: item.kind == "here")
        code = cli.main(["calibrate", "-p", room.board.serial_port, "--script", path, "--json", "--report", str(report)])
        out, _ = capsys.readouterr()
        log.wait_for(lambda item: [other.kind for other in log.events].count("here") == 2)
    events = parse_lines("calibrate", out)
    assert code == 0
    assert [event["event"] for event in events] == ["step", "room", "skipped", "skipped", "skipped", "levels", "changes"]
    room_event = events[1]
    assert room_event["level_dbfs"] == pytest.approx(-58 - 24.08, abs=0.5)
    levels = next(event for event in events if event["event"] == "levels")
    assert [level["name"] for level in levels["levels"]] == ["careful", "balanced", "eager"]
    assert any("published" in caveat for caveat in levels["caveats"])
    assert events[-1]["changes"]["cutoff_q8"] == levels["levels"][0]["cutoff_q8"]
    page = report.read_text()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "src=" not in page
    with room.link() as link:
        assert link.request("config-get")["config"]["cutoff_q8"] == 0, "the script said not to write"


def test_dead_microphone_is_exit_code_1_with_its_cure(make_room, capsys):
    room = make_room(-60.0, microphone="dead")
    assert (
        cli.main(
            ["calibrate", "-p", room.board.serial_port, "--room", "2s", "--skip", "voice,word,noise", "--no-write", "--json"]
        )
        == 1
    )
    out, err = capsys.readouterr()
    assert "dead microphone" in err
    assert "To mend it" in err
    assert parse_lines("calibrate", out)[-1]["event"] == "finding"
