"""Figures drawn in memory: success against the threshold, and against the number of queries.

One panel for each list (rows) and length (columns), as in the paper's Figure 2. ``pyplot`` and its
global state are not used. :func:`inline_svg` gives a figure the colours of the page that it is put
into, in light and dark.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from saywhat.reports.curves import Curves, Group, points
from saywhat.reports.visible import visible

INK: Final = "#1f2933"
GRID: Final = "#d9dee5"
COLOURS: Final = ("#2f5d9b", "#c2572b", "#2e8563", "#7d57a8", "#a57c12", "#b0447a", "#4b6472")
_DASHES: Final = ("-", "--", "-.", ":")
_MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
_MANY_POINTS: Final = 15
_MOST_COLUMNS: Final = 5
_LONGEST_LABEL: Final = 32
Bands = Mapping[str, Mapping[Group, Sequence[tuple[float, float, float]]]]
"""Method -> (list, length) -> (threshold, low, high), in order."""
NO_BANDS: Final[Bands] = {}
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # text stays text: smaller, searchable, readable aloud
    "svg.hashsalt": "saywhat",  # equal data, equal file
    "text.parse_math": False,  # a "$" in a list's name is a dollar
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def threshold_figure(curves: Curves, *, bands: Bands | None = None) -> Figure:
    """Draw the share of measured targets elicited against the similarity threshold.

    Args:
        curves: one line for each method, in a panel for each group.
        bands: what to shade round the lines.

    Raises:
        ValueError: there is no curve.
    """
    return _figure(curves, axis="similarity threshold", logarithmic=False, bands=bands or {})


def queries_figure(curves: Curves) -> Figure:
    """Draw the share of measured targets elicited against the number of queries, on a log axis.

    Raises:
        ValueError: there is no curve.
    """
    return _figure(curves, axis="queries", logarithmic=True)


def inline_svg(figure: Figure, *, label: str, prefix: str) -> str:
    """Write a figure as an SVG element for an HTML page.

    Args:
        figure: from this module.
        label: what a reader who cannot see it is told.
        prefix: put before every identifier, so that two figures on one page do not clash.
    """
    text = _drawn(figure, transparent=True)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    text = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--font, sans-serif)", text)
    for number, colour in enumerate((INK, GRID, *COLOURS)):
        name = ("ink", "grid")[number] if number < 2 else f"c{number - 2}"
        text = text.replace(colour, f"var(--{name}, {colour})")
    return _labelled(text, label)


def svg_file(figure: Figure, *, label: str) -> str:
    """Write a figure as an SVG file, on white: what shows it may be dark, and cannot tell.

    Args:
        figure: from this module.
        label: what a reader who cannot see it is told.
    """
    text = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 sans-serif", _drawn(figure))
    return f"{_labelled(text, label)}\n"


def _drawn(figure: Figure, *, transparent: bool = False) -> str:
    buffer = io.StringIO()
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The reader's font draws the text, whatever glyphs the font used for measuring lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=transparent, metadata={"Date": None})
    text = buffer.getvalue()
    return re.sub(
        r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL
    )


def _labelled(text: str, label: str) -> str:
    attributes = f'<svg role="img" aria-label="{escape(visible(label))}"'
    return text.replace("<svg", attributes, 1).strip()


def _figure(curves: Curves, *, axis: str, logarithmic: bool, bands: Bands = NO_BANDS) -> Figure:
    grid = _layout(curves)
    with mpl.rc_context(_STYLE):
        rows, columns = len(grid), len(grid[0])
        figure = Figure(figsize=(max(5.2, 2.6 * columns + 0.6), 2.1 * rows + 0.8))
        figure.set_layout_engine("constrained")
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for row, groups in zip(panels, grid, strict=True):
            row[0].set_ylabel("elicited")
            for axes, group in zip(row, groups, strict=True):
                if group is None:
                    axes.set_axis_off()
                else:
                    _draw(axes, curves, group, logarithmic=logarithmic)
                    _shade(axes, curves, group, bands)
        for axes in panels[-1]:
            axes.set_xlabel(axis)
        _legend(figure, list(panels.flat), curves)
    return figure


def _layout(curves: Curves) -> list[list[Group | None]]:
    """Give the panels' places: a row for each list if that leaves no gap, else rows of three."""
    groups = list(dict.fromkeys(group for by_group in curves.values() for group in by_group))
    if not groups:
        raise ValueError("Expected at least one curve, got none.")
    lists = list(dict.fromkeys(name for name, _ in groups))
    lengths = list(dict.fromkeys(length for _, length in groups))
    if len(groups) == len(lists) * len(lengths) and 1 < len(lengths) <= _MOST_COLUMNS:
        return [[(name, length) for length in lengths] for name in lists]
    columns = min(3, len(groups))
    padded = [*groups, *[None] * (-len(groups) % columns)]
    return [padded[start : start + columns] for start in range(0, len(padded), columns)]


def _draw(axes: Axes, curves: Curves, group: Group, *, logarithmic: bool) -> None:
    name, length = group
    axes.set_title(_label(f"{name}, {length} words" if length else name), loc="left")
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.minorticks_off()
    for number, (method, by_group) in enumerate(curves.items()):
        line = points(by_group.get(group, {}))
        if not line:
            continue
        axes.plot(
            [x for x, _ in line],
            [y for _, y in line],
            label=_label(method),
            color=COLOURS[number % len(COLOURS)],
            linestyle=_DASHES[number // len(COLOURS) % len(_DASHES)],
            linewidth=1.6,
            marker=_MARKS[number % len(_MARKS)] if len(line) <= _MANY_POINTS else "",
            markersize=4,
        )


def _shade(axes: Axes, curves: Curves, group: Group, bands: Bands) -> None:
    for number, method in enumerate(curves):
        if edges := bands.get(method, {}).get(group):
            axes.fill_between(
                [x for x, _, _ in edges],
                [low for _, low, _ in edges],
                [high for _, _, high in edges],
                color=COLOURS[number % len(COLOURS)],
                alpha=0.15,
                linewidth=0,
            )


def _legend(figure: Figure, grid: Sequence[Axes], curves: Curves) -> None:
    handles: dict[str, Artist] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        room = 16 * figure.get_figwidth()  # letters, at 4.5 points each
        columns = int(room / (max(map(len, handles)) + 8))
        figure.legend(
            list(handles.values()),
            list(handles),
            loc="outside upper left",
            ncols=max(1, min(len(curves), columns)),
            frameon=False,
        )


def _label(text: str) -> str:
    """Shorten a name for a figure; the table under it has the whole."""
    cut = text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 3] + "..."
    return visible(cut)
