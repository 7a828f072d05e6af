# SPDX-License-Identifier: MIT
"""What `make bench-detection` hears is what its table says: ratios, levels, rooms, spans, seeds, halves."""

from pathlib import Path

import numpy as np
import pytest
from earlid.sound import mixing, noises, rooms

from tests.bench.detection import conditions, data, voices

RATE_HZ = 16000
SEED = 4
SPEECH = Path(__file__).parents[2] / "host" / "earlid" / "demo" / "speech"
WORDS = [data.Clip(f"demo/{path.stem}", str(path), "demo", "word", "en", "dev") for path in sorted(SPEECH.glob("word-*.flac"))]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    for name in ("EARLID_BENCH_CACHE", "EARLID_CACHE"):
        monkeypatch.setenv(name, str(tmp_path_factory.getbasetemp() / "bench-detection"))


def built(name, clips=WORDS):
    """The stream of a condition from the demo's words, which every computer has."""
    row = conditions.named(name)
    return conditions.Piece(f"{name}/dev/0", tuple(clips), row.make, "dev").build()


def db(ratio):
    return 20 * np.log10(ratio)


def loudest(samples):
    return float(mixing.frame_rms(samples.astype(float)).max())


@pytest.mark.parametrize(
    ("name", "snr_db"),
    [("white-10db", 10.0), ("pink-10db", 10.0), ("hum-50-6db", 6.0), ("hum-100-3db", 3.0), ("hum-120--6db", -6.0),
     ("rumble-0db", 0.0), ("fan-6db", 6.0)],
)  # fmt: skip
def test_words_stand_above_noise_by_the_ratio(name, snr_db):
    stream = built(name)
    row = conditions.named(name)
    noise = row.make.keywords["noise"]
    rng = np.random.default_rng([conditions.SEED, conditions.zlib.crc32(f"{name}/dev/0".encode())])
    alone, _ = mixing.word_stream([np.zeros(len(clip.pcm()), np.int16) for clip in WORDS], noise(len(stream.pcm), rng), snr_db)
    for span in stream.spans:
        at, end = span.start_ms * 16, span.end_ms * 16
        word = stream.pcm[at:end].astype(float) - alone[at:end]
        found = db(loudest(word) / loudest(alone[at - 24000 : end + 24000]))
        assert found == pytest.approx(snr_db, abs=0.5), span


@pytest.mark.parametrize("hertz", [50, 60, 100, 120])
def test_hum_has_its_frequency(hertz):
    sound = noises.hum(4 * RATE_HZ, np.random.default_rng(SEED), float(hertz))
    power = np.abs(np.fft.rfft(sound)) ** 2
    assert np.argmax(power) * RATE_HZ / len(sound) == pytest.approx(hertz, abs=0.3)
    harmonics = [power[round(place * hertz * 4)] for place in (1, 2, 3)]
    assert db(np.sqrt(harmonics[1] / harmonics[0])) == pytest.approx(noises.HARMONICS_DB[1], abs=1)


@pytest.mark.parametrize(("rt60_s", "room"), [(0.3, 0), (0.3, 5), (0.5, 1), (0.5, 7)])
def test_rooms_fall_by_60_db_in_their_time(rt60_s, room):
    pytest.importorskip("pyroomacoustics", reason="rooms need the extra 'train'")
    response = rooms.impulse_response(rt60_s, 3.0, room)
    assert response[0] == 1.0, "the direct sound keeps the word's level and place"
    assert rooms.measured_rt60_s(response) == pytest.approx(rt60_s, rel=0.2)
    assert np.sum(response[1:] ** 2) > 1, "3 m away a room is louder than its talker"
    assert np.array_equal(response, rooms.impulse_response(rt60_s, 3.0, room))


def test_rooms_of_one_kind_differ():
    pytest.importorskip("pyroomacoustics", reason="rooms need the extra 'train'")
    first, second = (rooms.impulse_response(0.3, 3.0, room)[:2000] for room in (0, 1))
    assert not np.allclose(first, second)


@pytest.mark.parametrize("rt60_s", [0.2, 0.6])
def test_reverberation_time_of_a_known_fall_is_found(rt60_s):
    """The measure itself: noise that falls by 60 dB in a known time."""
    at = np.arange(int(1.5 * rt60_s * RATE_HZ)) / RATE_HZ
    response = np.random.default_rng(SEED).standard_normal(len(at)) * 10 ** (-3 * at / rt60_s)
    assert rooms.measured_rt60_s(response) == pytest.approx(rt60_s, rel=0.1)


def test_spans_in_rooms_end_with_the_dry_word():
    pytest.importorskip("pyroomacoustics", reason="rooms need the extra 'train'")
    stream = built("room-0.3")
    for clip, span in zip(WORDS, stream.spans, strict=True):
        assert abs(span.end_ms - span.start_ms - len(clip.pcm()) / 16) <= 2, "rounded twice to milliseconds"
        assert span.start_ms < span.speech_end_ms <= span.end_ms


@pytest.mark.parametrize("name", ["clean", "level-1m", "step-up-1s", "kettle-3s"])
def test_spans_hold_the_words(name):
    stream = built(name)
    assert len(stream.spans) == len(WORDS)
    for clip, span in zip(WORDS, stream.spans, strict=True):
        word = clip.pcm().astype(float)
        at = span.start_ms * 16
        around = stream.pcm[at - 1600 : at + len(word) + 1600].astype(float)
        place = int(np.argmax(np.correlate(around, word, "valid"))) - 1600
        assert abs(place) <= 16, f"{span}: the word lies {place} samples off"
        assert span.speech_end_ms <= span.end_ms


def test_real_levels_fall_with_distance_and_are_the_microphones():
    near, far = (built(f"level-{place}") for place in ("0.2m", "2m"))
    assert near.bits == far.bits == 24
    word = WORDS[0].pcm().astype(float)
    at, end = near.spans[0].start_ms * 16, near.spans[0].end_ms * 16
    rms = noises.active_rms(near.pcm[at:end].astype(float))
    assert db(rms * np.sqrt(2) / 2**23) == pytest.approx(75 - 120, abs=0.5), "75 dB SPL under 120, a sine of full scale"
    quiet = np.concatenate([stream.pcm[:RATE_HZ].astype(float) for stream in (near, far)])
    assert -100 < db(quiet.std() * np.sqrt(2) / 2**23) < -80, "33 dB(A) of its own, 30 of the room"
    heard = far.pcm[at : at + len(word)].astype(float)
    assert db(rms / (heard @ word / (word @ word) * noises.active_rms(word))) == pytest.approx(20, abs=1)


def test_gains_make_16_bits_as_the_board_does():
    pcm = np.array([256 * 100, -256 * 100, 255, -1, 2**23 - 1, -(2**23)], np.int32)
    assert conditions.to_int16(pcm, 1).tolist() == [100, -100, 0, -1, 32767, -32768]
    assert conditions.to_int16(pcm, 4).tolist() == [400, -400, 3, -1, 32767, -32768]


@pytest.mark.parametrize(("name", "before_db", "after_db"), [("step-up-3s", 0.0, 12.0), ("step-down-3s", 0.0, -12.0)])
def test_levels_step_before_the_word(name, before_db, after_db):
    stream = built(name, WORDS[:1])
    at = stream.spans[0].start_ms * 16
    level = 32768 * 10 ** (conditions.STEP_DBFS / 20)
    before = stream.pcm[at - 6 * RATE_HZ : at - 4 * RATE_HZ].astype(float).std()
    after = stream.pcm[at - 2 * RATE_HZ : at - RATE_HZ // 2].astype(float).std()
    assert db(before / level) == pytest.approx(before_db, abs=1.5)
    assert db(after / level) == pytest.approx(after_db, abs=1.5)


@pytest.mark.parametrize("name", ["clean", "hum-60-6db", "level-3m", "step-down-1s"])
def test_streams_repeat(name):
    first, second = built(name), built(name)
    assert np.array_equal(first.pcm, second.pcm)
    assert first.spans == second.spans


def test_names_of_conditions_tell_them_apart():
    names = [row.name for row in conditions.TABLE]
    assert len(set(names)) == len(names)
    assert conditions.code_digest() == conditions.code_digest()


def test_halves_share_no_recording(monkeypatch):
    monkeypatch.setattr(data, "_decoded", lambda source, paths: paths)  # names are enough: decoding takes a minute
    monkeypatch.setattr(data, "_has_sound", lambda path: True)
    monkeypatch.setattr(data, "_of_source", data._of_source.__wrapped__)
    try:
        halves = [{clip.name for clip in data.words(half)} for half in data.HALVES]
        sources = [{clip.source for clip in data.negatives(half)} - {"esc10"} for half in data.HALVES]
        sounds = [{clip.name for clip in data.negatives(half)} for half in data.HALVES]
    except data.Missing as missing:
        pytest.skip(str(missing))
    assert not halves[0] & halves[1]
    assert abs(len(halves[0]) - len(halves[1])) <= 1
    assert not sources[0] & sources[1], "a speaker is in both halves"
    assert not sounds[0] & sounds[1]


def test_missing_recordings_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("EARLID_DATA", str(tmp_path))
    with pytest.raises(data.Missing, match="EARLID_DATA"):
        conditions.named("clean").pieces("held")
    with pytest.raises(data.Missing, match="voices"):
        conditions.named("near-natural").pieces("held")


def test_television_is_as_loud_as_told(monkeypatch):
    talk = sorted(SPEECH.glob("babble-*.flac"))
    clips = [data.Clip(path.stem, str(path), "talk-demo", "speech", "en", "dev") for path in talk]
    monkeypatch.setattr(data, "negatives", lambda half, *kinds: clips)
    stream = built("television-10db", WORDS[:1])
    assert stream.seconds == pytest.approx(conditions.TELEVISION_WORD_S)
    span = stream.spans[0]
    talker = noises.active_rms(stream.pcm[: span.start_ms * 16].astype(float))
    assert db(talker / 32768) == pytest.approx(conditions.TELEVISION_DBFS, abs=2)
    peak = loudest(stream.pcm[span.start_ms * 16 : span.end_ms * 16])
    assert 8 < db(peak / (32768 * 10 ** (conditions.TELEVISION_DBFS / 20))) < 13


def test_negatives_are_cut_into_parts_in_order():
    parts = conditions._by_time(WORDS * 4, 2.0)
    assert [clip for part in parts for clip in part] == WORDS * 4
    assert all(sum(clip.seconds() for clip in part) >= 2.0 for part in parts[:-1])


def test_spoken_plan_keeps_voices_in_one_half(monkeypatch):
    class Engine:
        voices = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n")

    monkeypatch.setattr(voices.speakers, "engine", lambda name: Engine())
    items = voices.plan(["kokoro"])
    halves = {}
    for item in items:
        for voice in item.voice.split(":")[0].split("+"):
            assert halves.setdefault(voice, item.half) == item.half, item
    assert items == voices.plan(["kokoro"])
    assert {item.kind for item in items} == {"word", "near", "near-sentence", "sentence"}
    assert len({item.text for item in items if item.kind == "near"}) >= 60
