"""Success curves with bootstrap bands, over targets or over seeds and targets.

A curve is a mean of *hits*: for each target and each point of the curve (a threshold, a number of
queries) 1 or 0, or not a number for a target that was not measured. Bands are pointwise, from the
2.5th to the 97.5th percentile of the curves of resamples.

With several seeds every seed has the same targets, so both are resampled, independently of each
other, and a hit weighs as often as its seed was drawn times as often as its target was (the
pigeonhole bootstrap: Owen, 2007). It is not too narrow for the mean over targets and seeds, except
that three seeds say little about how seeds differ.

Where all resamples agree (a share of 0 or 1) a band has no width: take ``statistics.wilson`` there.
"""

import dataclasses
from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float64

from saywhat.evaluation.statistics import MIN_VALUES
from saywhat.evaluation.success import FINE_THRESHOLDS, TOLERANCE


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Band:
    """A curve with its 95% confidence band, point by point.

    Attributes:
        estimate: the curve.
        low: the band's lower edge.
        high: its upper edge.
    """

    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def threshold_hits(
    similarities: Sequence[float | None], thresholds: Sequence[float] = FINE_THRESHOLDS
) -> Float64[np.ndarray, "targets points"]:
    """Give whether each target's best similarity reaches each threshold.

    Args:
        similarities: one a target; ``None`` for an unmeasured one.
        thresholds: where to look.

    Example:
        >>> threshold_hits([0.7, None], [0.5, 0.7, 0.9]).tolist()
        [[1.0, 1.0, 0.0], [nan, nan, nan]]
    """
    best = np.array([np.nan if s is None else s for s in similarities], dtype=np.float64)[:, None]
    hits = best >= np.asarray(thresholds, dtype=np.float64) - TOLERANCE
    return np.where(np.isnan(best), np.nan, hits.astype(np.float64))


def query_hits(
    first: Sequence[int | None], budgets: Sequence[int], *, measured: Sequence[bool] | None = None
) -> Float64[np.ndarray, "targets points"]:
    """Give whether each target was elicited within each number of queries.

    Args:
        first: the number of the first query that elicited the target; ``None`` for none. 0 is a
            free look-up.
        budgets: numbers of queries.
        measured: whether each target was measured; all, if not given.

    Example:
        >>> query_hits([3, None], [1, 5]).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    numbers = np.array([np.inf if n is None else n for n in first], dtype=np.float64)[:, None]
    hits = (numbers <= np.asarray(budgets, dtype=np.float64)).astype(np.float64)
    known = np.ones(len(hits), dtype=bool) if measured is None else np.array(measured, dtype=bool)
    return np.where(known[:, None], hits, np.nan)


def target_band(
    hits: Float64[np.ndarray, "targets points"], rng: np.random.Generator, *, draws: int = 2000
) -> Band | None:
    """Give the curve over targets, and its band by resampling them.

    Args:
        hits: 1, 0 or not a number.
        rng: the random source.
        draws: the number of resamples.

    Returns:
        ``None`` with fewer than ``MIN_VALUES`` measured targets.
    """
    return seed_band(hits[None], rng, draws=draws)


def seed_band(
    hits: Float64[np.ndarray, "seeds targets points"],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> Band | None:
    """Give the curve over seeds and targets, and its band by resampling both.

    Args:
        hits: 1, 0 or not a number; the targets of all seeds are the same, in one order. A target
            counts as measured in a seed if it is at every point.
        rng: the random source.
        draws: the number of resamples.

    Returns:
        ``None`` with fewer than ``MIN_VALUES`` targets that any seed measured.
    """
    made = resampled_means(hits, rng, draws=draws)
    if made is None:
        return None
    estimate, curves = made
    low, high = np.quantile(curves[~np.isnan(curves).any(axis=1)], [0.025, 0.975], axis=0)
    return Band(tuple(estimate.tolist()), tuple(low.tolist()), tuple(high.tolist()))


def resampled_means(
    values: Float64[np.ndarray, "seeds targets points"],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    by_seed: Float64[np.ndarray, "draws seeds"] | None = None,
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, "draws points"]] | None:
    """Give the means over seeds and targets, and those of resamples of both.

    For what is made of several means: a ratio of points, or a difference of means over other
    targets, whose seeds are the same and are drawn together then.

    Args:
        values: not a number where a target was not measured; it counts as measured in a seed if it
            is at every point.
        rng: the random source.
        draws: the number of resamples.
        by_seed: how often each resample has each seed (``seed_draws``); drawn here without.

    Returns:
        The means; and those of the resamples, not a number for one that drew nothing measured.
        ``None`` with fewer than ``MIN_VALUES`` targets that any seed measured.
    """
    known = ~np.isnan(values).any(axis=2)  # (S, T)
    measured = known.any(axis=0)
    values, known = values[:, measured], known[:, measured]
    seeds, targets, points = values.shape
    if targets < MIN_VALUES:
        return None
    flat = np.where(known[:, :, None], values, 0.0).reshape(seeds, -1)
    by_target = rng.multinomial(targets, [1 / targets] * targets, size=draws).astype(np.float64)
    by_seed = seed_draws(seeds, rng, draws=draws) if by_seed is None else by_seed
    # (D, S) x (S, T P) -> (D, T, P), in blocks of draws: memory stays bounded
    means = []
    block = max(1, 2_000_000 // (targets * points))
    for start in range(0, draws, block):
        rows = slice(start, start + block)
        weighted = (by_seed[rows] @ flat).reshape(-1, targets, points)
        total = np.einsum("dt,dtp->dp", by_target[rows], weighted)
        number = (by_target[rows] * (by_seed[rows] @ known.astype(np.float64))).sum(axis=1)
        number[number == 0] = np.nan
        means.append(total / number[:, None])
    return flat.reshape(-1, points).sum(axis=0) / known.sum(), np.concatenate(means)


def seed_draws(
    seeds: int, rng: np.random.Generator, *, draws: int = 2000
) -> Float64[np.ndarray, "draws seeds"]:
    """Give how often each seed is in each resample of them.

    Example:
        >>> seed_draws(1, np.random.default_rng(1), draws=2).tolist()
        [[1.0], [1.0]]
    """
    return rng.multinomial(seeds, [1 / seeds] * seeds, size=draws).astype(np.float64)
