# SPDX-License-Identifier: MIT
"""Sound on the time line, and the I2S ring buffer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid.virtual.i2s import DMA_FRAMES, I2sReceiver, MicrophonePower
from earlid.virtual.sound import FAULT_SHIFT, RATE_HZ, SAMPLE_SHIFT, STUCK_CODE, Sound, load
from hypothesis import given, settings
from hypothesis import strategies as st
from lid import config


def heard(sound: Sound, frame: int, count: int) -> np.ndarray:
    return np.frombuffer(sound.frames(frame, count, wide=True, stereo=False), "<i4") >> SAMPLE_SHIFT


def test_default_gain_makes_of_a_sample_itself() -> None:
    assert config.defaults()["gain_q8"] == 256 << 16 - SAMPLE_SHIFT


def test_clips_add_up_and_saturate() -> None:
    sound = Sound(1)
    sound.play_at(100, np.full(50, 30_000, np.int16))
    sound.play_at(120, np.full(50, 10_000, np.int16))
    now = heard(sound, 90, 90)
    assert list(now[9:11]) == [0, 30_000]
    assert now[35] == 32_767
    assert now[70] == 10_000
    assert now[80] == 0


FRAMES = st.integers(0, 3 * RATE_HZ)


@given(start=FRAMES, length=st.integers(1, 2 * RATE_HZ), at=FRAMES, count=st.integers(1, 500))
@settings(max_examples=50)
def test_any_slice_is_the_same_sound(start: int, length: int, at: int, count: int) -> None:
    samples = np.arange(length, dtype=np.int64).astype(np.int16)
    sound = Sound(2)
    sound.play_at(start, samples)
    line = np.zeros(8 * RATE_HZ, np.int16)
    line[start : start + length] = samples
    assert np.array_equal(heard(sound, at, count), line[at : at + count])


def test_noise_has_the_requested_level_and_repeats() -> None:
    first, second = Sound(3), Sound(3)
    for sound in (first, second):
        sound.set_noise(RATE_HZ, -40.0)
    one = heard(first, 0, 3 * RATE_HZ)
    heard(second, 2 * RATE_HZ, 10)  # in another order
    assert np.array_equal(one, heard(second, 0, 3 * RATE_HZ))
    assert not one[:RATE_HZ].any()
    level = 20 * np.log10(np.sqrt(np.mean(one[RATE_HZ:].astype(float) ** 2)) / 32768)
    assert level == pytest.approx(-40, abs=0.2)


def test_microphone_faults_give_their_samples() -> None:
    sound = Sound(4)
    sound.play_at(0, np.full(100, 1000, np.int16))
    sound.mode = "clipped"
    assert heard(sound, 0, 1)[0] >> FAULT_SHIFT - SAMPLE_SHIFT == 32_767
    sound.mode = "stuck"
    assert np.frombuffer(sound.frames(0, 4, True, False), "<i4").tolist() == [STUCK_CODE] * 4
    sound.mode = "swapped"
    assert not heard(sound, 0, 10).any()
    both = np.frombuffer(sound.frames(0, 2, wide=False, stereo=True), "<i2")
    assert both.tolist() == [0, 1000, 0, 1000]


def test_live_samples_are_queued() -> None:
    sound = Sound(5)
    sound.push(1000, np.full(100, 1, np.int16))
    sound.push(1010, np.full(100, 2, np.int16))  # early: queues behind
    sound.push(5000, np.full(100, 3, np.int16))  # late: starts now
    line = heard(sound, 0, 6000)
    assert (line[1000:1100] == 1).all()
    assert (line[1100:1200] == 2).all()
    assert (line[5000:5100] == 3).all()
    assert np.count_nonzero(line) == 300


def test_recordings_are_converted_to_16_khz_mono(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    time_s = np.arange(44_100) / 44_100
    tone = 0.25 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(path, np.stack([tone, tone], axis=1), 44_100)
    samples = load(path)
    assert samples.dtype == np.int16
    assert abs(len(samples) - RATE_HZ) <= 1
    middle = samples[2000:14_000].astype(float)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.25 / np.sqrt(2) * 32768, rel=0.01)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound at all")
    with pytest.raises(ValueError, match=r"bad\.wav"):
        load(bad)
    with pytest.raises(ValueError, match=r"missing\.wav"):
        load(tmp_path / "missing.wav")


@given(waits_us=st.lists(st.integers(0, 400_000), min_size=1, max_size=60), ibuf=st.integers(0, 40_000))
@settings(max_examples=80)
def test_i2s_ring_buffer_neither_repeats_nor_runs_ahead(waits_us: list[int], ibuf: int) -> None:
    receiver = I2sReceiver(0, 32, False, RATE_HZ, ibuf)
    now_us, position, lost = 0, 0, 0
    for wait_us in waits_us:
        now_us += wait_us
        receiver.drop_overrun(now_us)
        assert receiver.position >= position
        lost += receiver.position - position
        now_us = max(now_us, receiver.ready_us(160))
        assert (receiver.position + 160) * 1_000_000 // RATE_HZ <= now_us
        # never further behind than the ring is long
        assert now_us * RATE_HZ // 1_000_000 - receiver.position <= (receiver.buffers + 1) * DMA_FRAMES + 160
        receiver.read(160, Sound(0), MicrophonePower())
        position = receiver.position
    assert lost == receiver.lost_frames
