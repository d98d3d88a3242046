"""Intervals and paired tests, as pure functions.

Whatever cannot be estimated is ``None``, never 0: a rate over nothing is not a rate. The resampled
unit is the target, since the attempts for one target are not independent; or what targets share.
"""

import dataclasses
import math
from collections.abc import Hashable, Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64

MIN_VALUES: Final = 5  # with fewer, percentiles of resamples say nothing about the mean
_Z95: Final = 1.959963984540054
_BLOCK: Final = 1_000_000  # numbers drawn at a time, which bounds the memory


@dataclasses.dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95% confidence interval.

    Example:
        >>> Interval(estimate=0.5, low=0.4, high=0.6).as_list()
        [0.4, 0.6]
    """

    estimate: float
    low: float
    high: float

    def as_list(self) -> list[float]:
        """Give ``[low, high]``, rounded, as result files hold it."""
        return [round(self.low, 6), round(self.high, 6)]


def bootstrap_mean(
    values: Sequence[float], rng: np.random.Generator, *, draws: int = 2000
) -> Interval | None:
    """Give the mean and its percentile bootstrap interval (Efron, 1979).

    The interval runs from the 2.5th to the 97.5th percentile of the means of ``draws`` resamples
    with replacement. For a share of successes use ``wilson``: resamples of equal values have no
    width.

    Args:
        values: one value a target.
        rng: the random source.
        draws: the number of resamples.

    Returns:
        ``None`` for fewer than ``MIN_VALUES`` values.

    Raises:
        ValueError: a value is not finite.

    Example:
        >>> bootstrap_mean([0.0, 1.0, 0.0, 1.0], np.random.default_rng(1)) is None
        True
    """
    data = _finite(values)
    if len(data) < MIN_VALUES:
        return None
    block = max(1, _BLOCK // len(data))
    means = np.concatenate(
        [
            data[rng.integers(len(data), size=(min(block, draws - start), len(data)))].mean(axis=1)
            for start in range(0, draws, block)
        ]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(data.mean()), float(low), float(high))


def _finite(values: Sequence[float]) -> Float64[np.ndarray, " values"]:
    data = np.asarray(values, dtype=np.float64)
    if not np.isfinite(data).all():
        raise ValueError("Expected finite values; leave unmeasured targets out.")
    return data


def bootstrap_clusters(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> Interval | None:
    """Give the mean of values that come in clusters, and its interval (Field and Welsh, 2007).

    Values of one cluster, such as the targets that share a query and with it one drawn reply, are
    not independent: whole clusters are resampled, each with all its values.

    Args:
        values: one a target.
        clusters: what each is of.
        rng: the random source.
        draws: the number of resamples.

    Returns:
        ``None`` for fewer than ``MIN_VALUES`` clusters.

    Raises:
        ValueError: the lengths differ, or a value is not finite.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> bootstrap_clusters([0.0, 1.0] * 5, [1, 2] * 5, rng) is None  # of two clusters
        True
    """
    data = _finite(values)
    if len(data) != len(clusters):
        raise ValueError(f"Expected a cluster for each value, got {len(clusters)} for {len(data)}.")
    numbers = {name: n for n, name in enumerate(dict.fromkeys(clusters))}
    if len(numbers) < MIN_VALUES:
        return None
    of = np.asarray([numbers[name] for name in clusters])
    sums, sizes = np.bincount(of, weights=data), np.bincount(of)
    drawn = rng.integers(len(sums), size=(draws, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return Interval(float(data.mean()), float(low), float(high))


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, rng: np.random.Generator, draws: int = 2000
) -> Interval | None:
    """Give the difference of means ``a - b`` over the same targets, and its interval.

    Targets are resampled, each with both of its values: what makes a target hard for both cancels.

    Returns:
        ``None`` for fewer than ``MIN_VALUES`` targets.

    Raises:
        ValueError: the lengths differ, or a value is not finite.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> paired_bootstrap([0.5] * 9, [0.25] * 9, rng=rng)
        Interval(estimate=0.25, low=0.25, high=0.25)
    """
    if len(a) != len(b):
        raise ValueError(
            f"Expected two values for each target, got {len(a)} and {len(b)}. "
            "Compare the targets that both measured."
        )
    return bootstrap_mean([x - y for x, y in zip(a, b, strict=True)], rng, draws=draws)


def wilson(k: int, n: int) -> Interval | None:
    """Give the share ``k / n`` and its Wilson score interval (Wilson, 1927).

    With ``p = k / n`` and ``z`` the 97.5th percentile of the normal distribution::

        (p + z^2 / 2n  +-  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Returns:
        ``None`` when ``n`` is 0.

    Raises:
        ValueError: not ``0 <= k <= n``.

    Example:
        >>> wilson(0, 10).as_list()
        [0.0, 0.277533]
    """
    if not 0 <= k <= n:
        raise ValueError(f"Expected 0 <= k <= n, got k = {k} and n = {n}.")
    if n == 0:
        return None
    p, z2 = k / n, _Z95**2
    middle = p + z2 / (2 * n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    # At the ends the exact bounds are 0 and 1, which rounding would miss.
    low = 0.0 if k == 0 else (middle - half) / scale
    high = 1.0 if k == n else (middle + half) / scale
    return Interval(p, low, high)


def mcnemar_exact(b: int, c: int) -> float:
    """Give the two-sided exact p-value of McNemar's test.

    Of the targets that exactly one of two methods elicited, ``b`` went to the first and ``c`` to
    the second. Without a difference each goes either way with probability 1/2: ``p = min(1, 2 P(X
    <= min(b, c)))`` with ``X`` binomial. With no such targets there is no evidence for a
    difference, and ``p`` is 1.

    Raises:
        ValueError: a count is negative.

    Example:
        >>> mcnemar_exact(0, 5), mcnemar_exact(3, 3)
        (0.0625, 1.0)
    """
    if b < 0 or c < 0:
        raise ValueError(f"Expected counts of targets, got b = {b} and c = {c}.")
    n = b + c
    tail = sum(math.comb(n, k) for k in range(min(b, c) + 1))
    # Whole numbers to the end: 2.0**-n underflows from about n = 1,075.
    return min(2 * tail, 1 << n) / (1 << n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Give the p-values of a family of comparisons, adjusted for their number (Holm, 1979).

    The smallest of ``m`` is multiplied by ``m``, the next by ``m - 1``, and so on; none gets
    smaller than one before it. Calling a difference real where the adjusted value is at most
    ``alpha`` makes any false call in the whole family with probability ``alpha`` at most, however
    the comparisons depend on each other.

    Raises:
        ValueError: a value is not in [0, 1].

    Example:
        >>> holm([0.03, 0.01, 0.5])
        [0.06, 0.03, 0.5]
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"Expected p-values in [0, 1], got {list(p_values)}.")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def area_under_curve(positives: Sequence[float], negatives: Sequence[float]) -> float | None:
    """Give the probability that a positive is above a negative; one that is equal counts half.

    It is the area under the ROC curve, and the Mann-Whitney U of the positives over the number of
    pairs.

    Returns:
        ``None`` without a positive or without a negative.

    Example:
        >>> area_under_curve([3.0, 2.0], [1.0, 2.0])
        0.875
    """
    if not positives or not negatives:
        return None
    ordered = np.sort(np.asarray(negatives, dtype=np.float64))
    wanted = np.asarray(positives, dtype=np.float64)
    below = np.searchsorted(ordered, wanted, side="left")
    through = np.searchsorted(ordered, wanted, side="right")
    return float((below + through).mean() / 2 / len(ordered))
