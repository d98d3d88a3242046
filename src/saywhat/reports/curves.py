"""Success curves (the paper's Figure 2), average similarities (Table 1) and costs, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from saywhat.evaluation.success import THRESHOLDS
from saywhat.reports.table import (
    NOT_ESTIMABLE,
    Column,
    Table,
    change,
    count,
    percent,
    score,
    score_with_interval,
)

REAL_INPUT: Final = "real-input"
NULL: Final = "null (unrelated replies)"

Group = tuple[str, str]
Curve = Mapping[str, float | None] | Mapping[int, float | None] | Mapping[float, float | None]
Curves = Mapping[str, Mapping[Group, Curve]]
"""Method -> (list, length) -> threshold or number of queries -> share of measured targets."""
Row = Mapping[str, Any]


def summary_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give a run's groups as rows of a results file, as far as tables need them."""
    null = (summary.get("null") or {}).get("mean")
    return [
        {
            "chatbot": summary["chatbot"],
            "method": summary["method"],
            "null_mean": null,
            **group,
        }
        for group in summary["groups"]
    ]


def curves_of(rows: Iterable[Row]) -> dict[str, dict[Group, Curve]]:
    """Give the success curves that rows hold; of several seeds, their mean."""
    shares: dict[str, dict[Group, dict[str, list[float | None]]]] = {}
    for row in rows:
        groups = shares.setdefault(row["method"], {})
        curve = groups.setdefault((row["list"], row["length"]), {})
        for threshold, share in (row.get("success") or {}).items():
            curve.setdefault(threshold, []).append(share)
    return {
        method: {
            group: {threshold: _mean(values) for threshold, values in curve.items()}
            for group, curve in groups.items()
        }
        for method, groups in shares.items()
    }


def points(curve: Curve) -> list[tuple[float, float]]:
    """Give the measured points of a curve, in order.

    Example:
        >>> points({"0.9": 0.5, "0.5": 1.0, "1.0": None})
        [(0.5, 1.0), (0.9, 0.5)]
    """
    return sorted((float(x), y) for x, y in curve.items() if y is not None)


def panels(curves: Curves) -> tuple[list[str], list[str]]:
    """Give the lists and the lengths of all curves, in their first order."""
    groups = [group for by_group in curves.values() for group in by_group]
    lists = list(dict.fromkeys(name for name, _ in groups))
    lengths = list(dict.fromkeys(length for _, length in groups))
    return lists, lengths


def curves_tables(
    curves: Curves, *, against_queries: bool = False, suffix: str = ""
) -> list[Table]:
    """Give the data of a figure, one table a list; ``suffix`` ends each caption."""
    axis = "number of queries" if against_queries else "similarity threshold"
    lists, lengths = panels(curves)
    return [
        _curves_table(
            curves,
            (name, lengths),
            against_queries=against_queries,
            caption=f"Success against the {axis}, {name} targets{suffix}",
        )
        for name in lists
    ]


def _curves_table(
    curves: Curves, row: tuple[str, Sequence[str]], *, against_queries: bool, caption: str
) -> Table:
    name, lengths = row
    shown = {
        (method, length): dict(points(by_group[name, length]))
        for length in lengths
        for method, by_group in curves.items()
        if (name, length) in by_group
    }
    if against_queries:
        xs = sorted({x for curve in shown.values() for x in curve})
        titles = [f"{x:,.0f}" for x in xs]
    else:  # a curve for plotting has a hundred thresholds; a table shows the usual ones
        xs = list(THRESHOLDS)
        titles = [f"≥{x:.1f}" for x in xs]
    return Table(
        caption=caption,
        columns=(Column("Method", "label"), Column("Length", "label"), *map(Column, titles)),
        rows=tuple(
            (method, length or "all", *(percent(curve.get(x)) for x in xs))
            for (method, length), curve in shown.items()
        ),
    )


def similarity_tables(rows: Sequence[Row]) -> list[Table]:
    """Give the paper's Table 1, one table a chatbot and list: mean similarity for each length.

    Real input comes first, as in the paper, with the null above it; each method's relative change
    against real input stands beside its mean.
    """
    return [
        _similarity_table([row for row in rows if (row["chatbot"], row["list"]) == key], key[1])
        for key in dict.fromkeys((row["chatbot"], row["list"]) for row in rows)
    ]


def _similarity_table(rows: Sequence[Row], name: str) -> Table:
    lengths = list(dict.fromkeys(row["length"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    methods.sort(key=lambda method: method != REAL_INPUT)
    cells = {
        (method, length): [
            row for row in rows if (row["method"], row["length"]) == (method, length)
        ]
        for method in methods
        for length in lengths
    }
    with_reference = REAL_INPUT in methods
    columns = [Column("Method", "label")]
    for length in lengths:
        columns.append(Column(f"{length} words" if length else "all lengths"))
        if with_reference:
            columns.append(Column("change"))
    table_rows = [_null_row(rows, lengths, with_reference=with_reference)] + [
        _method_row(method, lengths, cells, with_reference=with_reference) for method in methods
    ]
    chatbots = ", ".join(dict.fromkeys(row["chatbot"] for row in rows))
    notes = ["In brackets the 95% interval, or the lowest and highest of several seeds."]
    if with_reference:
        notes.append("Change: of the mean, against real input.")
    return Table(
        caption=f"Average similarity, {name} targets, chatbot {chatbots}",
        columns=tuple(columns),
        rows=tuple(row for row in table_rows if row),
        note=" ".join(notes),
    )


def _method_row(
    method: str,
    lengths: Sequence[str],
    cells: Mapping[tuple[str, str], Sequence[Row]],
    *,
    with_reference: bool,
) -> tuple[str, ...]:
    row = [method]
    for length in lengths:
        row.append(_mean_similarity(cells[method, length]))
        if with_reference:
            reference = _mean(cell["mean_similarity"] for cell in cells[REAL_INPUT, length])
            mean = _mean(cell["mean_similarity"] for cell in cells[method, length])
            row.append("" if method == REAL_INPUT else change(mean, reference))
    return tuple(row)


def _null_row(
    rows: Sequence[Row], lengths: Sequence[str], *, with_reference: bool
) -> tuple[str, ...]:
    nulls = [
        _mean(row.get("null_mean") for row in rows if row["length"] == length) for length in lengths
    ]
    if all(null is None for null in nulls):
        return ()
    row = [NULL]
    for null in nulls:
        row.extend([score(null), ""] if with_reference else [score(null)])
    return tuple(row)


def _mean_similarity(seeds: Sequence[Row]) -> str:
    means = [row["mean_similarity"] for row in seeds if row["mean_similarity"] is not None]
    if len(seeds) == 1 or not means:
        return score_with_interval(
            means[0] if means else None, seeds[0].get("ci95") if seeds else None
        )
    return f"{score_with_interval(_mean(means), [min(means), max(means)])} ({len(means)} seeds)"


def effort_table(rows: Sequence[Row]) -> Table:
    """Give what each method cost on each list, and how much of it was measured."""
    keys = dict.fromkeys((row["chatbot"], row["method"], row["list"]) for row in rows)
    return Table(
        caption="Targets and queries",
        columns=(
            Column("Chatbot", "label"),
            Column("Method", "label"),
            Column("List", "label"),
            Column("Seeds"),
            Column("Measured"),
            Column("Exact"),
            Column("Queries a target"),
            Column("Training queries"),
            Column("Distinct replies"),
        ),
        rows=tuple((*key, *_effort([row for row in rows if _key(row) == key])) for key in keys),
        note=(
            "Over all lengths and seeds. Training queries: the most of any seed. Distinct replies: "
            "of each length and seed, the fewest and the most."
        ),
    )


def _key(row: Row) -> tuple[str, str, str]:
    return row["chatbot"], row["method"], row["list"]


def _effort(rows: Sequence[Row]) -> tuple[str, ...]:
    targets, measured = sum(row["targets"] for row in rows), sum(row["measured"] for row in rows)
    exact = sum((row["exact"] or 0.0) * row["measured"] for row in rows)
    queries = [row["queries_total"] for row in rows if row.get("queries_total") is not None]
    training = [row["training_queries"] for row in rows if row.get("training_queries") is not None]
    replies = [row["distinct_replies"] for row in rows if row.get("distinct_replies") is not None]
    return (
        count(len({row.get("seed") for row in rows})),
        f"{measured:,}/{targets:,}",
        percent(exact / measured if measured else None),
        _plain_number(sum(queries) / targets if queries and targets else None),
        count(max(training, default=None)),
        " to ".join(dict.fromkeys([count(min(replies)), count(max(replies))])) if replies else "",
    )


def _plain_number(value: float | None) -> str:
    return NOT_ESTIMABLE if value is None else f"{value:,.1f}".removesuffix(".0")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
