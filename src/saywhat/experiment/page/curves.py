"""The part of the experiment's page on the paper's Figure 2: curves, and the same as tables."""

from collections.abc import Iterator, Sequence
from typing import Final

from saywhat.evaluation.success import THRESHOLDS, threshold_key
from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    find,
    made_table,
    measured_cell,
    null_cells,
    short_rate,
)
from saywhat.experiment.page.lookup import NULLS, Document, kind, methods, pooled, similarities
from saywhat.experiment.paper import FIGURE_2, LENGTHS, LISTS, TABLE_1
from saywhat.reports.pages import Figure, Section
from saywhat.reports.table import Table

_POINTS: Final = tuple(threshold_key(threshold) for threshold in THRESHOLDS)


def figure_2(document: Document) -> Section:
    """Give success against the threshold."""
    shown = similarities(document, with_judges=False)
    figures, tables = [], []
    for similarity in shown:
        if (figure := _figure(document, similarity)) is not None:
            figures.append(figure)
        tables += [_success_table(document, similarity, name) for name in LISTS]
    said = [(method, where, f"{at:g}", text) for method, where, at, text in FIGURE_2]
    tables.append(
        made_table(
            "What the paper's text says of its own Figure 2",
            "Method|Targets|Threshold|Success",
            said,
            labels=4,
            note="The paper prints its curves without numbers; its similarity is the raw embedding "
            "average.",
        )
    )
    return Section(
        "Figure 2: success against the threshold",
        (
            (
                "A target is elicited at a threshold if the best reply that a method got is at "
                "least so similar to it. Shaded, and in brackets: the 95 % interval, of seeds "
                "and targets where there are several seeds."
            ),
            *_no_figure(figures, shown),
        ),
        tuple(tables),
        tuple(figures),
    )


def _no_figure(figures: Sequence[Figure], shown: Sequence[str]) -> list[str]:
    if figures and len(figures) == len(shown):
        return []
    drawn = f"{len(figures)} of {len(shown)}"
    return [f"Figures drawn: {drawn}. The others are {MISSING}, or on too few targets."]


def _figure(document: Document, similarity: str) -> Figure | None:
    curves: dict[str, dict[tuple[str, str], dict[float, float]]] = {}
    bands: dict[str, dict[tuple[str, str], list[tuple[float, float, float]]]] = {}
    found = [c for c in document["curves"] if c["similarity"] == similarity]
    drawn = {(curve["list"], curve["length"]) for curve in found}
    # the first method's groups give the panels' order, and it may lack some
    panels = [(name, length) for name in LISTS for length in LENGTHS if (name, length) in drawn]
    for curve in found:
        curves.setdefault(curve["method"], {group: {} for group in panels})
    for name in LISTS:
        for length in LENGTHS:
            for curve in (c for c in found if (c["list"], c["length"]) == (name, length)):
                xs, group = curve["thresholds"], (name, length)
                shares = dict(zip(xs, curve["share"], strict=True))
                curves[curve["method"]][group] = shares
                edges = list(zip(xs, curve["low"], curve["high"], strict=True))
                bands.setdefault(curve["method"], {})[group] = edges
    ordered = {method: curves[method] for method in TABLE_1 if method in curves}
    if not ordered or not panels:  # of two targets a group only all lengths have a curve
        return None
    label = f"Share of targets elicited against the threshold, by {kind(document, similarity)}"
    return Figure(label, ordered, bands)


def _success_table(document: Document, similarity: str, name: str) -> Table:
    rows = []
    for method in methods(document):
        for length in LENGTHS:
            entry = pooled(document, method, similarity, name, length)
            cells = [short_rate(each) for each in _shares(document, entry, method, similarity)]
            if entry is None:
                cells = [MISSING] * len(_POINTS)
            rows.append(
                (
                    method,
                    length,
                    measured_cell(entry).partition(" (")[0],
                    *cells,
                    *null_cells(entry),
                )
            )
    return made_table(
        f"Success by threshold, {name} targets, by {kind(document, similarity)}",
        "Method|Words|n|" + "|".join(f"≥{point}" for point in _POINTS) + "|Null|Generic",
        rows,
        labels=2,
        note=f"Whole percent with the 95 % interval. n: measured, of all, over seeds. {NULLS}",
    )


def _shares(
    document: Document, entry: Entry | None, method: str, similarity: str
) -> Iterator[Entry | None]:
    """Give success at the thresholds: of the curve that was drawn, or else of the pooled entry."""
    if entry is None:
        return
    wanted = {"method": method, "similarity": similarity}
    curve = find(document["curves"], **wanted, list=entry["list"], length=entry["length"])
    for point in _POINTS:
        if curve is not None and float(point) in curve["thresholds"]:
            at = curve["thresholds"].index(float(point))
            yield {"share": curve["share"][at], "ci95": [curve["low"][at], curve["high"][at]]}
        else:
            yield entry["success"].get(point)
