"""Tables as Markdown, for documents that are generated from committed results."""

import html
import re
from collections.abc import Mapping
from typing import Any

from saywhat.reports.curves import curves_of, curves_tables, effort_table, similarity_tables
from saywhat.reports.table import Table
from saywhat.reports.visible import visible

_LONGEST = 300
_LONGEST_TEXT = 4000
_ACTIVE = re.compile(r"[\\`*_{}\[\]|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_AT_START = re.compile(r"^(\d*)([#+\-=%:(.)])")


def results_table(results: Mapping[str, Any]) -> str:
    """Write the tables of one ``benchmarks/results/<name>.json``.

    For each chatbot and list: average similarity by length (the paper's Table 1) and success
    against the threshold (Figure 2); then targets, queries and, in one line, how to repeat it.

    Args:
        results: schema 1, with at least one row.

    Raises:
        ValueError: the results are of another schema or hold no row.
    """
    if results.get("schema") != 1 or not results.get("rows"):
        raise ValueError(
            f"Expected results of schema 1 with rows, got schema {results.get('schema')!r} with "
            f"{len(results.get('rows') or [])} rows."
        )
    rows = results["rows"]
    tables = similarity_tables(rows)
    for chatbot in dict.fromkeys(row["chatbot"] for row in rows):
        curves = curves_of(row for row in rows if row["chatbot"] == chatbot)
        tables.extend(curves_tables(curves, suffix=f", chatbot {chatbot}"))
    tables.append(effort_table(rows))
    parts = [markdown_table(table) for table in tables]
    return "\n".join([*parts, _source(results)])


def markdown_table(table: Table) -> str:
    r"""Write one table; nothing in a cell can end it, or become a tag, image or emphasis.

    Example:
        >>> from saywhat.reports.table import Column
        >>> print(markdown_table(Table("T", (Column("A", "said"), Column("B")), (("x|<b>", "1"),))))
        **T**
        <BLANKLINE>
        | A | B |
        | :-- | --: |
        | x\|&lt;b&gt; | 1 |
        <BLANKLINE>
    """
    head = " | ".join(_escaped(column.title) for column in table.columns)
    rule = " | ".join("--:" if column.kind == "number" else ":--" for column in table.columns)
    lines = [f"**{_escaped(table.caption)}**", "", f"| {head} |", f"| {rule} |"]
    longest = [_LONGEST if c.kind == "said" else _LONGEST_TEXT for c in table.columns]
    for row in table.rows:
        cells = (_escaped(cell, limit=n) for cell, n in zip(row, longest, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    if table.note:
        lines += ["", _escaped(table.note, limit=_LONGEST_TEXT)]
    return "\n".join(lines) + "\n"


def markdown_text(text: str) -> str:
    r"""Write text as itself, on one line: no tag, link, emphasis or mathematics comes of it.

    Example:
        >>> print(markdown_text("a *b* <c>"))
        a \*b\* &lt;c&gt;
        >>> print(markdown_text("# 1"))
        \# 1
    """
    return _AT_START.sub(r"\1\\\2", _escaped(text, limit=_LONGEST_TEXT))


def _escaped(text: str, *, limit: int = _LONGEST) -> str:
    shown = html.escape(visible(text, limit=limit), quote=False)
    return _ACTIVE.sub(r"\\\g<0>", shown)


def _source(results: Mapping[str, Any]) -> str:
    seeds = ", ".join(str(seed) for seed in results.get("seeds", []))
    return (
        _escaped(
            f"From {results['name']}: {results['command']}; seeds {seeds}; "
            f"commit {str(results.get('commit') or 'unknown')[:12]}; {results.get('hardware', '')}"
        ).rstrip()
        + "\n"
    )
