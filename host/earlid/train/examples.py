# SPDX-License-Identifier: MIT
"""What a network learns from: windows of columns that end where a word, a near word or anything else has just been heard.

Columns are the firmware's, as bytes of the network's input: uint8 [hops, 40] (`earlid.train.shape.INPUT_SCALE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earlid.train.shape import FEATURES

Columns = NDArray[np.uint8]

SPEED = 0.12  # an utterance is heard so much slower or faster, at most
_MASK_CHANCE = 0.5  # of channels, and of hops
_MASK_CHANNELS, _MASK_HOPS = 7, 12  # below which a mask is wide
_WARP, _CONTRAST = 0.08, 0.08  # standard deviations
_TILT = 0.6  # of a byte, from each channel to the next


@dataclass(frozen=True)
class Heard:
    """Utterances in scenes.

    Attributes:
        columns: of all scenes, one after the other.
        ends: int64 [n], the column in which each utterance's sound ends.
        shares: float64 [n], how often each is drawn, against the others.
    """

    columns: Columns
    ends: NDArray[np.int64]
    shares: NDArray[np.float64]


def joined(parts: Sequence[tuple[Heard, float]]) -> Heard:
    """Several as one; each part's utterances weigh so much as a whole, against the other parts."""
    starts = np.cumsum([0, *(len(part.columns) for part, _ in parts)])
    return Heard(
        np.concatenate([part.columns for part, _ in parts]),
        np.concatenate([part.ends + start for (part, _), start in zip(parts, starts, strict=False)]),
        np.concatenate([part.shares / part.shares.sum() * share for part, share in parts]),
    )


@dataclass(frozen=True)
class Examples:
    """Of one part. words, near: utterances; owner: the owner's own takes; negatives: columns without the word."""

    words: Heard
    near: Heard
    negatives: Columns
    owner: Heard | None = None


def drawn_windows(
    heard: Heard, count: int, late: tuple[int, int], hops: int, rng: np.random.Generator
) -> tuple[Columns, NDArray[np.int64]]:
    """Windows uint8 [count, hops, 40] of utterances drawn by their shares, slower or faster, and where in each its utterance
    ends, in columns from the last (0 or less). `late`: from how many columns after that end to below how many a window ends."""
    ends = heard.ends[rng.choice(len(heard.ends), count, p=heard.shares / heard.shares.sum())]
    speeds = 1 + rng.uniform(-SPEED, SPEED, count)
    after = rng.integers(*late, count)
    return windows(heard.columns, ends + np.rint(after * speeds).astype(np.int64), hops, speeds), -after


def windows(columns: Columns, last: NDArray[np.int64], hops: int, speeds: NDArray[np.float64] | None = None) -> Columns:
    """uint8 [n, hops, 40]: so many columns up to and with each of `last`, of which some are left out or come twice where it is to
    be faster or slower; before the first, the first."""
    back = np.arange(1 - hops, 1)
    places = last[:, None] + (back if speeds is None else np.rint(back * speeds[:, None]).astype(np.int64))
    found: Columns = columns[np.clip(places, 0, len(columns) - 1)]
    return found


def spliced(seen: Columns, others: Columns, rng: np.random.Generator) -> Columns:
    """Windows uint8 [n, hops, 40] that go over into another at one place: sounds in an order that nobody spoke them in."""
    hops = seen.shape[1]
    places = rng.integers(hops // 8, hops - hops // 8, len(seen))
    return np.where(np.arange(hops)[None, :, None] < places[:, None, None], seen, others)


def overlaid(seen: Columns, others: Columns, height: tuple[float, float], rng: np.random.Generator) -> Columns:
    """Windows with the same of another sound over them, lowered to a share between `height`: near the columns of both together,
    which are of the louder one in each channel."""
    shares = rng.uniform(*height, len(seen)).astype(np.float32)
    return np.maximum(seen, (others * shares[:, None, None]).astype(np.uint8))


def masked_and_warped(seen: Columns, rng: np.random.Generator) -> NDArray[np.float32]:
    """Windows with what scenes do not vary: stretches of channels and hops that are silent (SpecAugment: Park and others, 2019),
    channels moved up or down as by a longer throat (Jaitly and Hinton, 2013), another contrast and tilt.

    Returns:
        float32 [n, hops, 40], in steps of a byte.
    """
    count, hops, _ = seen.shape
    source = np.clip(np.arange(FEATURES) * (1 + _WARP * np.clip(rng.standard_normal((count, 1)), -2, 2)), 0, FEATURES - 1)
    low = np.minimum(source.astype(np.int64), FEATURES - 2)
    part = source - low
    at, channel = np.arange(count)[:, None], np.arange(FEATURES)
    moved = np.zeros((count, FEATURES, FEATURES), np.float32)
    moved[at, low, channel] = 1 - part
    moved[at, low + 1, channel] += part
    values = seen.astype(np.float32) @ moved
    tilt = np.cumsum(rng.standard_normal((count, 1, FEATURES)), axis=2) * _TILT
    contrast = 1 + _CONTRAST * rng.standard_normal((count, 1, 1))
    values = np.where(values > 0, np.clip(values * contrast.astype(np.float32) + tilt.astype(np.float32), 0, 255), 0)
    for window in values:
        if rng.random() < _MASK_CHANCE:
            width = int(rng.integers(1, _MASK_CHANNELS))
            first = int(rng.integers(FEATURES - width))
            window[:, first : first + width] = 0
        if rng.random() < _MASK_CHANCE:
            width = int(rng.integers(2, _MASK_HOPS))
            first = int(rng.integers(hops - width))
            window[first : first + width] = 0
    return np.asarray(values, np.float32)
