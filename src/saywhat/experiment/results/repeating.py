"""What the best queries get when they are asked again: how much of a figure was a lucky draw."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saywhat.evaluation.statistics import bootstrap_mean
from saywhat.evaluation.success import reaches
from saywhat.experiment.paper import LISTS
from saywhat.experiment.results.pooling import drawing, ends, mean, rounded, share
from saywhat.experiment.results.reading import Reading


def repeats(reading: Reading) -> list[dict[str, Any]]:
    """Give each method's similarity when it was found beside that of the same queries since.

    Returns:
        One a chatbot, method and list. ``found`` and ``again`` are means over the ``targets`` that
        were measured both times, ``difference`` is the latter less the former; ``success`` is the
        share of targets that were elicited, ``success_again`` the mean share of repeats that reach
        the threshold; ``kept`` is that of the ``elicited`` targets alone: how often a query that
        worked works again. Each with an interval over targets.
    """
    return [row for place in reading.places for row in _of_chatbot(reading, place)]


def _of_chatbot(reading: Reading, place: str) -> Iterator[dict[str, Any]]:
    outcome = reading.outcome(f"repeat/{place}")
    if outcome is None:
        return
    slots = reading.slots(
        place, "test", reading.records[f"repeat/{place}"]["settings"]["per_group"]
    )
    for method, scores in outcome["methods"].items():
        for listed in LISTS:
            both = [
                (found, again)
                for slot, found, again in zip(
                    slots or (), scores["found"], scores["again"], strict=True
                )
                if slot.list == listed and found is not None and again
            ]
            names = (place, method, listed)
            yield {
                "chatbot": reading.label(place),
                "method": method,
                "list": listed,
                "times": outcome["times"],
                **_measured(both, reading.threshold or 0.0, names),
            }


def _measured(
    both: Sequence[tuple[float, Sequence[float]]], threshold: float, names: Sequence[str]
) -> Mapping[str, Any]:
    found = [first for first, _ in both]
    again = [sum(later) / len(later) for _, later in both]
    less = [later - first for first, later in zip(found, again, strict=True)]
    hits = [float(reaches(first, threshold)) for first in found]
    hits_again = [sum(reaches(s, threshold) for s in later) / len(later) for _, later in both]
    kept = [rate for hit, rate in zip(hits, hits_again, strict=True) if hit]
    rates = {"success": hits, "success_again": hits_again, "kept": kept}
    made: dict[str, Any] = {"targets": len(both), "elicited": len(kept)}
    for name, values in {"found": found, "again": again, "difference": less}.items():
        made[name] = rounded(mean(values))
        made[f"{name}_ci95"] = ends(bootstrap_mean(values, drawing("repeat", name, *names)))
    for name, values in rates.items():
        rate = share(values, "repeat", name, *names) if values else None
        made[name] = rounded(mean(values))
        made[f"{name}_ci95"] = ends(rate)
    return made
