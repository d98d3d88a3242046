"""Methods of the main chatbot against each other: curves, gains, and paired comparisons."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float64

from saywhat.evaluation.bands import resampled_means, seed_band, seed_draws, threshold_hits
from saywhat.evaluation.statistics import Interval, holm, mcnemar_exact
from saywhat.evaluation.success import reaches
from saywhat.experiment.design import REAL_INPUT
from saywhat.experiment.paper import GAIN, LISTS, RAW
from saywhat.experiment.results.pooling import (
    ALL,
    BEST,
    drawing,
    ends,
    lengths,
    matrix,
    point,
    rounded,
)
from saywhat.experiment.results.reading import MAIN, Evaluation, Reading

RETRIEVAL: Final = "retrieval"
_FIGURE_2: Final = (REAL_INPUT, "pretrained-greedy", "rl-greedy", "rl-beam-50", BEST)
_CURVE: Final = tuple(step / 50 for step in range(51))
_PAIRS: Final = (
    ("rl-greedy", "pretrained-greedy"),
    (BEST, "pretrained-beam-200"),
    (BEST, "rl-greedy"),
    (BEST, "rl-beam-50"),
    (BEST, REAL_INPUT),
    (BEST, RETRIEVAL),
    (BEST, "random-200"),
    ("rl-sampling-200", BEST),
    ("rl-sampling-200", RETRIEVAL),
    ("rl-sampling-200", "random-200"),
    ("rl-sampling-200", "pretrained-sampling-200"),
    ("rl-sampling-200", "pretrained-sharp-200"),
    ("rl-sharp-200", "pretrained-sharp-200"),
)
"""What is compared: the paper's steps, floors, and sharpening as a control."""


def curves(reading: Reading) -> list[dict[str, Any]]:
    """Give success against the threshold (Figure 2), by the reward and the paper's similarity."""
    methods = reading.of("evaluate", MAIN)
    similarities = [name for name in reading.similarities if name in (reading.reward, RAW)]
    made = [
        _curve(methods[method], similarity, listed, length)
        for method in _FIGURE_2
        if method in methods
        for similarity in similarities
        for listed in LISTS
        for length in lengths(methods[method], listed)
    ]
    return [curve for curve in made if curve is not None]


def _curve(
    runs: Sequence[Evaluation], similarity: str, listed: str, length: str
) -> dict[str, Any] | None:
    _, scores = matrix(runs, similarity, listed, length)
    rows = [[None if np.isnan(x) else float(x) for x in row] for row in scores]
    hits = np.stack([threshold_hits(row, _CURVE) for row in rows])
    rng = drawing("curve", runs[0].method, similarity, listed, length)
    band = seed_band(hits, rng, draws=1000)
    if band is None:
        return None
    targets = int((~np.isnan(scores)).any(axis=0).sum())
    each = range(len(_CURVE))
    sides = [point(band, n, seeds=len(runs), targets=targets) or [0.0, 1.0] for n in each]
    return {
        "method": runs[0].method,
        "similarity": similarity,
        "list": listed,
        "length": length,
        "thresholds": list(_CURVE),
        "share": [round(x, 4) for x in band.estimate],
        "low": [low for low, _ in sides],
        "high": [high for _, high in sides],
    }


def gains(reading: Reading) -> list[dict[str, Any]]:
    """Give by how much the best method is above the real inputs on the Real list, in percent."""
    methods = reading.of("evaluate", MAIN)
    if BEST not in methods or REAL_INPUT not in methods:
        return []
    return [
        gain
        for similarity in reading.similarities
        for length in lengths(methods[BEST], "real")
        if (gain := _gain(methods[BEST], methods[REAL_INPUT], similarity, length)) is not None
    ]


def _gain(
    runs: Sequence[Evaluation], real: Sequence[Evaluation], similarity: str, length: str
) -> dict[str, Any] | None:
    both = _aligned(runs, real, similarity, "real", length)
    known = np.empty((0, 2)) if both is None else both[~np.isnan(both).any(axis=2)]
    if both is None or not len(known):
        return None
    above, below = known.mean(axis=0)
    return {
        "similarity": similarity,
        "length": length,
        "real_input": rounded(below),
        "method": BEST,
        "mean": rounded(above),
        "percent": rounded(100 * (above / below - 1)) if below > 0 else None,
        "ci95": _percents(both, drawing("gain", similarity, length)),
        "ceiling_percent": rounded(100 * (1 / below - 1)) if below > 0 else None,
        "paper": GAIN.get(length),
    }


def _percents(
    both: Float64[np.ndarray, "seeds targets 2"], rng: np.random.Generator
) -> list[float] | None:
    """Give the interval of the ratio of means; ``None`` where chance may bring it to nothing."""
    made = resampled_means(both, rng)
    if made is None:
        return None
    means = made[1][~np.isnan(made[1]).any(axis=1)]
    if (means[:, 1] <= 0).any():
        return None
    low, high = np.quantile(100 * (means[:, 0] / means[:, 1] - 1), [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def common(
    one: Sequence[Evaluation], other: Sequence[Evaluation]
) -> tuple[list[Evaluation], list[Evaluation], list[int]]:
    """Give what two methods can be compared by: the seeds that both have.

    A method that no generator guides has one run, which stands for every seed.
    """
    free = [not runs[0].settings["generator"] for runs in (one, other)]
    seeds = sorted({run.seed for run in one} & {run.seed for run in other})
    if all(free) or not any(free):
        kept = [[run for run in runs if run.seed in seeds] for runs in (one, other)]
        return kept[0], kept[1], seeds
    guided = other if free[0] else one
    return list(one), list(other), [run.seed for run in guided]


def _aligned(
    one: Sequence[Evaluation],
    other: Sequence[Evaluation],
    similarity: str,
    listed: str,
    length: str,
) -> Float64[np.ndarray, "seeds targets 2"] | None:
    """Give what two methods scored on the same targets in the same seeds; ``None`` without any."""
    one, other, seeds = common(one, other)
    if not seeds:
        return None
    shared = set(other[0].slots)
    slots = [
        slot
        for slot in one[0].slots
        if slot in shared and slot.list == listed and length in (ALL, slot.length)
    ]
    scores = [[run.scores(similarity) for run in runs] for runs in (one, other)]
    table = [
        [[side[min(n, len(side) - 1)].get(slot, np.nan) for side in scores] for slot in slots]
        for n in range(len(seeds))
    ]
    return np.array(table, dtype=np.float64).reshape(len(seeds), len(slots), 2)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """By how much one method's mean is above another's.

    Attributes:
        targets: how many both measured.
        estimate: the difference; ``None`` without a target.
        interval: ``None`` with too few targets.
    """

    targets: int
    estimate: float | None
    interval: Interval | None


def difference(
    one: Sequence[Evaluation],
    other: Sequence[Evaluation],
    similarity: str,
    listed: str,
    *,
    length: str = ALL,
) -> Difference:
    """Give by how much the first method's mean is above the other's, over the same targets.

    Targets are resampled, each with both of its values, and so are the seeds where there are
    several (``evaluation.bands``).

    Args:
        one: the first method's runs.
        other: the other's.
        similarity: by which.
        listed: on which list.
        length: of which length group.
    """
    both = _aligned(one, other, similarity, listed, length)
    if both is None:
        return Difference(0, None, None)
    less = both[:, :, :1] - both[:, :, 1:]
    known = ~np.isnan(less[:, :, 0])
    estimate = float(less[known].mean()) if known.any() else None
    rng = drawing("difference", one[0].part, other[0].part, similarity, listed, length)
    band = seed_band(less, rng)
    found = None if band is None else Interval(band.estimate[0], band.low[0], band.high[0])
    return Difference(int(known.any(axis=0).sum()), estimate, found)


def easier(runs: Sequence[Evaluation], similarity: str, threshold: float) -> Interval | None:
    """Give success on Generated less that on Real: other targets, resampled by themselves."""
    rng = drawing("easier", runs[0].part, similarity)
    by_seed = seed_draws(len(runs), rng)
    sides = []
    for listed in LISTS:
        _, scores = matrix(runs, similarity, listed, ALL)
        rows = [[None if np.isnan(x) else float(x) for x in row] for row in scores]
        hits = np.stack([threshold_hits(row, [threshold]) for row in rows])
        sides.append(resampled_means(hits, rng, by_seed=by_seed))
    if sides[0] is None or sides[1] is None:
        return None
    (first, draws), (second, others) = sides[0], sides[1]
    less = draws - others
    low, high = np.quantile(less[~np.isnan(less)], [0.025, 0.975])
    return Interval(float(first[0] - second[0]), float(low), float(high))


def methods_of_main(reading: Reading) -> Mapping[str, list[Evaluation]]:
    """Give the main chatbot's methods; of one in two kinds of part, the one with more targets."""
    return {**reading.of("search", MAIN), **reading.of("evaluate", MAIN)}


def comparisons(reading: Reading) -> list[dict[str, Any]]:
    """Give the paired comparisons; Holm's correction is over all that have a test.

    By the paper's raw average, unless it is the reward, there is no test, since unrelated replies
    are above the threshold; and no comparison with ``retrieval``, whose one reply the reward chose.
    """
    methods = methods_of_main(reading)
    made = [
        _comparison(methods[a], methods[b], similarity, listed, reading)
        for a, b in _PAIRS
        if a in methods and b in methods and reading.threshold is not None
        for similarity in reading.similarities
        if similarity in (reading.reward, *reading.judges) or RETRIEVAL not in (a, b)
        for listed in LISTS
    ]
    found = [each for each in made if each is not None]
    tested = [each["mcnemar"] for each in found if each["mcnemar"] is not None]
    for each, p in zip(tested, holm([each["p"] for each in tested]), strict=True):
        each |= {"p": _small(each["p"]), "p_holm": _small(p)}
    return found


def _comparison(
    one: Sequence[Evaluation],
    other: Sequence[Evaluation],
    similarity: str,
    listed: str,
    reading: Reading,
) -> dict[str, Any] | None:
    found = difference(one, other, similarity, listed)
    if not found.targets:
        return None
    tested = similarity in (reading.reward, *reading.judges)
    return {
        "a": one[0].method,
        "b": other[0].method,
        "similarity": similarity,
        "list": listed,
        "targets": found.targets,
        "seeds": common(one, other)[2],
        "difference": rounded(found.estimate),
        "ci95": ends(found.interval),
        "mcnemar": _mcnemar(one, other, similarity, listed, reading) if tested else None,
    }


def _mcnemar(
    one: Sequence[Evaluation],
    other: Sequence[Evaluation],
    similarity: str,
    listed: str,
    reading: Reading,
) -> dict[str, Any]:
    """Test each seed; a difference that all have is at most as likely as the likeliest.

    That is the intersection-union test (Berger, 1982): it asks whether every seed differs, in one
    direction.
    """
    both = _aligned(one, other, similarity, listed, ALL)
    tests = []
    for pairs in [] if both is None else both:
        known = pairs[~np.isnan(pairs).any(axis=1)].tolist()
        sides = [tuple(reaches(x, reading.threshold or 0.0) for x in pair) for pair in known]
        only_a, only_b = sides.count((True, False)), sides.count((False, True))
        tests.append((only_a, only_b, mcnemar_exact(only_a, only_b)))
    one_way = len({a > b for a, b, _ in tests if a != b}) < 2
    return {
        "only_a": [a for a, _, _ in tests],
        "only_b": [b for _, b, _ in tests],
        "p": max(p for _, _, p in tests) if one_way else 1.0,
    }


def _small(p: float) -> float:
    """Keep a p-value's digits: rounding would make a small one nothing."""
    return float(f"{p:.3g}")
