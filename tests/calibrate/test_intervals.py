# SPDX-License-Identifier: MIT
"""Exact confidence intervals against printed tables, their definition, and simulation."""

import math

import numpy as np
import pytest
from earlid.accuracy.intervals import binomial, poisson
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

SEED = 5


# Table in print: 95 % limits of Clopper and Pearson for n = 10 and 20; Garwood's for 0, 1, 5 and 10 events.
@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (1, 20, 0.0013, 0.2487),
    ],
)
def test_binomial_limits_equal_published_tables(events, trials, low, high):
    interval = binomial(events, trials)
    assert interval.value == events / trials
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("events", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (5, 1.6235, 11.6683), (10, 4.7954, 18.3904)]
)
def test_poisson_limits_equal_published_tables(events, low, high):
    interval = poisson(events, 2.0)
    assert interval.value == events / 2
    assert interval.low == pytest.approx(low / 2, abs=5e-5)
    assert interval.high == pytest.approx(high / 2, abs=5e-5)


@given(st.integers(1, 400), st.data())
def test_binomial_limits_leave_the_right_tails(trials, data):
    events = data.draw(st.integers(0, trials))
    interval = binomial(events, trials)
    assert interval.low <= interval.value <= interval.high
    if events:
        assert stats.binom.sf(events - 1, trials, interval.low) == pytest.approx(0.025, rel=1e-6)
    if events < trials:
        assert stats.binom.cdf(events, trials, interval.high) == pytest.approx(0.025, rel=1e-6)


@given(st.integers(0, 500), st.floats(0.01, 1000))
def test_poisson_limits_leave_the_right_tails(events, hours):
    interval = poisson(events, hours)
    assert interval.low <= interval.value <= interval.high
    if events:
        assert stats.poisson.sf(events - 1, interval.low * hours) == pytest.approx(0.025, rel=1e-6)
    assert stats.poisson.cdf(events, interval.high * hours) == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(("truth", "trials"), [(0.03, 15), (0.2, 15), (0.5, 8)])
def test_binomial_interval_covers_at_its_confidence(truth, trials):
    drawn = np.random.default_rng(SEED).binomial(trials, truth, 4000)
    limits = [binomial(k, trials) for k in range(trials + 1)]
    covered = np.mean([limits[k].low <= truth <= limits[k].high for k in drawn])
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 4000), f"seed {SEED}: {covered}"


@pytest.mark.parametrize("mean", [0.2, 1.0, 6.0])
def test_poisson_interval_covers_at_its_confidence(mean):
    drawn = np.random.default_rng(SEED).poisson(mean, 4000)
    limits = {int(k): poisson(int(k), 1.0) for k in set(drawn)}
    covered = np.mean([limits[int(k)].low <= mean <= limits[int(k)].high for k in drawn])
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 4000), f"seed {SEED}: {covered}"


def test_no_trials_give_the_widest_interval():
    assert math.isnan(binomial(0, 0).value)
    assert binomial(0, 0)[1:] == (0.0, 1.0)
    assert poisson(0, 0)[1:] == (0.0, math.inf)


@pytest.mark.parametrize("bad", [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(ValueError, match="events"):
        binomial(*bad)


def test_impossible_times_are_refused():
    with pytest.raises(ValueError, match="hours"):
        poisson(1, -1)
    with pytest.raises(ValueError, match="events"):
        poisson(-1, 1)
