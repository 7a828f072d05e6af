# SPDX-License-Identifier: MIT
"""`earlid evaluate` on the command line: results, unreadable files, interruption, resumption."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from earlid import cli
from earlid.evaluate import engines, output

from tests.evaluate.conftest import write_noise, write_words
from tests.outputs import parse_output


@pytest.fixture
def here(monkeypatch, request):
    """The engine in this process: starting processes has its own tests, and takes seconds."""
    ran = []
    if request.node.name != "test_evaluation_of_two_folders_writes_all_results":
        monkeypatch.setattr(output, "save_figure", lambda *drawing: None)  # drawn once is enough

    def run(tasks, workers):
        for task in tasks:
            ran.append(task.key)
            yield engines.measure.run_task(task)

    monkeypatch.setattr(engines, "run_local", run)
    return ran


def evaluate(recordings, out, *more):
    return cli.main(["evaluate", str(recordings[0]), str(recordings[1]), "--out", str(out), *more])


def test_evaluation_of_two_folders_writes_all_results(recordings, tmp_path, here, capsys):
    assert evaluate(recordings, tmp_path / "out", "--json") == 0
    out, err = capsys.readouterr()
    document = parse_output("evaluate", out)
    assert document == json.loads((tmp_path / "out" / "result.json").read_text())
    sides = {side["condition"]: side for side in document["sides"]}
    assert set(sides) == {"clean", "10 dB"}
    clean = sides["clean"]
    assert clean["in_force"]["trials"] == 6
    assert clean["in_force"]["misses"] <= 1
    assert clean["in_force"]["cutoff"] == document["cutoff"] == 167
    assert set(clean["at_rates"]) == {"0.1", "0.5", "1", "2"}
    assert set(clean["hours"]) == {"hiss", "talk"}
    rows = list(csv.DictReader((tmp_path / "out" / "curve.csv").open()))
    assert len(rows) == 2 * 256
    assert all(float(row["missed_low"]) <= float(row["missed"]) <= float(row["missed_high"]) for row in rows)
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "95 % exact intervals" in err
    assert "36 s without the word cannot show 0.1, 0.5, 1, 2 an hour" in err
    assert "hours an hour" in err


def test_second_run_measures_nothing_again(recordings, tmp_path, here, capsys):
    evaluate(recordings, tmp_path, "--no-snr", "--json")
    first = parse_output("evaluate", capsys.readouterr().out)
    measured = len(here)
    assert measured == 3
    evaluate(recordings, tmp_path, "--no-snr", "--json")
    again = parse_output("evaluate", capsys.readouterr().out)
    assert len(here) == measured
    assert again["sides"] == first["sides"]
    evaluate(recordings, tmp_path, "--json")
    assert len(here) == 2 * measured, "only what the wider question adds"


def test_ctrl_c_reports_what_is_kept(recordings, tmp_path, monkeypatch, capsys):
    def run(tasks, workers):
        yield engines.measure.run_task(tasks[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(engines, "run_local", run)
    assert evaluate(recordings, tmp_path, "--no-snr") == 130
    assert "1 of 3 streams are kept: the same command goes on from here" in capsys.readouterr().err


def test_settings_are_read_from_a_calibration_profile(recordings, tmp_path, here, capsys):
    profile = tmp_path / "profile.json"
    settings = {"cutoff_q8": 199, "gain_q8": 700, "energy_on_q8": 512}  # the last one of earlier firmware
    profile.write_text(json.dumps({"board": "x", "config": settings}))
    evaluate(recordings, tmp_path / "out", "--no-snr", "--config", str(profile), "--json")
    document = parse_output("evaluate", capsys.readouterr().out)
    assert document["cutoff"] == 199
    assert document["config"]["gain_q8"] == 700
    assert "energy_on_q8" not in document["config"]
    assert document["sides"][0]["in_force"]["cutoff"] == 199


@pytest.mark.parametrize(
    ("content", "say"),
    [
        ("{", "is not JSON"),
        ('{"config": {"cutoff_q8": 999}}', "from 0 to 255"),
        ('{"colour": 1}', "no setting is called"),
        ("[]", "object of settings"),
    ],
)
def test_invalid_settings_are_an_error(recordings, tmp_path, capsys, content, say):
    (tmp_path / "c.json").write_text(content)
    assert evaluate(recordings, tmp_path / "out", "--config", str(tmp_path / "c.json")) == 2
    assert say in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (("--snr", "nan"), "--snr must be from"),
        (("--snr", "90"), "--snr must be from"),
        (("--seed", "-1"), "--seed"),
        (("--workers", "0"), "--workers"),
        (("--yardstick", "-3"), "above 0"),
        (("--scheduler", "foo"), "tcp://host:8786"),
    ],
)
def test_invalid_options_are_refused_at_once(recordings, tmp_path, capsys, words, say):
    assert evaluate(recordings, tmp_path / "out", *words) == 2
    assert say in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unreadable_files_are_named_and_left_out(tmp_path, here, capsys):
    write_words(tmp_path / "w", 2)
    write_noise(tmp_path / "n", files=("hiss_1",), seconds=5)
    (tmp_path / "w" / "torn.flac").write_bytes((tmp_path / "w" / "word_1.flac").read_bytes()[:300])
    (tmp_path / "n" / "text.wav").write_text("not sound")
    (tmp_path / "n" / "empty.wav").write_bytes(b"")
    (tmp_path / "n" / "readme.txt").write_text("not even called sound")
    assert evaluate((tmp_path / "w", tmp_path / "n"), tmp_path / "out", "--no-snr", "--json") == 1
    out, err = capsys.readouterr()
    assert {entry["file"] for entry in json.loads(out)["broken"]} == {"torn.flac", "text.wav", "empty.wav"}
    assert json.loads(out)["sides"][0]["in_force"]["trials"] == 2
    assert "left out: text.wav: not a sound file that can be read (Format not recognised)" in err
    assert "no sound files, 1 of them: readme.txt" in err


@pytest.mark.parametrize("wrong", ["nowhere", "empty"])
def test_folder_without_sound_is_an_error(recordings, tmp_path, capsys, wrong):
    (tmp_path / "empty").mkdir()
    assert evaluate((tmp_path / wrong, recordings[1]), tmp_path / "out") == 2
    assert wrong in capsys.readouterr().err


def test_kinds_are_folders_or_name_prefixes(tmp_path):
    from earlid.evaluate.recordings import scan_recordings

    write_noise(tmp_path / "flat", files=("tap_1", "tap_2", "street-3"), seconds=1)
    assert [r.kind for r in scan_recordings(tmp_path / "flat")[0]] == ["street", "tap", "tap"]
    write_noise(tmp_path / "deep" / "a", files=("x1",), seconds=1)
    write_noise(tmp_path / "deep" / "b" / "c", files=("x1",), seconds=1)
    assert [r.kind for r in scan_recordings(tmp_path / "deep")[0]] == ["a", "b/c"]


KILLED_AFTER = 3
KILLED = f"""
import os, signal, sys
from earlid import cli
from earlid.evaluate.result_cache import ResultCache

put, kept = ResultCache.put, []

def put_and_die(self, result):
    kept.append(put(self, result))
    if len(kept) == {KILLED_AFTER}:
        os.killpg(0, signal.SIGKILL)
    return kept[-1]

ResultCache.put = put_and_die
cli.main(sys.argv[1:])
"""


def test_killed_evaluation_resumes(recordings, tmp_path):
    """The real program, ended without warning; what it had is kept, and the end is as if nothing had happened."""
    words = [str(recordings[0]), str(recordings[1]), "--workers", "1", "--json"]
    state = tmp_path / "killed" / "state.jsonl"
    words += ["--out", str(state.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "evaluate", *words], env=environment, capture_output=True, check=False, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert state.read_bytes().count(b'"key"') == KILLED_AFTER
    command = [sys.executable, "-m", "earlid.cli", "evaluate", *words]
    done = subprocess.run(command, capture_output=True, env=environment, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{KILLED_AFTER} of 6 streams are done already" in done.stderr
    whole = [json.loads(line)["key"] for line in state.read_bytes().splitlines() if b'"key"' in line]
    assert len(whole) == len(set(whole)) == 6


@pytest.mark.soak
def test_all_shared_recordings_evaluate(tmp_path, capsys):
    """All real recordings, at the firmware's own settings."""
    data = Path(os.environ.get("EARLID_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (data / "alexa").is_dir():
        pytest.skip(f"no recordings in {data}")
    words = ["evaluate", str(data / "alexa"), str(data / "household"), "--noise", str(data / "household")]
    assert cli.main([*words, "--out", str(tmp_path / "out"), "--json"]) == 0
    document = parse_output("evaluate", capsys.readouterr().out)
    missed = {side["condition"]: side["in_force"]["missed"] for side in document["sides"]}
    assert missed["clean"] < 0.05
    assert missed["10 dB"] < 0.15
    assert document["run_now_hours"] * 3600 / document["cpu_s"] >= 100, "hours of audio an hour of one processor"
