"""A table of plain text, which each writer escapes in its own way, and how numbers are written."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, final

NOT_ESTIMABLE = "n/e"
NOT_ESTIMABLE_NOTE = "n/e: not estimable, since no target was measured."


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        title: its heading.
        kind: ``label`` and ``number`` are ours, and so is ``text``, which runs over lines; ``said``
            holds text of chatbots and targets, and is cut where it is very long.
    """

    title: str
    kind: Literal["label", "number", "text", "said"] = "number"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of a row is its heading.

    Attributes:
        caption: what it shows.
        columns: one for each cell of a row.
        rows: raw text, not escaped.
        note: what a reader needs to know to read it.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"Expected {len(self.columns)} cells, got {len(row)}: {row!r}.")


def percent(share: float | None, *, digits: int = 1) -> str:
    """Write a share; what is not nothing, or not all, never reads so.

    Example:
        >>> percent(0.687), percent(1.0, digits=0), percent(None)
        ('68.7%', '100%', 'n/e')
        >>> percent(0.004, digits=0), percent(0.996, digits=0), percent(0.0, digits=0)
        ('<1%', '>99%', '0%')
    """
    if share is None:
        return NOT_ESTIMABLE
    step = 10.0**-digits
    if share > 0 and round(100 * share, digits) <= 0:
        return f"<{step:.{digits}f}%"
    if share < 1 and round(100 * share, digits) >= 100:
        return f">{100 - step:.{digits}f}%"
    return f"{share:.{digits}%}"


def percent_between(ends: Sequence[float] | None) -> str:
    """Write the interval of a share.

    Example:
        >>> percent_between([0.648, 0.723]), percent_between(None)
        ('64.8 to 72.3%', '')
    """
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}%" if ends else ""


def score(value: float | None, *, digits: int = 3) -> str:
    """Write a similarity.

    Example:
        >>> score(0.6213), score(-0.0001), score(None)
        ('0.621', '0.000', 'n/e')
    """
    if value is None:
        return NOT_ESTIMABLE
    written = f"{value:.{digits}f}"
    return written.removeprefix("-") if float(written) == 0 else written


def score_with_interval(value: float | None, ends: Sequence[float] | None) -> str:
    """Write a mean similarity with its interval.

    Example:
        >>> score_with_interval(0.6213, [0.6, 0.64]), score_with_interval(0.6213, None)
        ('0.621 [0.60, 0.64]', '0.621')
    """
    return f"{score(value)} {between(ends)}".rstrip()


def between(ends: Sequence[float] | None) -> str:
    """Write the interval of a similarity.

    Example:
        >>> between([0.6, 0.64]), between(None)
        ('[0.60, 0.64]', '')
    """
    return f"[{score(ends[0], digits=2)}, {score(ends[1], digits=2)}]" if ends else ""


def change(value: float | None, reference: float | None) -> str:
    """Write the relative change against a reference, as the paper's Section 5.2 does.

    Example:
        >>> change(0.621, 0.439), change(0.1, 0.0), change(None, 0.4)
        ('+41.5%', 'n/e', 'n/e')
    """
    if value is None or reference is None or reference <= 0:
        return NOT_ESTIMABLE
    return f"{value / reference - 1:+.1%}"


def count(number: int | None) -> str:
    """Write a whole number.

    Example:
        >>> count(120000), count(None)
        ('120,000', '')
    """
    return "" if number is None else f"{number:,}"
