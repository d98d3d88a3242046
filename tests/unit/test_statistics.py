"""Intervals and paired tests against worked examples, an enumeration and simulated coverage."""

import itertools

import numpy as np
import pytest

from saywhat.evaluation.statistics import (
    MIN_VALUES,
    Interval,
    area_under_curve,
    bootstrap_clusters,
    bootstrap_mean,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_the_bootstrap_interval_covers_the_true_mean_as_often_as_it_says(
    rng: np.random.Generator,
) -> None:
    # 400 samples of 50 uniform numbers. The percentile bootstrap covers the mean 0.5 in about 94.5%
    # of cases (378 +- 4.6). Leaving [357, 396] is a 4.6- and 3.9-sigma event: below 1e-4.
    covered = 0
    for _ in range(400):
        interval = bootstrap_mean(rng.uniform(size=50).tolist(), rng, draws=400)
        assert interval is not None
        covered += interval.low <= 0.5 <= interval.high
    assert 357 <= covered <= 396


def test_clusters_of_one_are_no_clusters_and_copies_tell_nothing_new(
    rng: np.random.Generator,
) -> None:
    values = rng.normal(size=30).tolist()
    plain = bootstrap_mean(values, np.random.default_rng(1))
    alone = bootstrap_clusters(values, list(range(30)), np.random.default_rng(1))
    copied = bootstrap_clusters(
        [v for v in values for _ in range(4)],
        [n for n in range(30) for _ in range(4)],
        np.random.default_rng(1),
    )
    assert plain is not None
    for found in (alone, copied):
        assert found is not None
        assert found.as_list() == plain.as_list()
        assert found.estimate == pytest.approx(plain.estimate)
    naive = bootstrap_mean([v for v in values for _ in range(4)], np.random.default_rng(1))
    assert naive is not None
    # four copies as if they were four targets: half as wide as is right
    assert naive.high - naive.low == pytest.approx((plain.high - plain.low) / 2, rel=0.1)


def test_the_cluster_interval_covers_the_mean_where_the_plain_one_does_not(
    rng: np.random.Generator,
) -> None:
    # 40 clusters of 1 to 9 values that share most of what they are; the mean is 0. Of 300 samples
    # about 94% should be covered: 282 +- 4.1, and below 265 is a 4-sigma event.
    covered = plain = 0
    for _ in range(300):
        clusters = np.repeat(np.arange(40), rng.integers(1, 10, size=40))
        values = (rng.normal(size=40)[clusters] + 0.3 * rng.normal(size=len(clusters))).tolist()
        interval = bootstrap_clusters(values, clusters.tolist(), rng, draws=400)
        other = bootstrap_mean(values, rng, draws=400)
        assert interval is not None
        assert other is not None
        covered += interval.low <= 0.0 <= interval.high
        plain += other.low <= 0.0 <= other.high
    assert covered >= 265
    assert plain < 230


def test_a_clusters_mean_counts_each_value_once() -> None:
    values, clusters = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0], ["a", "a", "a", "b", "c", "d", "e"]
    found = bootstrap_clusters(values, clusters, np.random.default_rng(1))
    assert found is not None
    assert found.estimate == pytest.approx(3 / 7)
    # no draw of the first cluster in 5, with probability 0.8 ** 5 = 0.33: the lower end is 0
    assert found.low == 0.0
    with pytest.raises(ValueError, match="Expected a cluster for each value, got 6 for 7"):
        bootstrap_clusters(values, clusters[:6], np.random.default_rng(1))


def test_the_bootstrap_interval_agrees_with_the_normal_one(rng: np.random.Generator) -> None:
    values = rng.normal(3.0, 2.0, size=500)
    interval = bootstrap_mean(values.tolist(), rng, draws=8000)
    assert interval is not None
    assert interval.estimate == pytest.approx(values.mean())
    half = 1.96 * values.std() / 500**0.5  # 0.18; a 90% interval would be 0.16 of it narrower
    # The 2.5th percentile of 8,000 draws has a standard error of sqrt(0.025 0.975 / 8000) / 0.0584
    # = 0.03 standard deviations, 0.015 half-widths: 0.08 is 5 of them (1e-6).
    assert interval.low == pytest.approx(values.mean() - half, abs=0.08 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.08 * half)


def test_blocks_do_not_change_the_number_of_draws(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Row by row or all at once, the same numbers are drawn in the same order.
    values = [float(value) for value in range(10)]
    whole = bootstrap_mean(values, np.random.default_rng(2), draws=37)
    monkeypatch.setattr("saywhat.evaluation.statistics._BLOCK", 50)
    assert bootstrap_mean(values, np.random.default_rng(2), draws=37) == whole


def test_too_few_values_are_not_estimable(rng: np.random.Generator) -> None:
    assert bootstrap_mean([], rng) is None
    assert bootstrap_mean([0.0] * (MIN_VALUES - 1), rng) is None
    assert bootstrap_mean([0.0] * MIN_VALUES, rng) == Interval(0.0, 0.0, 0.0)
    assert paired_bootstrap([1.0], [0.0], rng=rng) is None
    assert wilson(0, 0) is None


def test_values_that_are_not_finite_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="leave unmeasured targets out"):
        bootstrap_mean([1.0, float("nan")], rng)


def test_pairing_removes_what_targets_have_in_common(rng: np.random.Generator) -> None:
    hard = rng.uniform(size=100)
    a, b = (hard + 0.01).tolist(), hard.tolist()
    paired = paired_bootstrap(a, b, rng=rng)
    assert paired is not None
    # The difference is 0.01 for every target, though each mean alone is uncertain by 0.06.
    assert paired.low == pytest.approx(0.01)
    assert paired.high == pytest.approx(0.01)
    swapped = paired_bootstrap(b, a, rng=rng)
    assert swapped is not None
    assert swapped.estimate == pytest.approx(-paired.estimate)


def test_unpaired_values_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="two values for each target, got 2 and 1"):
        paired_bootstrap([1.0, 2.0], [1.0], rng=rng)


def test_wilson_against_newcombes_worked_example() -> None:
    # Newcombe (1998), Table I, method 3: 81/263 -> 0.2553 to 0.3662; 15/148 -> 0.0624 to 0.1605;
    # 0/20 -> 0 to 0.1611; 1/29 -> 0.0061 to 0.1718.
    for k, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        interval = wilson(k, n)
        assert interval is not None
        assert interval.estimate == k / n
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_symmetric_and_stays_in_range() -> None:
    for k, n in [(some, total) for total in (1, 2, 7, 200) for some in range(total + 1)]:
        interval, mirrored = wilson(k, n), wilson(n - k, n)
        assert interval is not None
        assert mirrored is not None
        assert 0 <= interval.low <= k / n <= interval.high <= 1
        assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, -1)])
def test_wilson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson(k, n)


def test_mcnemar_against_an_enumerated_binomial() -> None:
    for n in range(11):
        # Every way that n targets can fall to one of two equal methods.
        firsts = [sum(ways) for ways in itertools.product((0, 1), repeat=n)]
        for b in range(n + 1):
            extreme = sum(abs(first - n / 2) >= abs(b - n / 2) for first in firsts)
            assert mcnemar_exact(b, n - b) == pytest.approx(extreme / 2**n)


def test_mcnemar_with_many_targets_does_not_underflow() -> None:
    assert mcnemar_exact(1000, 1000) == 1.0
    assert 0 < mcnemar_exact(900, 1100) < 1e-4


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="counts of targets"):
        mcnemar_exact(-1, 2)


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; none may fall.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([0.1, 0.1]) == [0.2, 0.2]
    assert holm([]) == []


def test_holm_is_the_closed_test_of_bonferroni(rng: np.random.Generator) -> None:
    # Another definition: a hypothesis' value is the largest, over all families that hold it, of
    # the family's smallest p-value times its size.
    for _ in range(20):
        p = rng.uniform(size=5) ** 3
        families = [f for n in range(1, 6) for f in itertools.combinations(range(5), n)]
        expected = [
            max(min(1.0, min(p[list(f)]) * len(f)) for f in families if i in f) for i in range(5)
        ]
        assert holm(p.tolist()) == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_holm_refuses_what_is_no_probability(wrong: float) -> None:
    with pytest.raises(ValueError, match="p-values"):
        holm([0.5, wrong])


def test_area_under_curve_counts_pairs(rng: np.random.Generator) -> None:
    a, b = (rng.integers(6, size=n).astype(float).tolist() for n in (30, 20))
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert area_under_curve(a, b) == pytest.approx(sum(pairs) / 600)
    assert area_under_curve([1.0], [0.0]) == 1.0
    assert area_under_curve([], [1.0]) is None
    assert area_under_curve([1.0], []) is None
