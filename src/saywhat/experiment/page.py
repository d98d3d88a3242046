"""The page of the experiment: the results document as sections, for one HTML file or as Markdown.

Both writers show the same sections. Where the document has no number, a cell says so; only figures
are left out, from Markdown always and from HTML where nothing was measured.
"""

from collections.abc import Mapping
from typing import Any, Final

from saywhat.experiment import page_beside, page_figures, page_others, page_paper, page_text
from saywhat.reports.pages import Section, html_page, markdown_page

SCHEMA: Final = 1
TITLE: Final = "The paper's experiment, reproduced"
_SECTIONS: Final = (
    page_paper.introduction,
    page_paper.claims,
    page_figures.figure_2,
    page_paper.table_1,
    page_paper.gains,
    page_paper.table_2,
    page_paper.chance,
    page_beside.comparisons,
    page_beside.budgets,
    page_beside.agent,
    page_beside.oracle,
    page_beside.keywords,
    page_others.ablations,
    page_others.chatbots,
    page_others.probes,
    page_beside.queries,
    page_beside.costs,
    page_text.differences,
    page_text.departures,
    page_text.reproduction,
)


def sections(document: Mapping[str, Any]) -> list[Section]:
    """Give what the page shows, in order.

    Args:
        document: as ``experiment.document.document`` makes it.

    Raises:
        ValueError: the document is of another schema.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(
            f"Expected a results document of schema {SCHEMA}, got {document.get('schema')!r}; "
            "make it anew from its parts."
        )
    return [make(document) for make in _SECTIONS]


def markdown(document: Mapping[str, Any]) -> str:
    """Write the page as Markdown, figures as tables of success by threshold."""
    return markdown_page(_title(document), sections(document))


def html(document: Mapping[str, Any]) -> str:
    """Write the page as one HTML file that loads nothing; encode it as UTF-8."""
    return html_page(_title(document), sections(document), kind="saywhat experiment")


def _title(document: Mapping[str, Any]) -> str:
    return f"{TITLE}: {document.get('name', '')}"
