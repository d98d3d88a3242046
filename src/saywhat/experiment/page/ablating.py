"""The part of the experiment's page on ablations and negative controls."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from saywhat.experiment import design
from saywhat.experiment.design import ABLATIONS
from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    counted_rate,
    difference_cell,
    made_table,
    mean_cell,
    null_cells,
    number_cell,
)
from saywhat.experiment.page.lookup import Document, reward, threshold_text
from saywhat.experiment.paper import LISTS
from saywhat.reports.pages import Section
from saywhat.reports.table import NOT_ESTIMABLE, score

CONTROLS: Final = ("constant-reward", "shuffled-reward")
"""Ablations whose reward says nothing of the target: they ought to lose."""
SHARPENED: Final = (
    ("rl-sampling-200", "pretrained-sharp-200"),
    ("rl-sharp-200", "pretrained-sharp-200"),
    ("rl-sampling-200", "pretrained-sampling-200"),
)
"""The third control: the pre-trained generator, at a lower temperature too, ought to lose."""


def ablations(document: Document) -> Section:
    """Give the ablations, and whether the negative controls lost."""
    found = {entry["name"]: entry for entry in document["ablations"]}
    absent = [name for name in ABLATIONS if name not in found]
    steps = sorted({entry["steps"] for entry in found.values() if entry["steps"]})
    scale = " or ".join(f"{number:,}" for number in steps) or MISSING
    lines = [
        (
            f"One seed, validation targets, and a shorter training than the main one: steps of "
            f"REINFORCE {scale}. Differences are to the baseline at the same scale, with the same "
            "search (no-rl: of the pre-trained generator against the trained one)."
        ),
        (
            "Read with care: an interval here is over targets. How much another seed of the same "
            f"training would differ it does not know{_seeds_differ(document)}. And the targets are "
            "those of the validation list, of which the first chose the weights that were kept."
        ),
        *_kept_untrained(found),
        *(f"Negative control {name}: {_lost(found.get(name))}." for name in CONTROLS),
        f"Negative control sharpening, on the test lists: {_sharpened(document)}.",
    ]
    if absent:
        lines.append(f"{MISSING.capitalize()}: {', '.join(absent)}.")
    training: list[tuple[str, ...]] = [
        (_marked(e["name"]), e["why"], number_cell(e, "steps"), _kept(e),
         _validation(document, e), number_cell(e, "asked"), number_cell(e, "queries"),
         number_cell(e, "seconds", digits=1))
        for e in found.values()
    ]  # fmt: skip
    training += [(_marked(name), ABLATIONS[name].why, *[MISSING] * 6) for name in absent]
    results = [row for entry in found.values() for row in _ablation_rows(document, entry)]
    return Section(
        "Ablations",
        tuple(lines),
        (
            made_table(
                "The ablations",
                "Ablation|+What changes|Steps|Step kept|Validation similarity|Asked|Sent|Seconds",
                training,
                labels=2,
                note="n/e: nothing was trained. Step kept: the best on validation, 0 before the "
                "first. Asked: repetitions included, which the cache answers; sent: the rest.",
            ),
            made_table(
                "Their results",
                "Ablation|Method|List|n|Success|Mean similarity|Less the baseline|By the judge|"
                "Less the baseline|Null|Generic",
                results,
                labels=3,
                note=f"Success at {threshold_text(document)}. In brackets: the 95 % interval, of "
                "differences paired by target.",
            ),
        ),
    )


def _validation(document: Document, entry: Entry) -> str:
    """Give the similarity that chose the weights, and by which where it is not the others'."""
    other = entry["validation_similarity"] is not None and entry["by"] != reward(document)
    return score(entry["validation_similarity"]) + (f" by {entry['by']}" if other else "")


def _kept(entry: Entry) -> str:
    if not entry["steps"]:
        return NOT_ESTIMABLE
    return "not known" if entry["kept"] is None else f"{entry['kept']:,}"


def _kept_untrained(found: Mapping[str, Entry]) -> Iterator[str]:
    """Say which trainings never beat the generator that they began with."""
    names = [name for name, entry in found.items() if entry["steps"] and entry["kept"] == 0]
    if names:
        yield (
            f"No state of {', '.join(names)} was better on validation than the first: these rows "
            "are of the pre-trained generator, as no-rl's are."
        )


def _seeds_differ(document: Document) -> str:
    """Say how much the seeds of the main training differ, for scale."""
    means: dict[str, list[float]] = {}
    for row in document["rows"]:
        mine = fnmatchcase(row["part"], "evaluate/main/*/rl-greedy") and row["measured"]
        if mine and (row["similarity"], row["list"]) == (reward(document), LISTS[0]):
            means.setdefault(row["part"], []).append(row["mean_similarity"])
    each = [sum(found) / len(found) for found in means.values()]
    if len(each) < 2:
        return ""
    return (
        f"; the main generator's seeds differ by up to {max(each) - min(each):.3f} in rl-greedy's "
        f"mean on {LISTS[0].capitalize()}"
    )


def _sharpened(document: Document) -> str:
    """Say how sampling from the pre-trained generator fares, as it is and sharpened."""
    said, every = [], []
    for one, other in SHARPENED:
        rows = [
            entry
            for entry in document["comparisons"]
            if (entry["a"], entry["b"]) == (one, other) and entry["ci95"] is not None
            if entry["similarity"] == reward(document)
        ]
        every += rows
        cells = "; ".join(
            f"{difference_cell(row)} on {row['list'].capitalize()} (n {row['targets']})"
            for row in rows
        )
        said += [f"{one} less {other} {cells}"] if rows else []
    if not said:
        return MISSING
    below, above = (
        sum(row["ci95"][0] > 0 for row in every), sum(row["ci95"][1] < 0 for row in every),
    )  # fmt: skip
    temperature = next(m.temperature for m in design.SHARPENED if m.temperature != 1.0)
    return (
        f"{_verdict(below, above, len(every))} (sharp: drawn at temperature {temperature:g}); "
        + ". ".join(said)
    )


def _verdict(below: int, above: int, total: int) -> str:
    """Say whether a control lost, from how often it was told apart, below or above."""
    if below == total:
        return "it lost"
    return "it lost in part" if below and not above else "it did not lose"


def _marked(name: str) -> str:
    return f"{name} (negative control)" if name in CONTROLS else name


def _ablation_rows(document: Document, entry: Entry) -> Iterator[tuple[str, ...]]:
    base = entry["name"] == "baseline"
    for method, found in entry["methods"].items():
        for name in LISTS:
            cell = found["list"].get(name)
            judge = None if cell is None else cell["judge"]
            judged = [
                mean_cell(judge, ends="mean_ci95"),
                "baseline" if base else difference_cell(judge),
            ]
            if cell is not None and judge is None:
                judged = [_no_judge(document)] * 2
            yield (
                _marked(entry["name"]),
                method,
                name,
                number_cell(cell, "targets"),
                MISSING if cell is None else counted_rate(cell["success"], cell["targets"]),
                mean_cell(cell, ends="mean_ci95"),
                "baseline" if base else difference_cell(cell),
                *judged,
                *null_cells(cell),
            )


def _no_judge(document: Document) -> str:
    return "the judge was the reward" if document["judges"] else "no judge"


def _lost(entry: Entry | None) -> str:
    """Say how a negative control fared, comparison by comparison."""
    if entry is None:
        return MISSING
    below = above = between = 0
    for found in entry["methods"].values():
        for cell in found["list"].values():
            if cell["ci95"] is None:
                continue
            low, high = cell["ci95"]
            below, above = below + (high < 0), above + (low > 0)
            between += low <= 0 <= high
    total = below + above + between
    if not total:
        return f"{MISSING} (no interval of its difference to the baseline)"
    return (
        f"{_verdict(below, above, total)}; of {total} comparisons with the baseline (method and "
        f"list) it was below in {below}, above in {above}, and not told apart in {between}"
    )
