"""A page of sections (paragraphs, figures, tables, commands) as one HTML file or as Markdown.

Every text in a section is raw: a chatbot's words can be in any of them, and each writer makes them
harmless in its own way. Markdown's figures are files beside it, which may be lost on the way, so
what a figure shows stands in a table too.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final, final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from saywhat.reports.curves import Curves
from saywhat.reports.figures import Bands, inline_svg, svg_file, threshold_figure
from saywhat.reports.markdown import markdown_table, markdown_text
from saywhat.reports.table import Table
from saywhat.reports.visible import visible

_LONGEST_SAID: Final = 600
_LONGEST: Final = 4000


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """Success against the threshold; its numbers stand in a table of the same section.

    Attributes:
        label: what it shows, for its caption and for readers who cannot see it.
        curves: as ``reports.figures.threshold_figure`` takes them; at least one point.
        bands: the intervals round the curves.
    """

    label: str
    curves: Curves
    bands: Bands = dataclasses.field(default_factory=dict)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, in this order: its title, paragraphs, commands, figures and tables.

    Attributes:
        title: its heading.
        paragraphs: raw text, one paragraph each.
        tables: its tables.
        figures: its figures.
        commands: what to type, one block each.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    commands: tuple[str, ...] = ()


def html_page(title: str, sections: Sequence[Section], *, kind: str = "saywhat") -> str:
    """Write a page that loads nothing and needs no script.

    Args:
        title: the page's heading.
        sections: in the order in which they are shown.
        kind: the line above the heading.

    Returns:
        the HTML document; encode it as UTF-8.

    Example:
        >>> "<h2>A &amp; B</h2>" in html_page("Title", [Section("A & B")])
        True
    """
    drawn = [
        [
            (figure.label, Markup(_svg(figure, f"s{number}f{place}")))  # noqa: S704  (escaped there)
            for place, figure in enumerate(section.figures)
        ]
        for number, section in enumerate(sections)
    ]
    template = environment().get_template("document.html")
    return template.render(title=title, kind=kind, sections=list(zip(sections, drawn, strict=True)))


def markdown_page(title: str, sections: Sequence[Section], *, figures: str = "") -> str:
    r"""Write a page as Markdown.

    Args:
        title: the page's heading.
        sections: in the order in which they are shown.
        figures: how the names of the files of ``figure_files`` begin; ``""`` shows none.

    Example:
        >>> print(markdown_page("Title", [Section("A", ("One *star*.",))]))
        # Title
        <BLANKLINE>
        ## A
        <BLANKLINE>
        One \*star\*.
        <BLANKLINE>
    """
    parts, number = [f"# {markdown_text(title)}"], 0
    for section in sections:
        parts.append(f"## {markdown_text(section.title)}")
        parts += [markdown_text(paragraph) for paragraph in section.paragraphs]
        parts += [_fenced(command) for command in section.commands]
        for figure in section.figures if figures else ():
            number += 1
            label = markdown_text(figure.label)
            parts.append(f"![{label}]({_figure_name(figures, number)})")
        parts += [markdown_table(table).rstrip("\n") for table in section.tables]
    return "\n\n".join(parts) + "\n"


def figure_files(sections: Sequence[Section], *, figures: str) -> dict[str, str]:
    """Draw the figures of a Markdown page.

    Each begins with a hash of what it shows: one of other numbers can be told from one that another
    machine draws a little otherwise.

    Args:
        sections: of the page.
        figures: how their names begin; letters, digits, ``-`` and ``/``.

    Returns:
        name -> an SVG file's text.
    """
    every = [figure for section in sections for figure in section.figures]
    return {
        _figure_name(figures, number): f"<!-- {_shown(figure)} -->\n"
        + svg_file(
            threshold_figure(figure.curves, bands=figure.bands),
            label=f"{figure.label}; the tables below it give the numbers.",
        )
        for number, figure in enumerate(every, start=1)
    }


def _figure_name(figures: str, number: int) -> str:
    return f"{figures}-{number}.svg"


def _shown(figure: Figure) -> str:
    """Give a hash of a figure's numbers and words."""
    text = repr((figure.label, list(figure.curves.items()), list(figure.bands.items())))
    return hashlib.sha256(text.encode()).hexdigest()


def environment() -> Environment:
    """Make what renders this package's templates: every value is made visible, then escaped."""
    made = Environment(
        loader=PackageLoader("saywhat.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    made.filters["said"] = lambda text: visible(text, limit=_LONGEST_SAID)
    return made


def _harmless(value: object) -> object:
    """Make any value that a template writes visible; autoescaping comes after."""
    return value if isinstance(value, Markup) else visible(str(value), limit=_LONGEST)


def _svg(figure: Figure, prefix: str) -> str:
    label = f"{figure.label}; the tables below give the numbers."
    return inline_svg(
        threshold_figure(figure.curves, bands=figure.bands), label=label, prefix=prefix
    )


def _fenced(command: str) -> str:
    """Put a command into a block that its text cannot end."""
    text = visible(command, limit=_LONGEST)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
