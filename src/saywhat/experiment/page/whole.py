"""The page of the experiment: the results document as sections, for one HTML file or as Markdown.

Both writers show the same sections. Where the document has no number, a cell says so; only figures
are left out where nothing was measured. Markdown's are files beside it.
"""

from collections.abc import Mapping
from typing import Any, Final

from saywhat.experiment.page import (
    ablating,
    beside,
    curves,
    others,
    overview,
    paper,
    terms,
    text,
)
from saywhat.reports.pages import Section, figure_files, html_page, markdown_page

SCHEMA: Final = 1
TITLE: Final = "The paper's experiment, reproduced"
_SECTIONS: Final = (
    paper.introduction,
    paper.claims,
    terms.terms,
    overview.overview,
    curves.figure_2,
    paper.table_1,
    paper.gains,
    paper.table_2,
    paper.chance,
    beside.comparisons,
    beside.budgets,
    beside.agent,
    beside.oracle,
    beside.keywords,
    ablating.ablations,
    others.chatbots,
    others.repeats,
    others.probes,
    beside.queries,
    beside.costs,
    text.differences,
    text.departures,
    text.reproduction,
)


def sections(document: Mapping[str, Any]) -> list[Section]:
    """Give what the page shows, in order.

    Args:
        document: as ``experiment.results.document.document`` makes it.

    Raises:
        ValueError: the document is of another schema.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(
            f"Expected a results document of schema {SCHEMA}, got {document.get('schema')!r}; "
            "make it anew from its parts."
        )
    return [make(document) for make in _SECTIONS]


def markdown(document: Mapping[str, Any], *, stem: str = "page") -> str:
    """Write the page as Markdown, its figures in files beside it.

    Args:
        document: as for ``sections``.
        stem: of the page's file.
    """
    return markdown_page(_title(document), sections(document), figures=f"{stem}-figure")


def figures(document: Mapping[str, Any], *, stem: str = "page") -> dict[str, str]:
    """Give the files that the Markdown page shows: name -> text."""
    return figure_files(sections(document), figures=f"{stem}-figure")


def html(document: Mapping[str, Any]) -> str:
    """Write the page as one HTML file that loads nothing; encode it as UTF-8."""
    return html_page(_title(document), sections(document), kind="saywhat experiment")


def _title(document: Mapping[str, Any]) -> str:
    return f"{TITLE}: {document.get('name', '')}"
