"""The HTML report: hostile text parsed back as text, totals equal to the summary's, sound SVG."""

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from typing_extensions import override

from saywhat.evaluation.tables import summarise, with_null
from saywhat.records import Finding
from saywhat.reports.curves import Curve
from saywhat.reports.figures import inline_svg, queries_figure, threshold_figure
from saywhat.reports.html import build_report
from saywhat.reports.sections import queries_table
from saywhat.reports.visible import visible
from saywhat.similarity.null import GenericReply, NullScores

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)' x='",
    "</bdi></td></table></style></title><h1 id=owned>owned",
    "--><script src=//evil.invalid></script>]]>",
    "{{ 7 * 7 }} {% include 'x' %} {# x #}",
    "&lt;b&gt; &#60;script&#62;",
    "\x1b[2J a\x00b \u202egnp.exe \u2066 \ud800 \u200b",
    "$x^2$ \\frac{1}{2} javascript:alert(1)",
    "<svg onload=alert(1)><style>*{display:none}</style>",
]
RUN: dict[str, Any] = {
    "name": "demo", "settings_hash": "01234567", "command": "saywhat audit", "seeds": {"run": 1},
    "created": "2026-11-22T10:31:08+00:00", "finished": None, "version": "0.1.0",
    "commit": "c" * 40, "dirty": True, "python": "3.11.2", "hardware": "2 cores",
    "packages": {"torch": "2.13.0"},
}  # fmt: skip


class Page(HTMLParser):
    """Collects elements, attributes, and the text of each element kind."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(text)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"td", "th", "dd"}:
            self._in_cell = True
            self.cells.append("")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "th", "dd"}:
            self._in_cell = False

    @override
    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._in_cell:
            self.cells[-1] += data


def _finding(text: str, similarity: float | None, **changes: Any) -> Finding:
    elicited = similarity is not None and similarity >= 0.7
    outcome = "unmeasured" if similarity is None else "elicited" if elicited else "not_elicited"
    fields: dict[str, Any] = {
        "target": text, "list": "real", "length": "1-3", "group": "real 1-3", "outcome": outcome,
        "query": text, "reply": text, "similarity": similarity, "exact": False,
        "queries_to_first_success": 7 if elicited else None, "asked": 50, "failed": 0,
        "echo": 0.8, "seen": True, "reason": "" if similarity is not None else "timed out",
    }  # fmt: skip
    return Finding(**{**fields, **changes})


def _summary(findings: list[Finding], name: str = "builtin", status: str = "complete") -> Any:
    asked = sum(item.asked for item in findings)
    counts = {"asked": asked, "unique": asked, "sent": asked + 3, "by_phase": {"search": asked}}
    summary = summarise(
        findings,
        counts=counts,
        chatbot=name,
        method=name,
        similarity=name,
        threshold=0.7,
        status=status,
        rng=np.random.default_rng(1),
    )
    generic = (GenericReply(reply=name, share=0.04, mean=0.1),)
    return with_null(summary, NullScores(pairs=100, mean=0.04, p95=0.55, generic=generic))


@pytest.fixture(scope="module")
def hostile() -> str:
    findings = [_finding(text, 0.9, list=text, group=text, length=text) for text in HOSTILE]
    findings += [_finding(text, None, reason=text) for text in HOSTILE]
    findings += [_finding("x" * 100_000, 0.8)]
    name = " ".join(HOSTILE)
    run = {**RUN, "command": name, "packages": {name: name}, "hardware": name, "name": name}
    curves = {name: {(name, name): {1: 0.5, 10: 0.9}}}
    summary = _summary(findings, name)
    return build_report(
        summary, findings, run, query_curves=curves, baselines=summary["groups"][:0]
    )


def test_hostile_text_makes_no_element_and_no_attribute(hostile: str) -> None:
    friendly_findings = [_finding("hello", 0.9), _finding("bye", None)]
    friendly = build_report(
        _summary(friendly_findings),
        friendly_findings,
        RUN,
        query_curves={"m": {("real", "1-3"): {1: 0.5, 10: 0.9}}},
    )
    expected: dict[str, set[str]] = {}
    for tag, attributes in Page(friendly).elements:
        expected.setdefault(tag, set()).update(attributes)
    assert not {"script", "img", "iframe", "object", "link", "a", "form"} & set(expected)
    for tag, attributes in Page(hostile).elements:
        assert tag in expected
        assert set(attributes) <= expected[tag]
        assert not any(key.startswith("on") for key in attributes)
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")


def test_hostile_text_is_shown_as_it_is(hostile: str) -> None:
    page = Page(hostile)
    for text in HOSTILE:
        assert page.cells.count(visible(text)) >= 3  # target, query, reply
    assert "49" not in page.cells  # no template is evaluated
    hostile.encode("utf-8")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u200b\u202a-\u202e\u2066-\u2069]", hostile)


def test_a_long_reply_is_cut_with_a_note(hostile: str) -> None:
    assert hostile.count("[cut: 100,000 characters in all]") == 3
    assert "x" * 601 not in hostile


def test_scripts_are_forbidden_and_nothing_is_fetched(hostile: str) -> None:
    meta = next(
        attributes
        for tag, attributes in Page(hostile).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    policy = meta["content"] or ""
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert "script-src" not in policy
    assert "@import" not in hostile
    assert set(re.findall(r"url\((.)", hostile)) <= {"#"}


def test_identifiers_are_unique_and_references_resolve(hostile: str) -> None:
    identifiers = re.findall(r'\sid="([^"]+)"', hostile)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r"url\(#([^)]+)\)", hostile)) <= set(identifiers)
    assert set(re.findall(r'href="#([^"]+)"', hostile)) <= set(identifiers)


def test_the_totals_shown_are_the_summarys() -> None:
    findings = [_finding("a", 0.9, exact=True), _finding("b", 0.8), _finding("c", 0.1)]
    findings += [_finding("d", None, length="4-6", group="real 4-6")]
    page = Page(build_report(_summary(findings, status="partial"), findings, RUN))
    text = " ".join(" ".join(page.text).split())
    assert "Elicited 2 of 3 measured targets: 66.7%" in text
    assert "This run is partial, not complete" in text
    assert "2 of the elicited are echoes" in text
    shown = {" ".join(cell.split()) for cell in page.cells}
    # elicited, exact, unmeasured; mean (0.9 + 0.8 + 0.1) / 3; chance; 4 x 50 asked and 3 retries
    assert {"2 of 3 measured", "1", "1 of 4 targets", "0.600", "200 203 sent"} <= shown
    assert "0.040 95th percentile 0.550" in shown
    assert "n/e" in shown  # the list of which nothing was measured
    order = ["Best cases", "Success against", "Average sim", "Unmeasured t", "Queries", "Limits"]
    headings = re.findall(r"<h2>([^<]+)", build_report(_summary(findings), findings, RUN))
    assert all(h.startswith(start) for h, start in zip(headings, order, strict=True))


def test_queries_are_split_by_phase_as_far_as_known() -> None:
    summary = _summary([_finding("a", 0.9)])
    assert queries_table(summary).rows[0] == ("search", "50", "", "")
    detail = {"search": {"asked": 50, "unique": 40, "sent": 43, "failed": 1}}
    split = {**summary, "queries": {**summary["queries"], "detail": detail}}
    assert queries_table(split).rows == (("search", "50", "40", "43"), ("all", "50", "50", "53"))


def test_findings_of_another_run_are_refused() -> None:
    findings = [_finding("a", 0.9), _finding("b", 0.1)]
    with pytest.raises(ValueError, match="targets is 2, 1 over the findings"):
        build_report(_summary(findings), findings[:1], RUN)


def test_an_empty_run_has_a_report() -> None:
    page = Page(build_report(_summary([_finding("a", None)]), [_finding("a", None)], {}))
    assert "Inconclusive: none of 1 targets could be measured." in page.text
    assert not [tag for tag, _ in page.elements if tag == "svg"]
    page = Page(build_report(_summary([]), [], {}))
    assert "Inconclusive: none of 0 targets could be measured." in page.text


def test_tables_are_accessible() -> None:
    findings = [_finding("a", 0.9)]
    page = Page(build_report(_summary(findings), findings, RUN))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all(attributes.get("scope") for tag, attributes in page.elements if tag == "th")
    assert all(attributes.get("aria-label") for tag, attributes in page.elements if tag == "svg")


def test_a_figure_holds_the_curves_and_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    curves: dict[str, dict[tuple[str, str], Curve]] = {
        "a": {("real", "1-3"): {"0.5": 1.0, "1.0": 0.25}, ("real", "4-6"): {"0.5": 0.5}},
        "b": {("generated", "1-3"): {0.5: 0.75, 1.0: None}},
    }
    drawn = {
        (axes.get_title(loc="left"), str(line.get_label())): np.asarray(line.get_xydata()).tolist()
        for axes in threshold_figure(curves).axes
        for line in axes.get_lines()
    }
    assert drawn == {
        ("real, 1-3 words", "a"): [[0.5, 1.0], [1.0, 0.25]],
        ("real, 4-6 words", "a"): [[0.5, 0.5]],
        ("generated, 1-3 words", "b"): [[0.5, 0.75]],
    }
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("groups", "places"),
    [
        # The paper's Figure 2: a row for each list, a column for each length.
        (["a 1", "a 2", "b 1", "b 2"], [["a 1", "a 2"], ["b 1", "b 2"]]),
        (["a 1", "a 2", "b 1"], [["a 1", "a 2", "b 1"]]),
        (["a ", "b ", "c ", "d "], [["a ", "b ", "c "], ["d ", None, None]]),
        (["a "], [["a "]]),
    ],
)
def test_panels_leave_no_gap(groups: list[str], places: list[list[str | None]]) -> None:
    from saywhat.reports.figures import _layout

    def pair(group: str) -> tuple[str, str]:
        return group[0], group[2:]

    layout = _layout({"m": {pair(group): {"0.5": 1.0} for group in groups}})
    assert layout == [[group and pair(group) for group in row] for row in places]


def test_a_figure_is_sound_xml_and_the_same_each_time() -> None:
    name = "<b>&\"' $x$ \x00\u202e 你好"  # shorter than what a figure cuts
    curves = {name: {(name, name): {1: 0.0, 100: 1.0}}}
    first, second = (inline_svg(queries_figure(curves), label=name, prefix="q") for _ in range(2))
    assert first == second
    tree = ElementTree.fromstring(first)  # noqa: S314  (our own text)
    assert tree.attrib["aria-label"] == visible(name)
    assert any(visible(name) in "".join(element.itertext()) for element in tree.iter())


def test_no_curve_is_no_figure() -> None:
    with pytest.raises(ValueError, match="at least one curve"):
        threshold_figure({})
