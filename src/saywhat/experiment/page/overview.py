"""The part of the experiment's page that gives every method of the main chatbot in one table."""

from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    find,
    made_table,
    mean_cell,
    measured_cell,
    null_cells,
    number_cell,
    rate_cell,
)
from saywhat.experiment.page.lookup import (
    HELD_OUT_NOTE,
    NULLS,
    Document,
    exact_text,
    kind,
    methods,
    point,
    pooled,
    reward,
    threshold_text,
)
from saywhat.experiment.paper import LENGTHS, LISTS
from saywhat.reports.pages import Section
from saywhat.reports.table import Table


def overview(document: Document) -> Section:
    """Give each method's success, mean, exactness and queries, then its distinct replies."""
    judges = list(document["judges"])
    rows = []
    for method in methods(document):
        for name in LISTS:
            entry = pooled(document, method, reward(document), name, "all")
            rows.append(
                (
                    method,
                    name,
                    measured_cell(entry).partition(" (")[0],
                    rate_cell(None if entry is None else entry["success"].get(point(document))),
                    mean_cell(entry),
                    *_judged(document, method, name, judges),
                    _exact(method, entry),
                    number_cell(entry, "queries_per_target", digits=1),
                    *null_cells(entry),
                )
            )
    titles = ["Method", "List", "n", "Success", "Mean"]
    for judge in judges:
        titles += [f"Success by {judge}", f"Mean by {judge}"]
    table = made_table(
        f"Every method, all lengths, by {kind(document, reward(document))}",
        "|".join([*titles, "Word for word", "Queries a target", "Null", "Generic"]),
        rows,
        labels=2,
        note=f"Success at {threshold_text(document)}. In brackets the 95 % interval, of seeds and "
        "targets where there are several seeds. n: measured, of all, over seeds; a target that "
        "has no word with a vector has no similarity, is not asked for, and counts among all, in "
        "queries a target too. "
        f"{NULLS} For a method of many queries the floor is the row random-200. {HELD_OUT_NOTE}",
    )
    return Section("Every method in one table", (), (table, _distinct(document)))


def _exact(method: str, entry: Entry | None) -> str:
    if entry is None:
        return MISSING
    return exact_text(method, entry["exact"]["share"], rate_cell(entry["exact"]))


def _judged(document: Document, method: str, name: str, judges: list[str]) -> list[str]:
    cells = []
    for judge in judges:
        entry = pooled(document, method, judge, name, "all")
        rate = None if entry is None else entry["success"].get(point(document))
        cells += [rate_cell(rate), mean_cell(entry)]
    return cells


def _distinct(document: Document) -> Table:
    rows = []
    for method in methods(document):
        for name in LISTS:
            entries = [
                pooled(document, method, reward(document), name, length) for length in LENGTHS
            ]
            rows.append((method, name, *(number_cell(e, "distinct_replies") for e in entries)))
    bot = find(document["chatbots"], name=document["chatbot"])
    known = number_cell(bot, "distinct_replies")
    return made_table(
        "Distinct replies that each method got",
        "|".join(["Method", "List", *(f"{length} words" for length in LENGTHS)]),
        rows,
        labels=2,
        note="Of all replies to all queries of a group's targets, mean over seeds. The reference "
        f"corpus has {known if known != MISSING else 'an unknown number of'} distinct replies.",
    )
