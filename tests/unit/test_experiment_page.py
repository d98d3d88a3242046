"""The experiment's page: hand-worked cells, the paper's own column, hostile text, missing parts."""

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from typing_extensions import override

from saywhat.experiment import page
from saywhat.experiment.page.cells import MISSING, find
from saywhat.experiment.page.text import preset_remarks
from saywhat.experiment.paper import GAIN, LENGTHS, TABLE_1, TABLE_2
from saywhat.reports.pages import Section, markdown_page
from saywhat.reports.visible import visible
from tests.experiment_document import (
    empty,
    full_document,
    row_of,
    section_of,
    table_of,
)
from tests.experiment_parts import JUDGE, RAW, REWARD

TITLES = [
    "What this is", "The paper's claims", "Words used here", "Every method", "Figure 2",
    "Table 1", "Gains", "Table 2", "What chance scores", "Methods compared", "Searches by budget",
    "The language-model agent", "The oracle", "Keywords", "Ablations", "Other chatbots",
    "Asked again", "Probes", "Queries: fluency", "Queries by phase", "Where our numbers differ",
    "Departures", "How to reproduce",
]  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    "a|b\n# heading\n| c |",
    "\x1b[2J\x1b]0;owned\x07",
    "[x](javascript:alert(1)) ![y](http://evil.invalid/z.png)",
    '"><img src=x onerror=alert(1)>',
    "```\n{eval-rst}\n```\n$x$ {{ 7 * 7 }}",
    "\u202egnp.exe \ud800",
]
DEPARTURES = "Departures of the presets from the paper"
"""Its table holds settings."""


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects them and the cells' text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return full_document()


@pytest.mark.parametrize("make", [empty, full_document])
def test_every_section_is_there_in_order_in_both(make: Any) -> None:
    document = make()
    headings = [
        [section.title for section in page.sections(document)],
        re.findall(r"^## (.*)$", page.markdown(document), re.MULTILINE),
        re.findall(r"<h2>([^<]+)", page.html(document)),
    ]
    for found in headings:
        assert len(found) == len(TITLES)
        pairs = zip(found, TITLES, strict=True)
        assert all(h.replace("&#39;", "'").startswith(title) for h, title in pairs)


def test_another_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected a results document of schema 1, got 2"):
        page.sections({**empty(), "schema": 2})


def test_the_papers_numbers_are_the_papers_in_their_own_column(full: dict[str, Any]) -> None:
    for document in (full, empty()):
        tables = [t for t in section_of(document, "Table 1").tables if "seed" not in t.caption]
        assert {RAW} <= {table.caption.rpartition(", ")[2] for table in tables}
        for table in tables:
            column = [each.title for each in table.columns].index("The paper's")
            shown = {(row[0], row[1]): row[column] for row in table.rows}
            for method, published in TABLE_1.items():
                for length, number in zip(LENGTHS, published, strict=True):
                    assert float(shown[method, length]) == number
            assert shown["retrieval", "1-3"] == "not in the paper"
        gains = table_of(document, "Gains", "rl-beam-200 against")
        theirs = [row for row in gains.rows if row[0].endswith(f", {RAW}")]
        assert [float(row[-1].rstrip("%")) for row in theirs] == list(GAIN.values())
        others = {row[-1] for row in gains.rows if row not in theirs}
        assert others <= {"not of this similarity"}
        cases = table_of(document, "Table 2", "The paper's")
        assert [row[:3] for row in cases.rows] == [case[:3] for case in TABLE_2]
    assert len(tables) == 1  # of the empty document: the paper's similarity, whatever is missing
    captions = [table.caption for table in section_of(full, "Table 1").tables]
    assert [caption.rpartition(", ")[2] for caption in captions] == [RAW, REWARD, JUDGE, REWARD]


def test_cells_are_as_worked_out_by_hand(full: dict[str, Any]) -> None:
    table = table_of(full, "Table 1", f"Average similarity, real targets, by the paper's, {RAW}")
    # 598 of 200 x 3; mean 0.6213 in [0.6, 0.64]; the paper's 0.621; null and generic replies
    assert row_of(table, "rl-beam-200", "1-3") == (
        "rl-beam-200", "1-3", "598/600 (3 seeds)", "0.621 [0.60, 0.64]", "0.621", "0.022", "0.113",
    )  # fmt: skip
    table = table_of(full, "Figure 2", "Success by threshold, real targets, by the reward")
    # of the curve: 0.95 in [0.9, 1], ..., 0.004 in [0, 0.02]: not nothing, so not 0%
    assert row_of(table, "rl-greedy", "4-6")[2:] == (
        "598/600", "95% [90, 100]", "90% [85, 95]", "50% [45, 55]", "30% [25, 35]",
        "20% [15, 25]", "<1% [0, 2]", "0.022", "0.113",
    )  # fmt: skip
    # without a curve (no method of the paper): of the pooled entry, 0.687 in [0.648, 0.723]
    assert row_of(table, "rl-sampling-200", "4-6")[3] == "69% [65, 72]"
    gains = table_of(full, "Gains", "rl-beam-200 against")
    # 0.621 / 0.439 - 1 = 41.5 %; a perfect score: 1 / 0.439 - 1 = 127.8 %
    assert row_of(gains, f"the paper's, {RAW}", "1-3")[3:] == (
        "0.439", "0.621", "+41.5% (+38.0 to +45.0%)", "+127.8%", "+41.5%",
    )  # fmt: skip
    assert row_of(gains, f"the reward, {REWARD}", "1-3")[5:] == (
        "n/e", "n/e", "not of this similarity",
    )  # fmt: skip
    assert row_of(gains, f"the paper's, {RAW}", "4-6")[3:] == (*[MISSING] * 4, "+34.0%")
    compared, untested = table_of(full, "Methods compared", "Difference").rows
    assert compared[4:] == (
        "600", "-0.023 [-0.034, +0.014]", "12/30, 9/21", "0.008", "0.016",
    )  # fmt: skip
    assert untested[6:] == ("no test",) * 3
    overview = table_of(full, "Every method", "Every method")
    assert row_of(overview, "rl-beam-200", "real")[2:] == (
        "598/600", "68.7% (64.8 to 72.3%)", "0.621 [0.60, 0.64]", "68.7% (64.8 to 72.3%)",
        "0.621 [0.60, 0.64]", "10.0% (8.0 to 12.0%)", "200.0", "0.022", "0.113",
    )  # fmt: skip
    distinct = table_of(full, "Every method", "Distinct")
    assert row_of(distinct, "rl-greedy", "generated")[2:] == ("900",) * 3
    budget = table_of(full, "Searches by budget", "Searches").rows[0]
    # exact 5 of 10, by Wilson: 23.7 to 76.3 %
    assert budget == (
        "rl-beam", "1,000", "real", "10", "60.0% (31.0 to 83.0%)", "0.700 [0.60, 0.80]",
        "50.0% (23.7 to 76.3%)", "0.022", "0.113",
    )  # fmt: skip
    reached = table_of(full, "The oracle", "Targets").rows
    assert reached == (("real", "20", "10", "4", "50.0% (29.9 to 70.1%)"),)
    strata = table_of(full, "The oracle", "Black-box").rows[0]
    assert strata[3:6] == ("0", "n/e", "n/e")


def test_the_explanation_counts_from_the_document(full: dict[str, Any]) -> None:
    text = " ".join(section_of(full, "Where our numbers").paragraphs)
    assert "63,001 in phase reference, reinforce not measured yet" in text
    assert "1-3 words: +127.8%, above the paper's +41.5%; 4-6 words: not measured yet" in text
    changed = copy.deepcopy(full)
    changed["gains"][0]["ceiling_percent"] = 21.9
    text = " ".join(section_of(changed, "Where our numbers").paragraphs)
    assert "1-3 words: +21.9%, below the paper's +41.5%" in text


def test_the_presets_own_remarks_are_its_departures() -> None:
    remarks = {key: (value, remark) for key, value, remark in preset_remarks()}
    assert remarks["train.reinforce.samples"] == (
        "1", "ours: the paper calls it N and does not give it",
    )  # fmt: skip
    assert remarks["train.pretrain.training.context_dropout"] == ("0.0", "none")
    assert "chatbot_training.training.epochs" in remarks


def test_what_is_missing_reads_so_and_never_as_nothing() -> None:
    document = empty()
    text = page.markdown(document)
    assert text.count(MISSING) > 300
    assert "0 of 12 parts are finished; 12 are missing." in text
    assert "| reinforce/main | seed-2 | 1 |" in text
    for section in page.sections(document):
        for table in section.tables if section.title != DEPARTURES else ():
            assert table.rows
            for row in table.rows:
                # no rate, mean or interval; the paper's own are in their column
                assert not [cell for cell in row if re.match(r"0(\.0+)?%?$|\[", cell)]
    assert "<svg" not in page.html(document)
    assert table_of(document, "Methods compared", "Difference").rows == ((MISSING,) * 9,)


def test_what_could_not_be_measured_is_not_what_was_not(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    entry = find(changed["pooled"], method="real-input", similarity=RAW, list="real", length="1-3")
    assert isinstance(entry, dict)
    entry |= {"measured": 0, "mean": None, "ci95": None}
    caption = f"Average similarity, real targets, by the paper's, {RAW}"
    row = row_of(table_of(changed, "Table 1", caption), "real-input", "1-3")
    assert row[2:4] == ("0/600 (3 seeds)", "n/e")


def _hostile(full: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(full)
    made["examples"] = [
        {**made["examples"][0], "target": text, "query": text, "reply": text} for text in HOSTILE
    ]
    made["claims"] = [dict.fromkeys(("claim", "verdict", "figure", "rule"), t) for t in HOSTILE]
    made["parts"]["missing"] = HOSTILE
    made["name"] = made["command"] = " ".join(HOSTILE)
    made["provenance"]["hardware"] = HOSTILE
    return made


def test_hostile_text_is_shown_harmlessly_in_html(full: dict[str, Any]) -> None:
    text = page.html(_hostile(full))
    friendly, hostile = Page(page.html(full)), Page(text)
    allowed: dict[str, set[str]] = {}
    for tag, attributes in friendly.elements:
        allowed.setdefault(tag, set()).update(attributes)
    for tag, attributes in hostile.elements:
        assert set(attributes) <= allowed[tag]
    for each in HOSTILE:
        assert hostile.cells.count(visible(each)) >= 3  # query, target, reply
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e]", text)
    assert "49 }}" not in text
    text.encode("utf-8")


def test_hostile_text_is_shown_harmlessly_in_markdown(full: dict[str, Any]) -> None:
    text = page.markdown(_hostile(full))
    lines = text.split("\n")
    assert len(re.findall(r"^## ", text, re.MULTILINE)) == len(TITLES)
    assert not re.search(r"^#+ heading", text, re.MULTILINE)
    shown = re.compile(r"^!\[[^]\[]*\]\(page-figure-\d\.svg\)$", re.MULTILINE)
    assert len(shown.findall(text)) == 2, "these images are ours"
    text = shown.sub("", text)
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "`" not in re.sub(r"\\`", "", outside)
    assert not re.search(r"<(?!!--)", outside)
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)\$|(?<!\\)://", re.sub(r"\\\\", "", outside))
    assert "\x1b" not in text
    for start, line in enumerate(lines):
        if re.fullmatch(r"\|( :?--:? \|)+".replace(":?--:?", "(:--|--:)"), line):
            width = line.count("|")
            after = lines[start + 1]
            assert len(re.findall(r"(?<!\\)\|", after)) == width
    text.encode("utf-8")


def test_a_command_cannot_end_its_block() -> None:
    text = markdown_page("T", [Section("S", commands=("a ``` b",))])
    assert text.endswith("````text\na ``` b\n````\n")


def test_the_html_is_well_formed_and_loads_nothing(full: dict[str, Any]) -> None:
    text = page.html(full)
    shown = Page(text)
    assert not shown.open
    tags = {tag for tag, _ in shown.elements}
    assert not {"script", "img", "link", "iframe", "object", "a", "form"} & tags
    for _, attributes in shown.elements:
        assert not [key for key in attributes if key == "src" or key.startswith("on")]
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    assert "@import" not in text
    identifiers = re.findall(r'\sid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


def test_figures_have_labels_bands_and_tables_beside_them(full: dict[str, Any]) -> None:
    section = section_of(full, "Figure 2")
    assert len(section.figures) == 2  # the reward's and the paper's similarity, not the judge's
    panels = {group for curve in section.figures[0].curves.values() for group in curve}
    assert panels == {(name, length) for name in ("generated", "real") for length in LENGTHS}
    changed = copy.deepcopy(full)  # people's own inputs have no generated targets, and come first
    changed["curves"] = [
        c for c in full["curves"] if (c["method"], c["list"]) != ("real-input", "generated")
    ]
    first = next(iter(section_of(changed, "Figure 2").figures[0].curves.values()))
    assert list(first) == [(n, length) for n in ("generated", "real") for length in LENGTHS]
    assert [bool(line) for line in first.values()] == [False] * 3 + [True] * 3
    text = page.figures(changed)["page-figure-1.svg"]
    assert text.index("generated, 1-3 words") < text.index("real, 1-3 words"), "the paper's order"
    assert section.figures[0].bands["rl-greedy"]["real", "1-3"][0] == (0.5, 0.9, 1.0)
    shown = Page(page.html(full))
    drawn = [attributes for tag, attributes in shown.elements if tag == "svg"]
    assert len(drawn) == 2
    assert all((each["aria-label"] or "").startswith("Share of targets") for each in drawn)
    captions = [table.caption for table in section.tables]
    assert len([caption for caption in captions if caption.startswith("Success by")]) == 4


def test_targets_too_few_for_a_curve_of_each_length_leave_the_figure_out(
    full: dict[str, Any],
) -> None:
    # of two targets a group, only all lengths together have an interval
    whole = [{**curve, "length": "all"} for curve in full["curves"]]
    document = {**full, "curves": whole}
    assert section_of(document, "Figure 2").figures == ()
    assert "Figures drawn: 0 of 2." in page.markdown(document)
    assert page.html(document)


def test_markdown_shows_the_figures_that_lie_beside_it(full: dict[str, Any]) -> None:
    files = page.figures(full, stem="mine")
    assert list(files) == ["mine-figure-1.svg", "mine-figure-2.svg"]
    text = page.markdown(full, stem="mine")
    shown = re.findall(r"^!\[(.*)\]\((.*)\)$", text, re.MULTILINE)
    assert [name for _, name in shown] == list(files)
    assert "by the reward, " in shown[0][0]
    for each in files.values():
        assert re.match(r"<!-- [0-9a-f]{64} -->\n<svg role=\"img\" aria-label=\"Share of", each)
        drawn = Page(each)
        assert not drawn.open
        assert not {"script", "image", "a", "metadata"} & {tag for tag, _ in drawn.elements}
        assert "fill: #ffffff" in each, "what shows it may be dark"
        assert "var(--" not in each, "it has no page to take colours from"
        assert "rl-greedy" in each
    assert page.figures(full, stem="mine") == files
    changed = copy.deepcopy(full)
    changed["curves"][0]["share"][0] = 0.94  # real-input's, by the reward
    first, second = (text.partition("\n")[0] for text in page.figures(changed).values())
    before = [text.partition("\n")[0] for text in files.values()]
    assert (first != before[0], second == before[1]) == (True, True)
    assert page.figures(empty()) == {}
    assert "![" not in page.markdown(empty())
