"""The summary in a terminal: verdict, table by list and length, best cases."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from saywhat.records import Finding
from saywhat.reports.sections import cases_table, groups_table, remarks, totals, verdict
from saywhat.reports.table import Table
from saywhat.reports.visible import visible

_LONGEST = 160
_LONGEST_OURS = 500
_NARROWEST_SAID = 12


def said(text: str, *, limit: int = _LONGEST) -> Text:
    r"""Give text of a chatbot for printing with rich: never markup, never an escape sequence.

    Example:
        >>> said("[red]a\x1b[0m").plain
        '[red]a<U+001B>[0m'
    """
    return Text(visible(text, limit=limit))


def print_summary(
    console: Console,
    summary: Mapping[str, Any],
    findings: Sequence[Finding] = (),
    *,
    cases: int = 5,
) -> None:
    """Print the verdict, the rates by list and length, the best cases and the query counts.

    Args:
        console: where; its width is respected.
        summary: as in ``summary.json``.
        findings: the run's findings; without them there are no best cases.
        cases: how many best cases to print.
    """
    console.print(said(verdict(summary), limit=_LONGEST_OURS), style="bold")
    for line in [*totals(summary), *remarks(summary, findings)]:
        console.print(said(line, limit=_LONGEST_OURS))
    if summary["groups"]:
        print_table(console, groups_table(summary))
    if cases and any(item.similarity is not None for item in findings):
        print_table(console, cases_table(findings, limit=cases))
    queries = summary["queries"]
    console.print()
    console.print(
        said(
            f"Queries: {queries['asked']:,} asked, {queries['unique']:,} unique, "
            f"{queries['sent']:,} sent."
        )
    )


def print_table(console: Console, table: Table) -> None:
    """Print any table of a report.

    Numbers are never broken or cut: where the columns do not fit, rows are printed one below the
    other.
    """
    console.print()
    console.print(said(table.caption), style="bold")
    if widths := _widths(table, console.width):
        console.print(_grid(table, widths))
    else:
        _print_rows(console, table)
    if table.note:
        console.print(said(table.note, limit=_LONGEST_OURS), style="dim")


def _widths(table: Table, room: int) -> list[int]:
    """Give each column's width, or nothing if they do not fit: ours first, said text the rest."""
    room -= len(table.columns) - 1  # a space between
    columns = [
        [visible(cell, limit=_LONGEST) for cell in (column.title, *(r[index] for r in table.rows))]
        for index, column in enumerate(table.columns)
    ]
    shortest = [_longest_word(cells) for cells in columns]
    natural = [max(shortest[index], _widest(cells[1:])) for index, cells in enumerate(columns)]
    free = [index for index, column in enumerate(table.columns) if column.kind == "said"]
    for widths in (natural, shortest):
        taken = sum(width for index, width in enumerate(widths) if index not in free)
        share = (room - taken) // len(free) if free else 0
        if taken <= room and (share >= _NARROWEST_SAID or not free):
            return [share if index in free else width for index, width in enumerate(widths)]
    return []


def _grid(table: Table, widths: Sequence[int]) -> RichTable:
    grid = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=0, header_style="bold")
    for column, width in zip(table.columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column.kind == "number" else "left"
        grid.add_column(said(column.title), width=width, justify=justify, overflow="fold")
    for row in table.rows:
        grid.add_row(*map(said, row))
    return grid


def _print_rows(console: Console, table: Table) -> None:
    for row in table.rows:
        for column, cell in zip(table.columns, row, strict=True):
            console.print(said(f"{column.title}: "), said(cell), sep="", soft_wrap=True)
        console.print()


def _longest_word(texts: Sequence[str]) -> int:
    return _widest([word for text in texts for word in text.split()])


def _widest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=1)
