"""What chance gets where a claim is judged, so that no rule takes it for the method."""

from collections.abc import Sequence
from typing import Any

from saywhat.evaluation.statistics import bootstrap_mean
from saywhat.experiment.design import REAL_INPUT
from saywhat.experiment.paper import LENGTHS, RAW
from saywhat.experiment.results.pooling import BEST, drawing, mean, mean_over, weighted
from saywhat.experiment.results.reading import MAIN, Evaluation, Reading
from saywhat.experiment.results.repeating import repeats
from saywhat.experiment.results.rules import FLOOR, UNTESTED, Verdict, differences, judged, shown


def chance(reading: Reading, other: str, **where: Any) -> str:
    """Say how far above a method random queries come, which know nothing.

    Args:
        reading: the finished parts.
        other: the method.
        where: as for ``rules.differences``.
    """
    methods = reading.of("evaluate", where.get("place", MAIN))
    if FLOOR not in methods or other not in methods:
        return ""
    found = [each.interval for each in differences(reading, FLOOR, other, **where).values()]
    if None in found:
        return ""
    return f" For scale, {FLOOR} less {other}: {', '.join(map(shown, found))}."


def below(reading: Reading, one: str, other: str, **where: Any) -> bool:
    """Tell whether a method is told apart from another, and below it, on one of the lists.

    Args:
        reading: the finished parts.
        one: the method that should be better.
        other: the other one.
        where: as for ``rules.differences``.
    """
    found = [each.interval for each in differences(reading, one, other, **where).values()]
    return any(each is not None and each.high < 0 for each in found)


def luck_alone(reading: Reading, place: str) -> str:
    """Say of a chatbot that draws its replies if the best method's finds were luck, or nothing."""
    mine = [row for row in repeats(reading) if row["chatbot"] == reading.label(place)]
    rows = [row for row in mine if row["method"] == BEST and row["again_ci95"] is not None]
    said = []
    for row in rows:
        best = _generic(reading.of("evaluate", place)[BEST], reading.reward, row["list"])
        if best is None or row["again_ci95"][1] >= best:
            return ""
        low, high = row["again_ci95"]
        said.append(
            f"{row['again']:.3f} [{low:.3f}, {high:.3f}] on {row['list'].capitalize()}, where the "
            f"best frequent reply of each length gets {best:.3f}"
        )
    return f"Asked again, {BEST}'s finds get {'; '.join(said)}." if said else ""


def people_are_low(reading: Reading) -> Verdict:
    """Judge whether the real inputs' scores are low, where a score can be low at all."""
    runs, threshold = reading.of("evaluate", MAIN)[REAL_INPUT], reading.threshold or 0.0
    open_, reached, said = [], [], []
    for length in LENGTHS:
        scores = list(mean_over(runs, RAW, listed="real", length=length).values())
        found = bootstrap_mean(scores, drawing("people", length))
        null = weighted(
            [
                row
                for run in runs
                for row in run.rows(RAW)
                if (row["list"], row["length"]) == ("real", length)
            ],
            "null_mean",
        )
        tested = null is None or null < threshold
        if tested:
            open_.append(found)
            reached.append(found is not None and found.high < threshold)
        by_reward = mean(mean_over(runs, reading.reward, listed="real", length=length).values())
        said.append(
            f"{length} words: {_number(mean(scores))}, unrelated replies {_number(null)}"
            + ("" if tested else ", so that it cannot be tested here")
            + ("" if reading.reward == RAW else f"; by the reward {_number(by_reward)}")
        )
    figure = f"{REAL_INPUT}, {'; '.join(said)}."
    return judged(reached, open_, figure) if open_ else (UNTESTED, figure)


def _generic(runs: Sequence[Evaluation], similarity: str, listed: str) -> float | None:
    rows = [row for run in runs for row in run.rows(similarity) if row["list"] == listed]
    return weighted(rows, "generic_best")


def _number(value: float | None) -> str:
    return "nothing measured" if value is None else f"{value:.3f}"
