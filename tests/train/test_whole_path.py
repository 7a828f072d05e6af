# SPDX-License-Identifier: MIT
"""`earlid model train`, from the word to a network that a board runs: small, killed on the way, and told what is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from earlid import cli
from earlid.errors import FAILED, INTERRUPTED, USAGE
from earlid.flash import memory_plan
from earlid.gate import models
from earlid.sound import speakers
from earlid.train import needs, provenance

from tests.outputs import parse_output
from tests.train.debian import archive

WORD = "open sesame"
NAME = "open_sesame"
SPELLINGS = ("open sesame", "oh pen sessamee")
WITHIN_S = 300


def keys(folder: Path) -> Path:
    """An archive for apt with a package of noise of its own, seconds of it for each part."""
    rng = np.random.default_rng(5)
    files = {}
    for number in range(10):
        path = folder / f"{number}.wav"
        soundfile.write(path, (rng.standard_normal(16000 * 3) * 300).astype(np.int16), 16000)
        files[f"usr/share/buckle/wav/{number}0-0.wav"] = path.read_bytes()
    return archive(folder, {"bucklespring-data": files})


def command(out: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "earlid.cli",
        "model",
        "train",
        WORD,
        "--small",
        "--yes",
        "--seeds",
        "1",
        *(part for spelling in SPELLINGS for part in ("--said-as", spelling)),
        "--out",
        str(out),
        *options,
    ]


class Trained:
    """A training that was interrupted while voices spoke, killed while it learnt, and then ran to its end."""

    def __init__(self, folder: Path) -> None:
        self.out, self.cache = folder / "out", folder / "cache"
        (folder / "debian").mkdir()
        self.environment = {**os.environ, "EARLID_CACHE": str(self.cache), "APT_CONFIG": str(keys(folder / "debian"))}
        self.environment.pop("EARLID_NEGATIVES", None)
        self.interrupted = self.ended_by(signal.SIGINT, "train/*/speech/*/*.wav")
        self.killed = self.ended_by(signal.SIGKILL, "train/*/checkpoints/*.pt")
        (self.room,) = self.cache.glob("train/open_sesame-*")
        self.steps_when_killed = self.steps()
        made = [*self.room.glob("speech/*/*.wav"), *self.room.glob("columns/*.npy")]
        self.made_when_killed = {path: path.stat().st_mtime_ns for path in made}
        self.last = subprocess.run(command(self.out, "--json"), env=self.environment, capture_output=True, text=True)

    def ended_by(self, signal_number: int, when: str) -> tuple[int, str]:
        """Exit code and stderr of a run that a signal ends as soon as there is a file."""
        with subprocess.Popen(command(self.out), env=self.environment, stderr=subprocess.PIPE, text=True) as running:
            until_s = time.monotonic() + WITHIN_S
            while running.poll() is None and not list(self.cache.glob(when)) and time.monotonic() < until_s:
                time.sleep(0.1)
            running.send_signal(signal_number)
            return running.wait(), running.communicate()[1]

    def steps(self) -> float:
        """How many steps were made."""
        (path,) = self.room.glob("checkpoints/*.steps")
        return float(path.read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("train"))


@pytest.fixture
def document(trained: Trained) -> dict[str, Any]:
    assert trained.last.returncode == 0, trained.last.stderr
    return json.loads(trained.last.stdout)["training"]  # type: ignore[no-any-return]


def test_interrupted_training_says_how_to_go_on(trained: Trained) -> None:
    code, said = trained.interrupted
    assert code == INTERRUPTED, said
    assert "The same command goes on where it was" in said
    assert "Traceback" not in said


def test_killed_training_goes_on_where_it_was(trained: Trained) -> None:
    assert trained.killed[0] == -signal.SIGKILL, trained.killed[1]
    assert trained.last.returncode == 0, trained.last.stderr
    assert 0 < trained.steps_when_killed < trained.steps()
    assert len(trained.made_when_killed) > 40
    assert trained.made_when_killed == {path: path.stat().st_mtime_ns for path in trained.made_when_killed}


def test_workers_of_a_killed_training_end(trained: Trained) -> None:
    until_s = time.monotonic() + WITHIN_S
    while alive := [path for path in Path("/proc").glob("[0-9]*/environ") if str(trained.cache).encode() in _read(path)]:
        assert time.monotonic() < until_s, alive
        time.sleep(0.1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # another's, or gone
        return b""


def test_uninterrupted_training_makes_the_same_network(trained: Trained, tmp_path: Path) -> None:
    """From the same columns; that those are the same again is for their own tests."""
    cache = tmp_path / "cache"
    shutil.copytree(trained.room.parents[1], cache)
    (room,) = cache.glob("train/open_sesame-*")
    shutil.rmtree(room / "checkpoints")
    shutil.rmtree(room / "networks")
    again = subprocess.run(
        command(tmp_path), env={**trained.environment, "EARLID_CACHE": str(cache)}, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    for suffix in (".tflite", ".json", ".elww"):
        assert (tmp_path / (NAME + suffix)).read_bytes() == (trained.out / (NAME + suffix)).read_bytes()
    assert "A published word misses less" in again.stderr
    assert "All voices are computed" in again.stderr


def test_trained_network_is_one_that_boards_and_others_take(trained: Trained, document: dict[str, Any]) -> None:
    from pymicro_wakeword import MicroWakeWord

    model = models.load(str(trained.out / f"{NAME}.tflite"))
    assert model.manifest.wake_word == WORD
    memory_plan.check_word(model.blob, NAME)
    assert (trained.out / f"{NAME}.elww").read_bytes() == model.blob
    MicroWakeWord.from_config(trained.out / f"{NAME}.json").close()
    assert document["network_sha256"] == model.digest.hex()


def test_result_is_what_the_schema_says(trained: Trained) -> None:
    parse_output("model train", trained.last.stdout)


def test_provenance_tells_voices_parts_and_curves(trained: Trained, document: dict[str, Any]) -> None:
    assert document["said_as"] == list(SPELLINGS)
    engines = {(entry["engine"], entry["part"]) for entry in document["voices"]}
    assert ("espeak-ng", "fit") in engines
    assert ("hibari", "judge") in engines
    assert [len(each["misses_by_cutoff"]) for each in document["conditions"]] == [256, 256]
    for each in document["conditions"]:
        assert each["in_force"]["trials"] == sum(1 for _ in range(each["in_force"]["trials"]))
    assert str(trained.out) not in provenance.path_beside(trained.out / f"{NAME}.tflite").read_text()


def test_show_prints_where_a_network_comes_from(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "show", str(trained.out / f"{NAME}.json")]) == 0
    shown = capsys.readouterr().out
    assert "the best of seeds 0: 0" in shown
    assert f"the word read to voices as {', '.join(SPELLINGS)}" in " ".join(shown.split())
    assert "learnt from: voices" in shown
    assert "computed voices, noise at 10 dB: missed" in shown


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ({"network_sha256": "0" * 64}, "is of another network"),
        ({"schema": 9}, "is no provenance of this version"),
        ({"voices": 7}, "the provenance is damaged"),
        ({"conditions": [{"condition": "\x1b[31m"}]}, "the provenance is damaged"),
        (None, "is not JSON"),
    ],
)
def test_show_tells_of_a_provenance_that_is_wrong(
    trained: Trained, tmp_path: Path, damage: dict[str, Any] | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained.out, tmp_path / "out")
    path = tmp_path / "out" / f"{NAME}.training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | damage) if damage else path.read_text()[:-20])
    assert cli.main(["model", "show", str(tmp_path / "out" / f"{NAME}.json")]) == 0
    shown = capsys.readouterr().out
    assert says in " ".join(shown.split())
    assert "wake word  open sesame" in shown, "the network itself is shown all the same"
    assert "\x1b" not in shown


def train(*words: str) -> int:
    return cli.main(["model", "train", *words])


def test_word_that_nobody_can_say_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert train("1234", "--yes", "--out", str(tmp_path)) == USAGE
    assert train("", "--yes", "--out", str(tmp_path)) == USAGE
    assert not list(tmp_path.iterdir())
    capsys.readouterr()


def test_spelling_that_nobody_can_say_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for spelling, says in (
        ("", "the word is empty"),
        ("0k nabu", "has digits"),
        ("antidisestablishmentarianism of the sea", "to say"),
    ):
        assert train("okay nabu", "--small", "--said-as", "okay naboo", "--said-as", spelling, "--out", str(tmp_path)) == USAGE
        assert says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_full_disk_is_said_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(needs, "free_bytes", lambda folder: 7_000_000_000)
    assert train(WORD, "--yes", "--out", str(tmp_path)) == FAILED
    assert "8.0 GB of room are needed, 7.0 GB are free" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "train").exists()


def test_file_of_that_name_which_no_training_made_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.json").write_text("{}")
    assert train(WORD, "--yes", "--out", str(tmp_path)) == USAGE
    assert "no training made it" in capsys.readouterr().err
    assert (tmp_path / f"{NAME}.json").read_text() == "{}"


def test_missing_pytorch_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    code = (
        "import sys\nclass WithoutTorch:\n def find_spec(self, name, *more):\n  if name == 'torch':\n"
        "   raise ModuleNotFoundError('no torch', name='torch')\n"
        "sys.meta_path.insert(0, WithoutTorch())\nfrom earlid import cli\nsys.exit(cli.main(sys.argv[1:]))\n"
    )
    words = ("model", "train", WORD, "--yes", "--out", str(tmp_path))
    environment = {**os.environ, "EARLID_CACHE": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert ended.returncode == USAGE
    assert 'pip install "earlid[train]"' in ended.stderr
    assert not list(tmp_path.iterdir())


def test_missing_espeak_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path))
    speakers.phonemes.cache_clear()
    assert train(WORD, "--yes", "--out", str(tmp_path)) == FAILED
    assert "espeak-ng" in capsys.readouterr().err


def test_more_seeds_than_there_can_be_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        train(WORD, "--seeds", "0")
    assert ended.value.code == USAGE
    assert "no number from 1 to 9" in capsys.readouterr().err


@pytest.mark.soak
def test_full_training_keeps_what_it_promises(tmp_path: Path) -> None:
    """The whole of it, from sounds of Debian's packages to the verdict: perhaps an hour."""
    result = subprocess.run(
        [sys.executable, "-m", "earlid.cli", "model", "train", WORD, "--yes", "--json", "--out", str(tmp_path)],
        env={**os.environ, "EARLID_CACHE": str(tmp_path / "cache")}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    document = parse_output("model train", result.stdout)["training"]
    assert sum(entry["hours"] for entry in document["sounds"]) >= 9
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 8e9
    quiet, noise = (each["in_force"] for each in document["conditions"][:2])
    assert quiet["missed"] <= 0.12
    assert noise["missed"] <= 0.15
    assert noise["false_per_hour"] <= 2
