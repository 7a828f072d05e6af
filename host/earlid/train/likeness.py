# SPDX-License-Identifier: MIT
"""Whether a take sounds like the owner's others: the firmware's features, compared by dynamic time warping.

Tells a wholly different word, a cough or a knock apart, no more. Of eight synthetic voices, each saying "alexa" ten times at
speeds from 0.75 to 1.3 in a quiet room, no take was called different; "hello" and "open the window" always were, "computer"
of seven voices, "alex", "elixir" and other near words of none. Noise changes features as much as another word does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from earlid.gate.runner import features
from earlid.train.take_quality import FRAME, RATE_HZ, Pcm, word_span

CEPSTRA = 13
DIFFERENT = 0.5  # median of the distances to the others, of 2
OTHERS_LEAST = 2
SNR_LEAST_DB = 20.0
_LEAD_FRAMES = 100  # in which the frontend learns the room


def cepstra(pcm: Pcm) -> NDArray[np.float64]:
    """Cepstra 1 to 13 of each 10 ms of the word, less their mean over it: shape (hops, 13); empty without a word."""
    span = word_span(pcm)
    if span is None or span.loudest_dbfs - span.floor_dbfs < SNR_LEAST_DB:
        return np.zeros((0, CEPSTRA))
    room = 32768 * 10 ** (span.floor_dbfs / 20)
    lead = np.rint(np.random.default_rng(0).normal(0, room, _LEAD_FRAMES * FRAME)).astype(np.int16)
    first, last = _LEAD_FRAMES + span.start // FRAME, _LEAD_FRAMES + span.end // FRAME
    columns = np.sqrt(features(np.concatenate([lead, pcm, lead[: RATE_HZ // 10]]))[max(0, first - 2) : last + 3])
    found = fft.dct(columns, axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    return np.asarray(found - found.mean(axis=0))


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Mean cosine distance of two words along the best path through both, 0 to 2 (symmetric form of Sakoe and Chiba, 1978)."""
    size = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    local = 1 - one @ other.T / np.maximum(size, 1e-9)
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0.0
    for row in range(len(one)):
        above, here = best[row].tolist(), np.inf
        line = [here]
        for column, cost in enumerate(local[row].tolist()):
            here = min(above[column] + 2 * cost, above[column + 1] + cost, here + cost)
            line.append(here)
        best[row + 1] = line
    return float(best[-1, -1]) / (len(one) + len(other))


def sounds_alike(word: NDArray[np.float64], others: Sequence[NDArray[np.float64]]) -> bool | None:
    """Whether a word, as `cepstra`, sounds like most of the others; None where too few can be compared."""
    comparable = [other for other in others if len(other)]
    if not len(word) or len(comparable) < OTHERS_LEAST:
        return None
    return float(np.median([distance(word, other) for other in comparable])) < DIFFERENT
