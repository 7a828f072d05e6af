# SPDX-License-Identifier: MIT
"""Scores of an evaluation equal the firmware's and pymicro-wakeword's."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from earlid.evaluate import measure
from earlid.evaluate.baseline import compare_with_pymicro, pymicro_scores
from earlid.evaluate.recordings import Recording, scan_recordings
from earlid.evaluate.tasks import Condition, cut_into_streams, plan_tasks
from earlid.gate import look, models, runner, score
from earlid.gate.quantise import quantised_features


@pytest.fixture(scope="module")
def model():
    return models.load("alexa")


CLEAN = Condition()


def make_tasks(recordings, model, conditions=(CLEAN,)):
    words, noise = scan_recordings(recordings[0])[0], scan_recordings(recordings[1])[0]
    return plan_tasks(words, noise, conditions, "alexa", model.digest.hex(), measure.code_digest(), 0)


def test_digest_of_the_code_changes_with_a_look(monkeypatch, tmp_path):
    looks = Path(shutil.copytree(look.FOLDER, tmp_path / "looks"))
    monkeypatch.setattr(look, "FOLDER", looks)
    code_digest = measure.code_digest.__wrapped__
    assert code_digest() == measure.code_digest()
    for name in ("alexa.json", "alexa.tflite"):
        before, content = code_digest(), (looks / name).read_bytes()
        (looks / name).write_bytes(content[:-1] + b"\n\n")
        assert code_digest() != before, name


@pytest.mark.parametrize("decision", [0, 1])
def test_score_above_the_cutoff_is_a_hit_of_the_firmware(recordings, model, decision):
    pcm = measure.build_stream(make_tasks(recordings, model)[0])
    ours = score.run_gate(pcm, model, decision)
    theirs = list(score.run(pcm, model, decision=decision))
    window, cutoff_sum = model.decided(decision)
    for value, item in zip(ours.values, theirs, strict=True):
        assert item.hit == (item.total > cutoff_sum)
        assert value == -(-item.total // window)
        assert item.mean_q8 == item.total // window
    assert any(item.hit for item in theirs)


@pytest.mark.parametrize("decision", [0, 1])
def test_network_over_columns_says_what_the_gate_says_of_their_sound(recordings, model, decision):
    pcm = measure.build_stream(make_tasks(recordings, model)[0])
    columns = quantised_features(float(np.float32(26 / 255)), -128)[runner.features(pcm)]
    outputs = score.over_columns((columns[at : at + 1001] for at in range(0, len(columns), 1001)), model, decision)
    heard = [item for item in score.run(pcm, model, decision=decision) if isinstance(item, score.Inference)]
    assert [item.prob for item in heard] == outputs["prob"].tolist()
    assert [item.total for item in heard] == outputs["total"].tolist()
    assert max(outputs["total"]) > model.decided(decision)[1]


def test_scores_equal_pymicro_wakeword(recordings, model):
    task = make_tasks(recordings, model)[0]
    pcm = measure.build_stream(task)
    ours, theirs = score.run_gate(pcm, model, 0).values, pymicro_scores(pcm, model)
    assert len(ours) == len(theirs)
    cold = score.COLD_COLUMNS // model.network.stride + model.manifest.window - 1
    assert not ours[:cold].any()
    apart = np.abs(ours - theirs)[cold:]
    # Its runtime's optimised kernels round otherwise than the reference kernels do, which the gate's own tests compare with.
    assert np.percentile(apart, 99) <= 2
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999


def test_yardstick_stops_at_its_limit(recordings, model):
    comparison = compare_with_pymicro(make_tasks(recordings, model), model, 8.0)
    assert comparison["audio_s"] == pytest.approx(8.0)
    assert comparison["scores"] > 200
    assert comparison["gate_per_s"] > 0 < comparison["pymicro_per_s"]


def test_words_are_detected_and_noise_is_not(recordings, model):
    results = [measure.run_task(task) for task in make_tasks(recordings, model)]
    peaks = [peak for name, peak in results[0]["trials"]]
    assert len(peaks) == 6
    assert sum(peak > 230 for peak in peaks) >= 4
    hiss = next(result for result in results if result["kind"] == "hiss")
    assert len(hiss["events"]) <= 64, "an opening on hiss"


def test_streams_hold_one_kind_and_are_bounded():
    make = lambda kind, number, seconds: Recording(f"/{number}", f"{number}", kind, f"{number:08x}", seconds)  # noqa: E731
    talk = [make("talk", n, 200.0) for n in range(7)] + [make("tap", 9, 5.0)]
    streams = cut_into_streams(talk, "negative")
    assert [len(stream) for stream in streams] == [3, 3, 1, 1]
    words = cut_into_streams([make("word", n, 1.0) for n in range(45)], "positive")
    assert [len(stream) for stream in words] == [20, 20, 5]
    assert [r for stream in words for r in stream] == [make("word", n, 1.0) for n in range(45)]


def test_task_key_depends_on_content_only(recordings, model):
    first, *_ = make_tasks(recordings, model)
    moved = plan_tasks(
        [Recording("/elsewhere", r.name, r.kind, r.digest, r.seconds) for r in first.recordings], [],
        [CLEAN], "alexa", model.digest.hex(), measure.code_digest(), 0,
    )[0]  # fmt: skip
    assert moved.key == first.key
    keys = {task.key for task in make_tasks(recordings, model, [CLEAN, Condition(10.0)])}
    assert len(keys) == 2 * 3


def test_worker_with_another_network_refuses(recordings, model):
    task = make_tasks(recordings, model)[0]
    wrong = type(task)(**{**task.__dict__, "model_digest": "00" * 32})
    with pytest.raises(Exception, match="another network"):
        measure.run_task(wrong)
