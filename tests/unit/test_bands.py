"""Bands of success curves: by hand, against another bootstrap, and simulated coverage."""

import math

import numpy as np
import pytest

from saywhat.evaluation.bands import (
    query_hits,
    resampled_means,
    seed_band,
    seed_draws,
    target_band,
    threshold_hits,
)
from saywhat.evaluation.statistics import bootstrap_mean
from saywhat.evaluation.success import success_curve


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(17)


def test_hits_by_hand() -> None:
    hits = threshold_hits([0.5, None, 1.0, 0.6999999], [0.5, 0.7, 1.0])
    assert np.array_equal(hits, [[1, 0, 0], [np.nan] * 3, [1, 1, 1], [1, 1, 0]], equal_nan=True)
    within = query_hits([1, 10, None, 0], [1, 9, 10])
    assert within.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0], [1, 1, 1]]
    known = query_hits([1, None], [5], measured=[True, False])
    assert np.array_equal(known, [[1], [np.nan]], equal_nan=True)


def test_the_curve_is_the_success_curve(rng: np.random.Generator) -> None:
    scores = rng.uniform(size=60).round(2).tolist()
    thresholds = (0.0, 0.25, 0.5, 0.75, 1.0)
    band = target_band(threshold_hits([*scores, None, None], thresholds), rng)
    assert band is not None
    assert band.estimate == pytest.approx(list(success_curve(scores, thresholds).values()))
    edges = zip(band.low, band.estimate, band.high, strict=True)
    assert all(low <= middle <= high for low, middle, high in edges)
    assert list(band.estimate) == sorted(band.estimate, reverse=True)


def test_it_is_the_bootstrap_of_each_point(rng: np.random.Generator) -> None:
    values = (rng.uniform(size=80) < 0.3).astype(float)
    band = target_band(values[:, None], rng, draws=20000)
    other = bootstrap_mean(values.tolist(), rng, draws=20000)
    assert band is not None
    assert other is not None
    # Steps of 1/80; two bootstraps of 20,000 draws may differ by one of them.
    assert band.low[0] == pytest.approx(other.low, abs=0.013)
    assert band.high[0] == pytest.approx(other.high, abs=0.013)


def test_no_spread_no_width(rng: np.random.Generator) -> None:
    band = seed_band(np.ones((3, 9, 2)), rng)
    assert band is not None
    assert (band.low, band.estimate, band.high) == ((1.0, 1.0),) * 3


def test_too_few_measured_targets_are_not_estimable(rng: np.random.Generator) -> None:
    assert target_band(np.ones((4, 2)), rng) is None
    assert target_band(np.vstack([np.ones((4, 2)), np.full((9, 2), np.nan)]), rng) is None
    assert target_band(np.zeros((0, 2)), rng) is None


def test_the_same_rng_gives_the_same_band() -> None:
    hits = threshold_hits(np.linspace(0, 1, 40).tolist())
    first, again, other = (target_band(hits, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_many_draws_in_blocks_are_the_same_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # 50 targets, 101 thresholds: 2,000,000 // 5,050 = 396 draws a block
    hits = threshold_hits(np.linspace(0, 1, 50).tolist())[None].repeat(2, axis=0)
    small = seed_band(hits, np.random.default_rng(1), draws=1000)
    assert small is not None
    weights = np.random.default_rng(1).multinomial(50, [1 / 50] * 50, size=1000)
    curves = weights @ hits[0] / 50  # equal seeds: weights of seeds cancel
    assert small.low == pytest.approx(np.quantile(curves, 0.025, axis=0))


def test_a_target_that_one_seed_did_not_measure_counts_in_the_others(
    rng: np.random.Generator,
) -> None:
    hits = np.zeros((2, 6, 1))
    hits[0] = 1.0
    hits[0, 0] = np.nan
    band = seed_band(hits, rng)
    assert band is not None
    assert band.estimate == (5 / 11,)  # 5 hits in 11 measured
    assert (band.low, band.high) == ((0.0,), (1.0,))  # both draws may be of one seed


def test_the_band_covers_the_true_curve_as_often_as_it_says(rng: np.random.Generator) -> None:
    # Similarities uniform in [0, 1]: the true curve at 0.3, 0.5 and 0.8 is 0.7, 0.5 and 0.2. With
    # 200 targets the percentile bootstrap covers each in about 94% of 300 runs: 282 +- 4.1. Fewer
    # than 264 or more than 297 is 4.4 or 3.6 sigma: below 4e-4 for each of the three.
    covered = np.zeros(3)
    for _ in range(300):
        band = target_band(
            threshold_hits(rng.uniform(size=200).tolist(), [0.3, 0.5, 0.8]), rng, draws=300
        )
        assert band is not None
        truth = np.array([0.7, 0.5, 0.2])
        covered += (np.array(band.low) <= truth) & (truth <= np.array(band.high))
    assert all((covered >= 264) & (covered <= 297)), covered


def test_the_band_over_seeds_covers_where_that_over_targets_does_not(
    rng: np.random.Generator,
) -> None:
    # 8 seeds, 60 targets; a hit is likelier with a good seed and an easy target:
    # P = Phi(s + t), s and t of deviation 0.5, so that the mean over both is 1/2 by symmetry.
    both = pooled = 0
    cdf = np.vectorize(lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2))))
    for _ in range(200):
        chance = cdf(rng.normal(scale=0.5, size=(8, 1)) + rng.normal(scale=0.5, size=60))
        hits = (rng.uniform(size=(8, 60)) < chance).astype(float)
        wide = seed_band(hits[:, :, None], rng, draws=300)
        narrow = target_band(hits.reshape(-1, 1), rng, draws=300)
        assert wide is not None
        assert narrow is not None
        both += wide.low[0] <= 0.5 <= wide.high[0]
        pooled += narrow.low[0] <= 0.5 <= narrow.high[0]
    # Over both: about 92% (184 +- 3.8), below 168 is 4.2 sigma, 2e-5. Taking the 480 hits for
    # independent covers about half.
    assert both >= 168, both
    assert pooled <= 140, pooled


def test_means_of_two_lists_can_share_the_draws_of_their_seeds(rng: np.random.Generator) -> None:
    # each list is 0 in one seed and 1 in the other, the same one: their difference is always 0
    hits = np.zeros((2, 9, 1))
    hits[1] = 1.0
    by_seed = seed_draws(2, rng, draws=200)
    assert by_seed.sum(axis=1).tolist() == [2.0] * 200
    made = [resampled_means(hits, rng, draws=200, by_seed=by_seed) for _ in range(2)]
    assert made[0] is not None
    assert made[1] is not None
    assert made[0][0].tolist() == [0.5]
    assert (made[0][1] == made[1][1]).all()
    assert set(made[0][1].ravel().tolist()) == {0.0, 0.5, 1.0}


def test_means_of_one_seed_are_those_of_its_resampled_targets() -> None:
    values = np.arange(12, dtype=np.float64).reshape(1, 6, 2)
    made = resampled_means(values, np.random.default_rng(3), draws=50)
    assert made is not None
    by_target = np.random.default_rng(3).multinomial(6, [1 / 6] * 6, size=50)
    assert made[1] == pytest.approx(by_target @ values[0] / 6)
    assert made[0].tolist() == [5.0, 6.0]


def test_a_resample_of_nothing_measured_is_not_a_number() -> None:
    values = np.full((2, 6, 1), np.nan)
    values[1] = 1.0  # the first seed measured nothing
    made = resampled_means(values, np.random.default_rng(1), draws=100)
    assert made is not None
    missing = np.isnan(made[1]).ravel()
    assert 0 < missing.sum() < 100
    assert (made[1].ravel()[~missing] == 1.0).all()
    band = seed_band(values, np.random.default_rng(1), draws=100)
    assert band is not None
    assert (band.low, band.high) == ((1.0,), (1.0,))
