# SPDX-License-Identifier: MIT
"""The detection error trade-off against a plain count, the priors, and the three levels."""

import itertools

import numpy as np
import pytest
from earlid.accuracy.curve import Curve, misses_by_cutoff, openings_by_cutoff, point_json, points_at_rates
from earlid.calibrate.choices import TARGETS_PER_H
from earlid.calibrate.levels import choose_levels, expected_per_h
from earlid.calibrate.priors import PUBLISHED, VOICE_PE, prior_for
from hypothesis import given, settings
from hypothesis import strategies as st


def plain_events(times, scores, cutoff, refractory):
    count, free_at = 0, -1
    for at, score in zip(times, scores, strict=True):
        if score > cutoff and at >= free_at:
            count += 1
            free_at = at + refractory
    return count


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 255)), max_size=120), st.integers(1, 3000))
def test_openings_by_cutoff_equal_a_plain_loop(steps, refractory):
    times = np.cumsum([gap for gap, _ in steps]) if steps else np.zeros(0, int)
    scores = [score for _, score in steps]
    counts = openings_by_cutoff(times, scores, refractory)
    for cutoff in (0, 1, 50, 127, 200, 254, 255):
        assert counts[cutoff] == plain_events(times, scores, cutoff, refractory)


@given(st.lists(st.integers(0, 255), max_size=60))
def test_misses_by_cutoff_are_peaks_not_above_it(peaks):
    misses = misses_by_cutoff(peaks)
    assert misses.shape == (256,)
    for cutoff in (0, 100, 254, 255):
        assert misses[cutoff] == sum(peak <= cutoff for peak in peaks)


def make_curve(hours=10.0):
    cutoffs = np.arange(256)
    return Curve(np.minimum(20, cutoffs // 12), 20, np.maximum(0, 60 - cutoffs // 4), hours)


def test_point_at_a_rate_is_the_lowest_cutoff_within_it():
    curve = make_curve()
    for rate, point in points_at_rates(curve):
        assert point.false_openings <= rate * curve.hours
        assert curve.false_openings[point.cutoff_q8 - 1] > rate * curve.hours


def test_empty_curve_has_unknown_rates():
    empty = Curve(np.zeros(256, int), 0, np.zeros(256, int), 0.0)
    values = point_json(empty.at(100))
    assert values["missed"] is None
    assert values["false_per_hour"] is None
    assert values["missed_interval"] == [0.0, 1.0]
    assert values["false_per_hour_interval"] is None


def test_prior_passes_through_published_points():
    for name, points in PUBLISHED.items():
        prior = prior_for(name, 230)
        for point in points:
            if point.source == VOICE_PE and point.per_h:
                assert prior.rate_per_h(point.cutoff_q8) == pytest.approx(point.per_h)
        rates = [prior.rate_per_h(cutoff) for cutoff in range(60, 255)]
        assert all(a >= b for a, b in itertools.pairwise(rates)), name


@pytest.mark.parametrize("model", [*PUBLISHED, "my_own_word"])
@pytest.mark.parametrize("hours", [0.0, 0.02, 1.0, 40.0])
def test_levels_are_ordered_and_within_their_targets(model, hours):
    curve = make_curve(hours) if hours else Curve(np.zeros(256, int), 0, np.zeros(256, int), 0.0)
    prior = prior_for(model, 230)
    levels = choose_levels(curve, prior, 8000)
    cutoffs = [level.cutoff_q8 for level in levels]
    assert cutoffs == sorted(cutoffs, reverse=True)
    for level in levels:
        assert level.expected_per_h <= TARGETS_PER_H[level.name] or level.cutoff_q8 == 254
        assert 0 < level.near_miss_q8 < level.cutoff_q8
        assert level.live_s_per_day == pytest.approx(level.expected_per_h * 24 * 8)
        assert level.prior_weight == (1.0 if not hours else pytest.approx(prior.hours / (prior.hours + hours)))


def test_many_own_hours_outweigh_the_prior():
    prior = prior_for("okay_nabu", 217)
    curve = Curve(np.zeros(256, int), 0, np.where(np.arange(256) < 200, 300, 30), 100.0)
    assert expected_per_h(curve, prior, 150)[0] == pytest.approx(3.0, rel=0.03)
    assert choose_levels(curve, prior, 8000)[1].cutoff_q8 >= 200
