# SPDX-License-Identifier: MIT
"""Mixed streams: words lie at their spans, at the given ratio, complete to their edges."""

import numpy as np
import pytest
from earlid.sound import mixing
from earlid.sound.mixing import (
    BACKGROUND_DBFS,
    GAP_S,
    LEAD_S,
    frame_rms,
    noisy_stream,
    pink_noise,
    stream_samples,
    stretch,
    word_stream,
)

RATE_HZ = 16000
SEED = 3


def tone(seconds, amplitude, noise=0.0):
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    envelope = np.clip(np.minimum(at, seconds - at) / 0.2 - 1, 0, 1)
    rng = np.random.default_rng(SEED)
    return np.rint(amplitude * envelope * np.sin(2 * np.pi * 440 * at) + rng.normal(0, noise, len(at))).astype(np.int16)


def background(words):
    return pink_noise(stream_samples(words), np.random.default_rng(SEED))


def test_words_lie_at_their_spans():
    words = [tone(1.0, 8000, 4), tone(0.7, 2000, 4)]
    pcm, spans = word_stream(words, background(words), None)
    assert len(pcm) == stream_samples(words)
    assert spans[0].start_ms == LEAD_S * 1000
    assert spans[1].start_ms == spans[0].end_ms + 2 * GAP_S * 1000
    for word, span in zip(words, spans, strict=True):
        assert span.end_ms - span.start_ms == len(word) // 16
        inside = pcm[span.start_ms * 16 : span.end_ms * 16].astype(float)
        assert abs(np.corrcoef(inside, word)[0, 1]) > 0.99


def test_clean_words_join_the_noise_floor_without_steps():
    words = [tone(1.0, 8000, 40), tone(1.0, 3000, 3)]
    pcm, spans = word_stream(words, background(words), None)
    level = 32768 * 10 ** (BACKGROUND_DBFS / 20)
    for span in spans:
        edge = frame_rms(pcm[span.start_ms * 16 : span.start_ms * 16 + 2048])
        assert np.all(np.abs(20 * np.log10(edge / level)) < 4), f"seed {SEED}: {edge / level}"


@pytest.mark.parametrize("snr_db", [10.0, 0.0, 20.0])
def test_loudest_frames_differ_by_the_snr(snr_db):
    words = [tone(1.0, 8000), tone(0.8, 500)]
    noise = background(words)
    pcm, spans = word_stream(words, noise, snr_db)
    silent, _ = word_stream([np.zeros_like(word) for word in words], noise, snr_db)
    added = pcm.astype(float) - silent
    for span in spans:
        around = silent[(span.start_ms - 1500) * 16 : (span.end_ms + 1500) * 16]
        word = added[span.start_ms * 16 : span.end_ms * 16]
        found = 20 * np.log10(frame_rms(word).max() / frame_rms(around).max())
        assert found == pytest.approx(snr_db, abs=0.3)


def test_noisy_stream_keeps_recording_lengths():
    sounds = [tone(1.0, 8000), np.zeros(RATE_HZ, np.int16), tone(0.01, 100)]
    pcm = noisy_stream(sounds, pink_noise(3 * RATE_HZ, np.random.default_rng(SEED)), 10.0)
    assert len(pcm) == sum(map(len, sounds))
    assert pcm[RATE_HZ : 2 * RATE_HZ].std() > 50, "silence has got its noise"


def test_stretched_noise_has_no_step():
    rng = np.random.default_rng(SEED)
    short = np.rint(2000 * np.sin(np.arange(8000) / 40)).astype(np.int16)
    long = stretch(short, 50000, rng)
    assert np.sqrt(np.mean(long**2)) == pytest.approx(1.0)
    assert np.abs(np.diff(long)).max() < 0.1
    assert not stretch(np.zeros(100, np.int16), 1000, rng).any()


def test_pink_noise_falls_3_db_an_octave():
    noise = pink_noise(8 * RATE_HZ, np.random.default_rng(SEED))
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    bands = [power[(hertz > f) & (hertz < 2 * f)].mean() for f in (100, 200, 400, 800, 1600)]
    steps = np.diff(10 * np.log10(bands))
    assert np.all(np.abs(steps + 3) < 0.6), f"seed {SEED}: {steps}"


def test_recordings_in_blocks_equal_the_whole():
    rng = np.random.default_rng(SEED)
    sounds = [np.rint(rng.normal(0, 300 * (n + 1), 20_000 + 777 * n)).astype(np.int16) for n in range(3)]
    samples = sum(map(len, sounds))
    whole = noisy_stream(sounds, pink_noise(samples, np.random.default_rng(SEED)), 10.0)
    noise = mixing.Repeated(pink_noise(samples, np.random.default_rng(SEED)))
    levels = [mixing.level_of([sound[:999], sound[999:]]) for sound in sounds]
    cut = ([sound[:1234], sound[1234:]] for sound in sounds)
    np.testing.assert_array_equal(np.concatenate(list(mixing.noisy_blocks(cut, levels, noise, 10.0))), whole)
