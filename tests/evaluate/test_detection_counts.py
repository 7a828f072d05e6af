# SPDX-License-Identifier: MIT
"""Counting of the detection benchmark: cutoffs, openings and delays against the same counted one by one."""

import numpy as np
from earlid.accuracy.curve import openings_by_cutoff

from tests.bench.detection import count
from tests.bench.detection.peers import Scores

SEED = 15


def random_scores(rng, seconds=600):
    t_ms = np.arange(1, seconds * 33, dtype=np.int64) * 30
    return Scores(t_ms, np.round(255 * rng.random(len(t_ms)) ** 12))


def test_openings_equal_those_of_evaluate():
    rng = np.random.default_rng(SEED)
    scores = random_scores(rng)
    events = count.opening_events(scores, 25)
    expected = openings_by_cutoff(scores.t_ms, scores.values.astype(int))
    assert [count.openings(events, cutoff) for cutoff in range(25, 256)] == expected[25:].tolist()


def test_cutoff_is_the_lowest_within_the_rate():
    rng = np.random.default_rng(SEED)
    streams = [count.opening_events(random_scores(rng), 25) for _ in range(3)]
    counts = count.Counts(events=streams, hours=0.5)
    for per_h in (2, 20, 200):
        cutoff = count.cutoff_at(counts, per_h, 25)
        assert counts.openings(cutoff) <= per_h * 0.5 < counts.openings(cutoff - 1)


def test_word_counts_from_its_start_to_a_second_after_its_end():
    scores = Scores(np.array([1000, 1010, 1500, 2000, 3000, 3010]), np.array([9.0, 2, 5, 4, 7, 9]))
    steps = count.word_steps(scores, 1000, 2000)
    assert steps == [(1010, 2.0), (1500, 5.0), (3000, 7.0)]
    counts = count.Counts([steps, []], [1400, 0])
    assert [counts.misses(cutoff) for cutoff in (1, 5, 7)] == [1, 1, 2]
    assert counts.delays_ms(4) == [100]
    assert counts.delays_ms(5) == [1600]
