"""What the best queries get when they are asked again: how much of a figure was a lucky draw."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from saywhat.evaluation.statistics import Interval, bootstrap_clusters, wilson
from saywhat.evaluation.success import reaches
from saywhat.experiment.paper import LISTS
from saywhat.experiment.results.pooling import drawing, ends, mean, rounded
from saywhat.experiment.results.reading import Reading

_RATES: Final = ("success", "success_again", "kept")


def repeats(reading: Reading) -> list[dict[str, Any]]:
    """Give each method's similarity when it was found beside that of the same queries since.

    Returns:
        One a chatbot, method and list. ``found`` and ``again`` are means over the ``targets`` that
        were measured both times, ``difference`` is the latter less the former; ``success`` is the
        share of targets that were elicited, ``success_again`` the mean share of repeats that reach
        the threshold; ``kept`` is that of the ``elicited`` targets alone: how often a query that
        worked works again. Each with an interval over the ``queries`` that differ: targets that
        share one share its draws.
    """
    return [row for place in reading.places for row in _of_chatbot(reading, place)]


def _of_chatbot(reading: Reading, place: str) -> Iterator[dict[str, Any]]:
    outcome = reading.outcome(f"repeat/{place}")
    if outcome is None:
        return
    slots = reading.slots(
        place, "test", reading.records[f"repeat/{place}"]["settings"]["per_group"]
    )
    if slots is None:
        return
    for method, told in outcome["methods"].items():
        columns = (told["found"], told["again"], told["query"])
        for listed in LISTS:
            both = [
                (found, again, query)
                for slot, found, again, query in zip(slots, *columns, strict=True)
                if slot.list == listed and found is not None and again
            ]
            yield {
                "chatbot": reading.label(place),
                "method": method,
                "list": listed,
                "times": outcome["times"],
                **_measured(both, reading.threshold or 0.0, (place, method, listed)),
            }


def _measured(
    both: Sequence[tuple[float, Sequence[float], int]], threshold: float, names: Sequence[str]
) -> Mapping[str, Any]:
    found = [first for first, _, _ in both]
    again = [sum(later) / len(later) for _, later, _ in both]
    hits = [float(reaches(score, threshold)) for score in found]
    hits_again = [sum(reaches(s, threshold) for s in later) / len(later) for _, later, _ in both]
    every = [query for _, _, query in both]
    elicited = [n for n, hit in enumerate(hits) if hit]
    figures = {
        "found": (found, every),
        "again": (again, every),
        "difference": ([b - a for a, b in zip(found, again, strict=True)], every),
        "success": (hits, every),
        "success_again": (hits_again, every),
        "kept": ([hits_again[n] for n in elicited], [every[n] for n in elicited]),
    }
    made: dict[str, Any] = {
        "targets": len(both), "elicited": len(elicited), "queries": len(set(every)),
    }  # fmt: skip
    for name, (values, queries) in figures.items():
        made[name] = rounded(mean(values))
        rng = drawing("repeat", name, *names)
        interval = _rate if name in _RATES else bootstrap_clusters
        made[f"{name}_ci95"] = ends(interval(values, queries, rng))
    return made


def _rate(
    values: Sequence[float], queries: Sequence[int], rng: np.random.Generator
) -> Interval | None:
    """Give the interval of a mean share; resamples of equal ones would have no width."""
    if set(values) in ({0.0}, {1.0}):
        count = len(set(queries))
        return wilson(count * int(values[0]), count)
    return bootstrap_clusters(values, queries, rng)
