"""Methods of the main chatbot against each other: curves, gains, and paired comparisons."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import numpy as np

from saywhat.evaluation.bands import seed_band, threshold_hits
from saywhat.evaluation.statistics import (
    MIN_VALUES,
    Interval,
    holm,
    mcnemar_exact,
    paired_bootstrap,
)
from saywhat.evaluation.success import reaches
from saywhat.experiment.paper import GAIN, LISTS, RAW
from saywhat.experiment.results.pooling import (
    ALL,
    BEST,
    drawing,
    ends,
    hits_over,
    lengths,
    matrix,
    mean,
    mean_over,
    paired_values,
    point,
    rounded,
)
from saywhat.experiment.results.reading import MAIN, Evaluation, Reading

REAL_INPUT: Final = "real-input"
_FIGURE_2: Final = (REAL_INPUT, "pretrained-greedy", "rl-greedy", "rl-beam-50", BEST)
_CURVE: Final = tuple(step / 50 for step in range(51))
_PAIRS: Final = (
    ("rl-greedy", "pretrained-greedy"),
    (BEST, "pretrained-beam-200"),
    (BEST, "rl-greedy"),
    (BEST, "rl-beam-50"),
    (BEST, REAL_INPUT),
    (BEST, "retrieval"),
    (BEST, "random-200"),
    ("rl-sampling-200", BEST),
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
    best = mean_over(runs, similarity, listed="real", length=length)
    floor = mean_over(real, similarity, listed="real", length=length)
    pairs = np.array(list(paired_values(best, floor)), dtype=np.float64).reshape(-1, 2)
    if not len(pairs):
        return None
    above, below = pairs.mean(axis=0)
    interval = _percents(pairs, drawing("gain", similarity, length))
    return {
        "similarity": similarity,
        "length": length,
        "real_input": rounded(below),
        "method": BEST,
        "mean": rounded(above),
        "percent": rounded(100 * (above / below - 1)) if below > 0 else None,
        "ci95": interval,
        "ceiling_percent": rounded(100 * (1 / below - 1)) if below > 0 else None,
        "paper": GAIN.get(length),
    }


def _percents(pairs: Any, rng: np.random.Generator, *, draws: int = 2000) -> list[float] | None:
    """Give the interval of the ratio of means; ``None`` where chance may bring it to nothing."""
    n = len(pairs)
    if n < MIN_VALUES:
        return None
    weights = rng.multinomial(n, [1 / n] * n, size=draws) / n
    means = weights @ pairs  # (D, T) x (T, 2) -> (D, 2)
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

    Args:
        one: the first method's runs.
        other: the other's.
        similarity: by which.
        listed: on which list.
        length: of which length group.
    """
    one, other, _ = common(one, other)
    if not one or not other:
        return Difference(0, None, None)
    values = [mean_over(runs, similarity, listed=listed, length=length) for runs in (one, other)]
    pairs = list(paired_values(values[0], values[1]))
    rng = drawing("difference", one[0].part, other[0].part, similarity, listed, length)
    found = paired_bootstrap([x for x, _ in pairs], [y for _, y in pairs], rng=rng)
    return Difference(len(pairs), mean(x - y for x, y in pairs), found)


def easier(runs: Sequence[Evaluation], similarity: str, threshold: float) -> Interval | None:
    """Give success on Generated less that on Real: other targets, resampled by themselves."""
    sides = [
        list(hits_over(runs, similarity, threshold, listed=listed).values()) for listed in LISTS
    ]
    if any(len(side) < MIN_VALUES for side in sides):
        return None
    draws = []
    for listed, side in zip(LISTS, sides, strict=True):
        rng = drawing("easier", runs[0].part, similarity, listed)
        n = len(side)
        draws.append(rng.multinomial(n, [1 / n] * n, size=2000) @ np.array(side) / n)
    low, high = np.quantile(draws[0] - draws[1], [0.025, 0.975])
    estimate = float(np.mean(sides[0]) - np.mean(sides[1]))
    return Interval(estimate, float(low), float(high))


def methods_of_main(reading: Reading) -> Mapping[str, list[Evaluation]]:
    """Give the main chatbot's methods; of one in two kinds of part, the one with more targets."""
    return {**reading.of("search", MAIN), **reading.of("evaluate", MAIN)}


def comparisons(reading: Reading) -> list[dict[str, Any]]:
    """Give the paired comparisons; Holm's correction is over all of them."""
    methods, threshold = methods_of_main(reading), reading.threshold
    made = [
        _comparison(methods[a], methods[b], similarity, listed, threshold)
        for a, b in _PAIRS
        if a in methods and b in methods and threshold is not None
        for similarity in reading.similarities
        for listed in LISTS
    ]
    found = [each for each in made if each is not None]
    for each, p in zip(found, holm([each["mcnemar"]["p"] for each in found]), strict=True):
        each["mcnemar"] |= {"p": _small(each["mcnemar"]["p"]), "p_holm": _small(p)}
    return found


def _comparison(
    one: Sequence[Evaluation],
    other: Sequence[Evaluation],
    similarity: str,
    listed: str,
    threshold: float,
) -> dict[str, Any] | None:
    _, _, seeds = common(one, other)
    found = difference(one, other, similarity, listed)
    if not found.targets:
        return None
    first = [
        next((run for run in runs if run.seed == seeds[0]), runs[0]).scores(similarity)
        for runs in (one, other)
    ]
    sides = [
        (reaches(x, threshold), reaches(y, threshold))
        for slot, x in first[0].items()
        if slot.list == listed and (y := first[1].get(slot)) is not None
    ]
    only_a, only_b = sides.count((True, False)), sides.count((False, True))
    return {
        "a": one[0].method,
        "b": other[0].method,
        "similarity": similarity,
        "list": listed,
        "targets": found.targets,
        "seeds": seeds,
        "difference": rounded(found.estimate),
        "ci95": ends(found.interval),
        "mcnemar": {
            "seed": seeds[0],
            "only_a": only_a,
            "only_b": only_b,
            "p": mcnemar_exact(only_a, only_b),
        },
    }


def _small(p: float) -> float:
    """Keep a p-value's digits: rounding would make a small one nothing."""
    return float(f"{p:.3g}")
