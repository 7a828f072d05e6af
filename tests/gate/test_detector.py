# SPDX-License-Identifier: MIT
"""The whole gate is the oracle's; and no garbage."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import networks
import numpy as np
import pytest
import signals
import soundfile
from earlid import cli
from earlid.errors import UserError
from earlid.gate import audio, models, score

from tests.outputs import parse_lines

SEED = 77
HEAP_LIMIT = 64 * 1024
QUIET_SAMPLES = 3 * 16000


@functools.cache
def recording() -> signals.Samples:
    """Two quiet stretches, each followed by the word in a synthetic voice that the network knows, with a faint hiss."""
    rng = np.random.default_rng(SEED)
    word = signals.at_dbfs(signals.flite("Alexa", "rms"), -24)
    parts = [np.zeros(QUIET_SAMPLES), word, np.zeros(QUIET_SAMPLES), word, np.zeros(16000)]
    whole = np.concatenate(parts)
    return signals.to_int16(whole + rng.normal(0, 6, len(whole)))


def results(pcm: signals.Samples, model: str = "alexa", decision: int = models.DECISION) -> list[score.Inference]:
    return [item for item in score.run(pcm, models.load(model), decision=decision) if isinstance(item, score.Inference)]


@pytest.mark.parametrize("name", models.builtin_names())
def test_detector_equals_the_oracle(name: str) -> None:
    pcm = np.concatenate([recording(), signals.mixtures(SEED, 0.3)])
    model = models.load(name)
    found = results(pcm, name, decision=0)
    stride, window = model.network.stride, model.manifest.window
    expected = networks.reference(model.manifest.model.read_bytes(), networks.features(pcm))
    assert [item.prob for item in found] == expected
    # the first column comes after 480 samples, an inference after every `stride` columns
    assert [item.t_ms for item in found] == [(stride * (n + 1) + 2) * 10 for n in range(len(expected))]
    cold = score.COLD_COLUMNS // stride + window - 1
    sums = [sum(expected[n + 1 - window : n + 1]) if n >= cold else 0 for n in range(len(expected))]
    assert [item.total for item in found] == sums
    assert [item.mean_q8 for item in found] == [total // window for total in sums]
    assert [item.hit for item in found] == [total / 256 / window > model.manifest.probability_cutoff for total in sums]


def test_detector_memory_is_bounded_and_push_allocates_nothing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "alexa.elww"
        path.write_bytes(models.load("alexa").blob)
        out = networks.micropython("mp_detector.py", recording().tobytes(), str(path))
    held, grown, inferences, active, modules = map(int, out.split())
    print(f"Detector with alexa: {held} bytes of heap, weights included; its modules {modules} (64-bit objects and code)")
    assert grown == 0, f"10,000 hops allocated {grown} bytes"
    assert held <= HEAP_LIMIT
    assert active > 100
    assert inferences > 2000


# -- the verb ----------------------------------------------------------------------------------------------------------


def run_verb(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    assert cli.main(["score", *words, "--json"]) == 0
    return parse_lines("score", capsys.readouterr().out)


def test_score_prints_an_object_for_each_inference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "word.wav"
    soundfile.write(path, recording(), 16000)
    found = run_verb(capsys, str(path), "--model", "alexa")
    assert found == [item.entry() for item in results(recording())]
    assert list(found[0]) == ["t_ms", "prob", "mean_q8", "energy_log2_q8", "hit"]


def test_score_prints_the_features_of_each_hop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "word.flac"
    pcm = recording()[: 16000 * 4]
    soundfile.write(path, pcm, 16000)
    found = run_verb(capsys, str(path), "--features")
    hops = [entry for entry in found if "hop" in entry]
    assert [entry["hop"] for entry in hops] == list(range(2, len(pcm) // 160))
    assert [entry["features"] for entry in hops] == networks.features(pcm).tolist()
    assert len(found) - len(hops) == len(hops) // 3
    assert found[3] == results(pcm)[0].entry(), "an inference follows the columns it used"


def test_score_text_names_what_was_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "word.wav"
    soundfile.write(path, recording(), 16000)
    assert cli.main(["score", str(path), "--decision", "0"]) == 0
    assert capsys.readouterr().out.count("heard") == 2
    assert cli.main(["score", str(path), "--features"]) == 2
    assert "--features needs --json" in capsys.readouterr().err


def test_score_tells_a_word_cut_short_from_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.wav"
    first_hit_ms = next(item.t_ms for item in results(recording(), decision=0) if item.hit)
    soundfile.write(path, recording()[: 16 * (first_hit_ms - 60)], 16000)
    assert cli.main(["score", str(path), "--decision", "0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not heard" in said
    assert "still rising when the recording ended" in said
    soundfile.write(path, recording()[: 2 * 16000], 16000)
    assert cli.main(["score", str(path), "--decision", "0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not heard" in said
    assert "still rising" not in said
    soundfile.write(path, recording()[QUIET_SAMPLES + 4800 : 2 * QUIET_SAMPLES], 16000)
    assert cli.main(["score", str(path), "--decision", "0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not heard" in said
    assert "in the first second, in which nothing counts" in said


# -- recordings --------------------------------------------------------------------------------------------------------


def test_16_khz_mono_recording_is_read_unchanged(tmp_path: Path) -> None:
    pcm = np.random.default_rng(SEED).integers(-32768, 32768, 5000).astype(np.int16)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, pcm, 16000)
        np.testing.assert_array_equal(audio.read_audio(tmp_path / name), pcm)


@pytest.mark.parametrize(("rate_hz", "channels", "subtype"), [(44100, 2, "PCM_24"), (8000, 1, "PCM_16"), (48000, 3, "FLOAT")])
def test_other_recordings_are_resampled_and_mixed_down(tmp_path: Path, rate_hz: int, channels: int, subtype: str) -> None:
    time_s = np.arange(rate_hz) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "tone.wav", np.repeat(tone[:, None], channels, axis=1), rate_hz, subtype=subtype)
    found = audio.read_audio(tmp_path / "tone.wav").astype(float)
    wanted = 16384 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert len(found) == 16000
    assert np.abs(found - wanted)[200:-200].max() < 60


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("gone.wav", None, "no such file"),
        ("text.wav", b"hello, this is no sound", "not a sound file"),
        ("empty.wav", b"", "not a sound file"),
        ("cut.flac", b"fLaC\x00\x00\x00\x22", "not a sound file"),
    ],
)
def test_bad_recordings_are_refused_by_name(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: .*{says}"):
        audio.read_audio(path)
    soundfile.write(tmp_path / "silent.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(UserError, match="has no samples"):
        audio.read_audio(tmp_path / "silent.wav")
