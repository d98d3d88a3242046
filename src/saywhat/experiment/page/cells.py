"""How the experiment's page writes its numbers, and what it writes where there are none."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from saywhat.evaluation.statistics import wilson
from saywhat.reports.table import (
    NOT_ESTIMABLE,
    Column,
    Table,
    between,
    count,
    percent,
    percent_between,
    score,
)

MISSING: Final = "not measured yet"
"""What stands where a part of the experiment is not finished."""
Entry = Mapping[str, Any]
_KINDS: Final[Mapping[str, Literal["said", "text"]]] = {"*": "said", "+": "text"}


def find(rows: Sequence[Entry], **wanted: object) -> Entry | None:
    """Give the first row with these values, or ``None``.

    Example:
        >>> find([{"a": 1}, {"a": 2, "b": 3}], a=2)
        {'a': 2, 'b': 3}
    """
    return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), None)


def mean_cell(entry: Entry | None, value: str = "mean", ends: str = "ci95") -> str:
    """Write a similarity and its interval.

    Example:
        >>> mean_cell({"mean": 0.6213, "ci95": [0.6, 0.64]}), mean_cell(None)
        ('0.621 [0.60, 0.64]', 'not measured yet')
    """
    if entry is None:
        return MISSING
    return f"{score(entry.get(value))} {between(entry.get(ends))}".rstrip()


def rate_cell(entry: Entry | None, value: str = "share", ends: str = "ci95") -> str:
    """Write a share and its interval.

    Example:
        >>> rate_cell({"share": 0.687, "ci95": [0.648, 0.723]})
        '68.7% (64.8 to 72.3%)'
        >>> rate_cell({"share": None, "ci95": None}), rate_cell(None)
        ('n/e', 'not measured yet')
    """
    if entry is None:
        return MISSING
    interval = entry.get(ends)
    written = percent(entry.get(value))
    return f"{written} ({percent_between(interval)})" if interval else written


def counted_rate(share: float | None, targets: int) -> str:
    """Write the share of a number of targets, with Wilson's interval.

    Example:
        >>> counted_rate(0.5, 10), counted_rate(None, 0)
        ('50.0% (23.7 to 76.3%)', 'n/e')
    """
    if share is None or not targets:
        return NOT_ESTIMABLE
    found = wilson(round(share * targets), targets)
    ends = None if found is None else [found.low, found.high]
    return rate_cell({"share": share, "ci95": ends})


def short_rate(entry: Entry | None) -> str:
    """Write a share and its interval in whole percent.

    Example:
        >>> short_rate({"share": 0.687, "ci95": [0.648, 0.723]})
        '69% [65, 72]'
    """
    if entry is None:
        return MISSING
    ends = entry.get("ci95")
    interval = f" [{100 * ends[0]:.0f}, {100 * ends[1]:.0f}]" if ends else ""
    return f"{percent(entry.get('share'), digits=0)}{interval}"


def difference_cell(entry: Entry | None) -> str:
    """Write a difference of similarities and its interval, with signs.

    Example:
        >>> difference_cell({"difference": -0.023, "ci95": [-0.034, 0.014]})
        '-0.023 [-0.034, +0.014]'
    """
    if entry is None:
        return MISSING
    value, ends = entry.get("difference"), entry.get("ci95")
    if value is None:
        return NOT_ESTIMABLE
    return f"{value:+.3f}" + (f" [{ends[0]:+.3f}, {ends[1]:+.3f}]" if ends else "")


def number_cell(entry: Entry | None, key: str, *, digits: int | None = None) -> str:
    """Write a plain number: a count, or one with digits.

    Example:
        >>> number_cell({"n": 1200}, "n"), number_cell({"n": None}, "n")
        ('1,200', 'not measured yet')
        >>> number_cell({"n": 50.25}, "n", digits=1)
        '50.2'
    """
    value = None if entry is None else entry.get(key)
    if value is None:
        return MISSING
    return count(round(value)) if digits is None else f"{value:,.{digits}f}"


def measured_cell(entry: Entry | None) -> str:
    """Write how many targets were measured, of all seeds, and of how many.

    Example:
        >>> measured_cell({"seeds": [1, 2, 3], "targets": 200, "measured": 598})
        '598/600 (3 seeds)'
    """
    if entry is None:
        return MISSING
    seeds = len(entry["seeds"])
    return f"{entry['measured']:,}/{entry['targets'] * seeds:,}" + (
        f" ({seeds} seeds)" if seeds > 1 else " (1 seed)"
    )


def null_cells(entry: Entry | None) -> tuple[str, str]:
    """Write what unrelated replies score, and the best of the chatbot's most frequent ones."""
    if entry is None:
        return MISSING, MISSING
    return score(entry.get("null_mean")), score(entry.get("generic_best"))


def made_table(
    caption: str, titles: str, rows: Sequence[Sequence[str]], *, labels: int = 1, note: str = ""
) -> Table:
    """Make a table; one without rows says that it was not measured yet.

    Args:
        caption: what it shows.
        titles: of the columns, with ``|`` between them; ``*`` before one that holds people's or
            chatbots' words, ``+`` before one that holds sentences of ours.
        rows: one cell a column.
        labels: how many of the first columns are no numbers.
        note: what a reader needs to know to read it.
    """
    columns = tuple(
        Column(title[1:], _KINDS[title[0]])
        if title[0] in _KINDS
        else Column(title, "label" if place < labels else "number")
        for place, title in enumerate(titles.split("|"))
    )
    shown = [tuple(row) for row in rows] or [(MISSING,) * len(columns)]
    return Table(caption, columns, tuple(shown), note)
