# SPDX-License-Identifier: MIT
"""Rooms as impulse responses, by the image method of pyroomacoustics. Deterministic; kept in the cache.

Each response begins with the direct sound at its first sample, of gain 1: a word keeps its level and its place, and the room
is added. Rooms of one reverberation time differ in size, and in where talker and microphone stand.

Source of the method: J. Allen and D. Berkley, "Image method for efficiently simulating small-room acoustics", 1979.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from scipy import signal

from earlid import extras
from earlid.config_file import cache_folder
from earlid.errors import Missing
from earlid.files import write_atomically
from earlid.gate.audio import RATE_HZ
from earlid.sound.mixing import Floats

ROOMS = 8  # of each reverberation time
_TRIES = 400
_HALF_FILTER = 40  # samples that pyroomacoustics puts before the direct sound


def impulse_response(rt60_s: float, distance_m: float, room: int) -> Floats:
    """How a microphone hears a click `distance_m` away in a room that falls by 60 dB in `rt60_s`.

    Args:
        rt60_s: reverberation time; the response's own (Schroeder) is brought within 3 % of it.
        room: which of the rooms of this kind; its seed.

    Raises:
        Missing: no pyroomacoustics.
    """
    here = Path(__file__).read_bytes()
    key = hashlib.sha256(here + repr((rt60_s, distance_m, room)).encode()).hexdigest()[:20]
    path = cache_folder() / "rooms" / f"{key}.npy"
    if path.exists():
        return np.asarray(np.load(path))
    response = _simulate(rt60_s, distance_m, room)
    np.save(content := io.BytesIO(), response)
    write_atomically(path, content.getvalue(), make_folder=True)
    return response


def reverberant(word: Floats, response: Floats) -> Floats:
    """A recording in a room; longer than it was by the response less one sample."""
    return np.asarray(signal.fftconvolve(word, response))


def measured_rt60_s(response: Floats) -> float:
    """Reverberation time by Schroeder's backward integration, from the fall between -5 and -25 dB (T20)."""
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(np.maximum(energy / energy[0], 1e-12))
    at = np.arange(len(response)) / RATE_HZ
    inside = (decay_db <= -5) & (decay_db >= -25)
    slope = np.polyfit(at[inside], decay_db[inside], 1)[0]
    return float(-60 / slope)


def _simulate(rt60_s: float, distance_m: float, room: int) -> Floats:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise Missing(f"no pyroomacoustics, which makes the rooms: `{extras.command('train')}`.") from error

    rng = np.random.default_rng([int(1000 * rt60_s), int(1000 * distance_m), room])
    size = np.array([rng.uniform(4.0, 6.5), rng.uniform(3.2, 5.0), rng.uniform(2.4, 2.9)])
    size[0] = max(size[0], distance_m + 1.2)
    microphone, talker = _places(size, distance_m, rng)

    def response_at(absorption: float) -> Floats:
        order = int(np.ceil(343.0 * rt60_s * 1.1 / size.min()))
        box = pyroomacoustics.ShoeBox(size, fs=RATE_HZ, materials=pyroomacoustics.Material(absorption), max_order=min(order, 110))
        box.add_source(talker)
        box.add_microphone(microphone)
        box.compute_rir()
        response = np.asarray(box.rir[0][0], dtype=np.float64)
        direct = _HALF_FILTER + round(distance_m / 343.0 * RATE_HZ)
        peak = direct - 8 + int(np.argmax(np.abs(response[direct - 8 : direct + 9])))
        response = response[peak : peak + int(RATE_HZ * min(1.5 * rt60_s, 1.2))]
        return np.asarray(response / response[0])

    # Sabine's and Eyring's formulae are off by up to a third for such rooms: find the absorption by its response.
    volume, surface = float(np.prod(size)), 2 * float(size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    absorption = 1 - np.exp(-0.161 * volume / (surface * rt60_s))
    for _ in range(6):
        response = response_at(float(absorption))
        found_s = measured_rt60_s(response)
        if abs(found_s / rt60_s - 1) < 0.03:
            break
        absorption = 1 - (1 - absorption) ** (found_s / rt60_s)
    return response


def _places(size: Floats, distance_m: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    for _ in range(_TRIES):
        microphone = np.array([rng.uniform(0.3, size[0] - 0.3), rng.uniform(0.3, size[1] - 0.3), rng.uniform(0.8, 1.2)])
        angle = rng.uniform(0, 2 * np.pi)
        height = rng.uniform(1.3, 1.7)
        flat = np.sqrt(distance_m**2 - (height - microphone[2]) ** 2) if distance_m > 0.95 else distance_m
        talker = np.array([microphone[0] + flat * np.cos(angle), microphone[1] + flat * np.sin(angle), height])
        if distance_m <= 0.95:
            talker[2] = microphone[2]
        if np.all(talker[:2] > 0.4) and np.all(talker[:2] < size[:2] - 0.4):
            return microphone, talker
    raise RuntimeError(f"no place for {distance_m} m in a room of {size}")
