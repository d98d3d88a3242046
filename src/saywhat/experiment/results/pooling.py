"""Seeds pooled: values, means and success of each method.

Where targets are compared, a method's value for a target is the mean over its seeds. Seeds share
their targets, so intervals of pooled means resample both (``evaluation.bands``). A share of one
seed has a Wilson interval, and so has a share that no resample moves.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float64

from saywhat.evaluation.bands import Band, seed_band, threshold_hits
from saywhat.evaluation.statistics import Interval, bootstrap_mean, wilson
from saywhat.evaluation.success import THRESHOLDS, reaches, threshold_key
from saywhat.experiment.paper import LISTS
from saywhat.experiment.results.reading import Evaluation, Reading, Slot
from saywhat.rng import derive_seed

ALL: Final = "all"
"""Every length together."""
BEST: Final = "rl-beam-200"
"""The paper's best method."""
_DRAWS: Final = 1000
_SEED: Final = 1


def drawing(*names: object) -> np.random.Generator:
    """Give the random source of one figure: the same whatever else is drawn."""
    return np.random.default_rng(derive_seed(_SEED, "document", *names))


def rounded(value: float | int | None) -> float | None:
    """Round to the 4 digits that a document holds."""
    return None if value is None else round(float(value), 4)


def ends(interval: Interval | None) -> list[float] | None:
    """Give an interval's ends as a document holds them."""
    return None if interval is None else [round(interval.low, 4), round(interval.high, 4)]


def mean(values: Iterable[float | int]) -> float | None:
    """Give the mean; ``None`` of nothing."""
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def mean_over(
    runs: Sequence[Evaluation], similarity: str, *, listed: str = "", length: str = ALL
) -> dict[Slot, float]:
    """Give each target's mean score over the seeds that measured it.

    Args:
        runs: of one method.
        similarity: by which.
        listed: only of this list; of every list without.
        length: only of this length group.
    """
    found: dict[Slot, list[float]] = {}
    for run in runs:
        for slot, score in run.scores(similarity).items():
            if listed in ("", slot.list) and length in (ALL, slot.length):
                found.setdefault(slot, []).append(score)
    return {slot: math.fsum(scores) / len(scores) for slot, scores in found.items()}


def hits_over(
    runs: Sequence[Evaluation],
    similarity: str,
    threshold: float,
    *,
    listed: str = "",
    length: str = ALL,
) -> dict[Slot, float]:
    """Give each target's share of seeds that reached a threshold."""
    found: dict[Slot, list[float]] = {}
    for run in runs:
        for slot, score in run.scores(similarity).items():
            if listed in ("", slot.list) and length in (ALL, slot.length):
                found.setdefault(slot, []).append(float(reaches(score, threshold)))
    return {slot: math.fsum(hits) / len(hits) for slot, hits in found.items()}


def share(hits: Sequence[float], *names: object) -> Interval | None:
    """Give a share of targets and its interval.

    Args:
        hits: one a target: 0 or 1, or the share of its seeds.
        names: of the figure, for its random source.
    """
    if all(hit in (0.0, 1.0) for hit in hits):
        return wilson(int(sum(hits)), len(hits))
    return bootstrap_mean(hits, drawing("share", *names))


def lengths(runs: Sequence[Evaluation], listed: str) -> list[str]:
    """Give a list's length groups, in order, and ``ALL``."""
    slots = [slot for run in runs for slot in run.slots if slot.list == listed]
    return [*dict.fromkeys(slot.length for slot in slots), ALL] if slots else []


def matrix(
    runs: Sequence[Evaluation], similarity: str, listed: str, length: str
) -> tuple[list[Slot], Float64[np.ndarray, "seeds targets"]]:
    """Give what every seed scored on every target of a group; not a number where unmeasured."""
    slots = [
        slot
        for slot in dict.fromkeys(s for run in runs for s in run.slots)
        if slot.list == listed and length in (ALL, slot.length)
    ]
    scores = [run.scores(similarity) for run in runs]
    table = [[each.get(slot, math.nan) for slot in slots] for each in scores]
    return slots, np.array(table, dtype=np.float64).reshape(len(runs), len(slots))


def point(band: Band | None, column: int, *, seeds: int, targets: int) -> list[float] | None:
    """Give a share's interval: Wilson's for one seed or a band without width, or else the band's.

    Args:
        band: of shares.
        column: which of its points.
        seeds: how many were pooled.
        targets: how many were measured.
    """
    if band is None:
        return None
    low, high, estimate = band.low[column], band.high[column], band.estimate[column]
    if seeds == 1 or low == high:
        return ends(wilson(min(targets, round(estimate * targets)), targets))
    return [round(low, 4), round(high, 4)]


def pooled(reading: Reading) -> list[dict[str, Any]]:
    """Give the means and success of every method of every chatbot, seeds pooled."""
    return [
        _pooled(runs, reading.label(place), similarity, listed, length, reading)
        for place in reading.places
        for runs in reading.of("evaluate", place).values()
        for similarity in reading.similarities
        if any(run.rows(similarity) for run in runs)
        for listed in LISTS
        for length in lengths(runs, listed)
    ]


def _pooled(
    runs: Sequence[Evaluation],
    label: str,
    similarity: str,
    listed: str,
    length: str,
    reading: Reading,
) -> dict[str, Any]:
    slots, scores = matrix(runs, similarity, listed, length)
    measured = int((~np.isnan(scores)).sum())
    known = int((~np.isnan(scores)).any(axis=0).sum())
    names = ("pooled", label, runs[0].method, similarity, listed, length)
    # the one that success is judged by need not be one of the table's
    thresholds = sorted({*THRESHOLDS, reading.threshold or 0.0})
    table = _table(runs, scores, slots, thresholds)
    estimates, intervals = _columns(table, seeds=len(runs), names=names)
    success = {
        threshold_key(threshold): {"share": estimates[n], "ci95": intervals[n]}
        for n, threshold in enumerate(thresholds, start=1)
    }
    rows = [
        row
        for run in runs
        for row in run.rows(similarity)
        if row["list"] == listed and length in (ALL, row["length"])
    ]
    exact = {"share": estimates[-1], "ci95": intervals[-1]}
    if similarity not in (reading.reward, *reading.judges):
        exact = _exact_of(rows, known)
    return {
        "chatbot": label,
        "method": runs[0].method,
        "similarity": similarity,
        "list": listed,
        "length": length,
        "seeds": [run.seed for run in runs],
        "targets": len(slots),
        "measured": measured,
        "mean": estimates[0],
        "ci95": intervals[0],
        "success": success,
        "exact": exact,
        **_of_rows(rows, whole=length == ALL),
    }


def _table(
    runs: Sequence[Evaluation],
    scores: Float64[np.ndarray, "seeds targets"],
    slots: Sequence[Slot],
    thresholds: Sequence[float],
) -> Float64[np.ndarray, "seeds targets points"]:
    """Give score, success at each threshold and exactness of every target in every seed."""
    marks = [run.exact() for run in runs]
    exact = np.array([[mark[slot] for slot in slots] for mark in marks], dtype=np.float64)
    exact = np.where(np.isnan(scores), np.nan, exact.reshape(scores.shape))
    known = [[None if math.isnan(x) else float(x) for x in row] for row in scores]
    hits = np.stack([threshold_hits(row, thresholds) for row in known])
    return np.concatenate([scores[:, :, None], hits, exact[:, :, None]], axis=2)


def _columns(
    table: Float64[np.ndarray, "seeds targets points"], *, seeds: int, names: Sequence[object]
) -> tuple[list[float | None], list[list[float] | None]]:
    """Give the means of the columns, of which the first is no share, and their intervals."""
    measured = ~np.isnan(table).any(axis=2)
    targets, points = int(measured.any(axis=0).sum()), table.shape[2]
    if not targets:
        return [None] * points, [None] * points
    estimates = [rounded(x) for x in table[measured].mean(axis=0)]
    band = seed_band(table, drawing(*names), draws=_DRAWS)
    if band is None:  # too few to resample: a share still has Wilson's interval
        return estimates, [
            None if n == 0 or seeds > 1 else ends(wilson(round(float(x or 0) * targets), targets))
            for n, x in enumerate(estimates)
        ]
    first = [round(band.low[0], 4), round(band.high[0], 4)]
    return estimates, [
        first,
        *(point(band, n, seeds=seeds, targets=targets) for n in range(1, points)),
    ]


def _exact_of(rows: Sequence[Mapping[str, Any]], targets: int) -> dict[str, Any]:
    """Give the exact share from the rows: this similarity chose replies of its own."""
    measured = sum(row["measured"] for row in rows)
    if not measured:
        return {"share": None, "ci95": None}
    found = math.fsum(row["exact"] * row["measured"] for row in rows if row["measured"]) / measured
    return {"share": rounded(found), "ci95": ends(wilson(round(found * targets), targets))}


def _of_rows(rows: Sequence[Mapping[str, Any]], *, whole: bool) -> dict[str, Any]:
    """Pool what only rows tell; how many replies are distinct over lengths, they do not."""
    targets = sum(row["targets"] for row in rows)
    replies = [row["distinct_replies"] for row in rows if row["distinct_replies"] is not None]
    return {
        "null_mean": weighted(rows, "null_mean"),
        "generic_best": weighted(rows, "generic_best"),
        "distinct_replies": None if whole else rounded(mean(replies)),
        "queries_per_target": rounded(sum(row["queries_total"] for row in rows) / targets)
        if targets
        else None,
    }


def weighted(rows: Iterable[Mapping[str, Any]], key: str) -> float | None:
    """Give the mean of a value of rows over their targets."""
    known = [(row[key], row["targets"]) for row in rows if row.get(key) is not None]
    total = sum(targets for _, targets in known)
    return rounded(math.fsum(x * n for x, n in known) / total) if total else None
