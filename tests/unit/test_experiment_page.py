"""The experiment's page: hand-worked cells, the paper's own column, hostile text, missing parts."""

import copy
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from saywhat.experiment import page
from saywhat.experiment.design import ABLATIONS, GUIDED, UNGUIDED
from saywhat.experiment.page.cells import MISSING, find
from saywhat.experiment.page.text import preset_remarks
from saywhat.experiment.paper import GAIN, LENGTHS, TABLE_1, TABLE_2
from saywhat.experiment.parts import Parts
from saywhat.experiment.results.document import document as results_document
from saywhat.reports.pages import Section, markdown_page
from saywhat.reports.table import Table
from saywhat.reports.visible import visible

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
THRESHOLDS = ("0.5", "0.6", "0.7", "0.8", "0.9", "1.0")
REWARD, RAW, JUDGE = "embedding-average-centred", "embedding-average", "sentence-encoder"
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


def _pooled(method: str, similarity: str, name: str, length: str, **changes: Any) -> Any:
    success = {point: {"share": 0.687, "ci95": [0.648, 0.723]} for point in THRESHOLDS}
    return {
        "chatbot": "builtin", "method": method, "similarity": similarity, "list": name,
        "length": length, "seeds": [1, 2, 3], "targets": 200, "measured": 598, "mean": 0.6213,
        "ci95": [0.6, 0.64], "success": success, "exact": {"share": 0.1, "ci95": [0.08, 0.12]},
        "null_mean": 0.022, "generic_best": 0.113, "distinct_replies": 900.0,
        "queries_per_target": 200.0, **changes,
    }  # fmt: skip


def _curve(method: str, similarity: str, name: str, length: str) -> Any:
    return {
        "method": method, "similarity": similarity, "list": name, "length": length,
        "thresholds": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        "share": [0.95, 0.9, 0.5, 0.3, 0.2, 0.004],
        "low": [0.9, 0.85, 0.45, 0.25, 0.15, 0.0], "high": [1.0, 0.95, 0.55, 0.35, 0.25, 0.02],
    }  # fmt: skip


def _empty() -> dict[str, Any]:
    """The document of an experiment of which nothing is finished."""
    tests = [f"evaluate/main/seed-1/{each.name}" for each in (*UNGUIDED, *GUIDED)]
    names = ["collect/main", "reinforce/main/seed-2", "human/main", *tests]
    settings: dict[str, Any] = {"preset": "small", "seeds": [1, 2, 3], "chatbot": "builtin"}
    return results_document(Parts(Path("nowhere")), names, **settings)


def _ablation(name: str, ends: Sequence[float] | None) -> dict[str, Any]:
    cell = {
        "mean": 0.4, "difference": None if ends is None else sum(ends) / 2, "ci95": ends,
        "success": 0.5, "judge": {
            "mean": 0.3, "mean_ci95": [0.28, 0.33], "difference": 0.01, "ci95": [-0.01, 0.03],
        },
        "targets": 150, "mean_ci95": [0.38, 0.42], "null_mean": 0.021, "generic_best": 0.117,
    }  # fmt: skip
    return {
        "name": name, "why": ABLATIONS[name].why, "by": REWARD, "steps": 200,
        "validation_similarity": 0.41,
        "kept": 0 if name == "shuffled-reward" else 150, "asked": 51_900, "queries": 51_200,
        "seconds": 61.5,
        "methods": {"rl-greedy": {"list": {"generated": cell, "real": cell}}},
    }  # fmt: skip


def _full() -> dict[str, Any]:
    made = _empty()
    every = [
        (method, similarity, name, length)
        for method in [*TABLE_1, "rl-sampling-200"]
        for similarity in (REWARD, RAW, JUDGE)
        for name in ("generated", "real")
        for length in [*LENGTHS, "all"]
    ]
    made |= {
        "threshold": 0.7, "similarities": [REWARD, RAW, JUDGE], "judges": [JUDGE],
        "parts": {"total": 3, "finished": 2, "missing": ["reinforce/main/seed-2"]},
        "pooled": [
            *(_pooled(*key) for key in every),
            _pooled("rl-beam-50", REWARD, "real", "all", chatbot="sampling", generic_best=0.3),
        ],
        "curves": [_curve(*key) for key in every if key[1] != JUDGE and key[0] in TABLE_1],
        "gains": [
            {"similarity": RAW, "length": "1-3", "real_input": 0.439, "method": "rl-beam-200",
             "mean": 0.621, "percent": 41.4579, "ci95": [38.0, 45.0], "ceiling_percent": 127.7904,
             "paper": 41.5},
            {"similarity": REWARD, "length": "1-3", "real_input": -0.1, "method": "rl-beam-200",
             "mean": 0.5, "percent": None, "ci95": None, "ceiling_percent": None, "paper": 41.5},
        ],
        "comparisons": [
            {"a": "rl-greedy", "b": "pretrained-greedy", "similarity": REWARD, "list": "real",
             "targets": 600, "seeds": [1, 2, 3], "difference": -0.023, "ci95": [-0.034, 0.014],
             "mcnemar": {"only_a": [12, 9], "only_b": [30, 21], "p": 0.00803, "p_holm": 0.0161}},
            {"a": "rl-sampling-200", "b": "pretrained-sharp-200", "similarity": REWARD,
             "list": "real", "targets": 90, "seeds": [1], "difference": 0.006,
             "ci95": [-0.01, 0.025], "mcnemar": None},
        ],
        "budgets": [
            {"search": "rl-beam", "budget": 1000, "list": "real", "targets": 10, "success": 0.6,
             "ci95": [0.31, 0.83], "mean": 0.7, "mean_ci95": [0.6, 0.8], "exact": 0.5}
        ],
        "oracle": {
            "targets": 20, "reachable": 10, "share": 0.5, "ci95": [0.299, 0.701],
            "by_list": {"real": {"targets": 20, "reachable": 10, "unwritable": 4, "share": 0.5,
                                 "ci95": [0.299, 0.701]}},
            "asked": 400, "passes": 9000, "gradients": 130,
            "strata": [{"method": "rl-greedy", "list": "real", "stratum": "not found",
                        "targets": 0, "success": None, "exact": None}],
        },
        "ablations": [
            _ablation("baseline", None),
            _ablation("constant-reward", [-0.2, -0.1]),
            _ablation("shuffled-reward", [-0.02, 0.04]),
        ],
        "repeats": [
            {"chatbot": "sampling", "method": "rl-beam-50", "list": "real", "times": 5,
             "targets": 147, "elicited": 44, "queries": 109,
             "found": 0.565, "found_ci95": [0.53, 0.6],
             "again": 0.25, "again_ci95": [0.2, 0.3], "difference": -0.315,
             "difference_ci95": [-0.35, -0.28], "success": 0.2993, "success_ci95": [0.23, 0.38],
             "success_again": 0.08, "success_again_ci95": [0.05, 0.12], "kept": 0.21,
             "kept_ci95": [0.14, 0.29]},
            {"chatbot": "sampling", "method": "real-input", "list": "generated", "times": 5,
             "targets": 0, "elicited": 0, "queries": 0,
             **dict.fromkeys(["found", "again", "difference", "success", "success_again", "kept"]),
             **dict.fromkeys(["found_ci95", "again_ci95", "difference_ci95", "success_ci95",
                              "success_again_ci95", "kept_ci95"])},
        ],
        "phases": [
            {"phase": "reference", "chatbot": "builtin", "asked": 64_000, "unique": 63_000,
             "sent": 63_001}
        ],
        "examples": [
            {"method": "rl-beam-200", "list": "real", "length": "1-3", "target": "ohhh",
             "query": "guess what", "reply": "ohhh", "similarity": 1.0}
        ],
    }  # fmt: skip
    return made


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return _full()


def _section(document: dict[str, Any], title: str) -> Section:
    return next(each for each in page.sections(document) if each.title.startswith(title))


def _table(document: dict[str, Any], title: str, caption: str) -> Table:
    tables = _section(document, title).tables
    return next(table for table in tables if table.caption.startswith(caption))


def _row(table: Table, *start: str) -> tuple[str, ...]:
    return next(row for row in table.rows if row[: len(start)] == start)


@pytest.mark.parametrize("make", [_empty, _full])
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
        page.sections({**_empty(), "schema": 2})


def test_the_papers_numbers_are_the_papers_in_their_own_column(full: dict[str, Any]) -> None:
    for document in (full, _empty()):
        tables = [t for t in _section(document, "Table 1").tables if "seed" not in t.caption]
        assert {RAW} <= {table.caption.rpartition(", ")[2] for table in tables}
        for table in tables:
            column = [each.title for each in table.columns].index("The paper's")
            shown = {(row[0], row[1]): row[column] for row in table.rows}
            for method, published in TABLE_1.items():
                for length, number in zip(LENGTHS, published, strict=True):
                    assert float(shown[method, length]) == number
            assert shown["retrieval", "1-3"] == "not in the paper"
        gains = _table(document, "Gains", "rl-beam-200 against")
        theirs = [row for row in gains.rows if row[0].endswith(f", {RAW}")]
        assert [float(row[-1].rstrip("%")) for row in theirs] == list(GAIN.values())
        others = {row[-1] for row in gains.rows if row not in theirs}
        assert others <= {"not of this similarity"}
        cases = _table(document, "Table 2", "The paper's")
        assert [row[:3] for row in cases.rows] == [case[:3] for case in TABLE_2]
    assert len(tables) == 1  # of the empty document: the paper's similarity, whatever is missing
    captions = [table.caption for table in _section(full, "Table 1").tables]
    assert [caption.rpartition(", ")[2] for caption in captions] == [RAW, REWARD, JUDGE, REWARD]


def test_cells_are_as_worked_out_by_hand(full: dict[str, Any]) -> None:
    table = _table(full, "Table 1", f"Average similarity, real targets, by the paper's, {RAW}")
    # 598 of 200 x 3; mean 0.6213 in [0.6, 0.64]; the paper's 0.621; null and generic replies
    assert _row(table, "rl-beam-200", "1-3") == (
        "rl-beam-200", "1-3", "598/600 (3 seeds)", "0.621 [0.60, 0.64]", "0.621", "0.022", "0.113",
    )  # fmt: skip
    table = _table(full, "Figure 2", "Success by threshold, real targets, by the reward")
    # of the curve: 0.95 in [0.9, 1], ..., 0.004 in [0, 0.02]: not nothing, so not 0%
    assert _row(table, "rl-greedy", "4-6")[2:] == (
        "598/600", "95% [90, 100]", "90% [85, 95]", "50% [45, 55]", "30% [25, 35]",
        "20% [15, 25]", "<1% [0, 2]", "0.022", "0.113",
    )  # fmt: skip
    # without a curve (no method of the paper): of the pooled entry, 0.687 in [0.648, 0.723]
    assert _row(table, "rl-sampling-200", "4-6")[3] == "69% [65, 72]"
    gains = _table(full, "Gains", "rl-beam-200 against")
    # 0.621 / 0.439 - 1 = 41.5 %; a perfect score: 1 / 0.439 - 1 = 127.8 %
    assert _row(gains, f"the paper's, {RAW}", "1-3")[3:] == (
        "0.439", "0.621", "+41.5% (+38.0 to +45.0%)", "+127.8%", "+41.5%",
    )  # fmt: skip
    assert _row(gains, f"the reward, {REWARD}", "1-3")[5:] == (
        "n/e", "n/e", "not of this similarity",
    )  # fmt: skip
    assert _row(gains, f"the paper's, {RAW}", "4-6")[3:] == (*[MISSING] * 4, "+34.0%")
    compared, untested = _table(full, "Methods compared", "Difference").rows
    assert compared[4:] == (
        "600", "-0.023 [-0.034, +0.014]", "12/30, 9/21", "0.008", "0.016",
    )  # fmt: skip
    assert untested[6:] == ("no test",) * 3
    overview = _table(full, "Every method", "Every method")
    assert _row(overview, "rl-beam-200", "real")[2:] == (
        "598/600", "68.7% (64.8 to 72.3%)", "0.621 [0.60, 0.64]", "68.7% (64.8 to 72.3%)",
        "0.621 [0.60, 0.64]", "10.0% (8.0 to 12.0%)", "200.0", "0.022", "0.113",
    )  # fmt: skip
    distinct = _table(full, "Every method", "Distinct")
    assert _row(distinct, "rl-greedy", "generated")[2:] == ("900",) * 3
    budget = _table(full, "Searches by budget", "Searches").rows[0]
    # exact 5 of 10, by Wilson: 23.7 to 76.3 %
    assert budget == (
        "rl-beam", "1,000", "real", "10", "60.0% (31.0 to 83.0%)", "0.700 [0.60, 0.80]",
        "50.0% (23.7 to 76.3%)", "0.022", "0.113",
    )  # fmt: skip
    reached = _table(full, "The oracle", "Targets").rows
    assert reached == (("real", "20", "10", "4", "50.0% (29.9 to 70.1%)"),)
    strata = _table(full, "The oracle", "Black-box").rows[0]
    assert strata[3:6] == ("0", "n/e", "n/e")


def test_what_a_method_cannot_say_is_not_a_measured_nothing(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    nothing = {"share": 0.0, "ci95": [0.0, 0.006]}
    for method, exact in (("random-200", nothing), ("retrieval", nothing), ("rl-greedy", nothing)):
        changed["methods"] = [*changed["methods"], method]
        row = {**_pooled(method, REWARD, "real", "all"), "exact": exact}
        changed["pooled"] = [row, *changed["pooled"]]
    budget = {**changed["budgets"][0], "search": "random", "exact": 0.0}
    changed["budgets"] = [budget, {**budget, "exact": 0.1}]
    table = _table(changed, "Every method", "Every method")
    column = [each.title for each in table.columns].index("Word for word")
    cells = {m: _row(table, m, "real")[column] for m in ("random-200", "retrieval", "rl-greedy")}
    assert cells == {
        "random-200": "held out", "retrieval": "held out", "rl-greedy": "0.0% (0.0 to 0.6%)",
    }  # fmt: skip
    rows = _table(changed, "Searches by budget", "Searches").rows
    assert [row[6] for row in rows] == ["held out", "10.0% (1.8 to 40.4%)"]


def test_probes_are_shown_edit_by_edit_and_negation_beside_punctuation() -> None:
    of = {
        "chatbot": "builtin", "kind": "should-change", "edits": 40, "ci95": [0.6, 0.8],
        "unchanged": 0.25, "unchanged_ci95": [0.2, 0.3],
    }  # fmt: skip
    document = {**_empty(), "edits": [
        {**of, "edit": "negation", "similarity": 0.7},
        {**of, "edit": "punctuation", "kind": "should-not-change", "similarity": 0.6},
        {**of, "edit": "negation", "similarity": 0.5, "chatbot": "gru"},
        {**of, "edit": "punctuation", "similarity": 0.6, "chatbot": "gru"},
        {**of, "edit": "negation", "similarity": None, "chatbot": "hred"},
        {**of, "edit": "punctuation", "similarity": 0.6, "chatbot": "hred"},
    ]}  # fmt: skip
    said = _section(document, "Probes").paragraphs
    assert said[-1].startswith("On 1 of 2 chatbots the reply after a negation is nearer")
    rows = _table(document, "Probes", "The same by edit").rows
    assert rows[0] == (
        "builtin", "should-change", "negation", "40", "0.700 [0.60, 0.80]", "25.0% (20.0 to 30.0%)",
    )  # fmt: skip
    assert not any("negation is nearer" in line for line in _section(_empty(), "Probes").paragraphs)


def test_the_scale_of_other_chatbots_is_said(full: dict[str, Any]) -> None:
    bot = {
        "size": None, "decoding": None, "validation_perplexity": None, "distinct_replies": 1,
        "pairs": 2, "queries": 3, "seconds": 4.0, "methods": [],
    }  # fmt: skip
    main = {**bot, "name": "builtin", "epochs": None, "steps": 1000, "seeds": 3, "per_list": 600}
    gru = {**bot, "name": "gru", "epochs": 3, "steps": 400, "seeds": 1, "per_list": 150}
    document = {**_empty(), "chatbots": [main, gru]}
    said = " ".join(_section(document, "Other chatbots").paragraphs)
    assert "400 steps of REINFORCE where the main chatbot's generator has 1,000" in said
    assert "150 targets of a list where it has 600, 1 seed of the generator where it has 3" in said
    assert "trained here has 3 epochs" in said
    alone = {**_empty(), "chatbots": [main]}
    assert not any("smaller in scale" in s for s in _section(alone, "Other chatbots").paragraphs)


def test_settings_that_are_not_the_papers_are_listed() -> None:
    reinforce = {"steps": 1000, "learning_rate": 0.001, "clip": 1.0, "checkpoint_seconds": 5.0}
    pretrain = {"max_pairs": 7, "training": {"optimizer": "adam"}, "network": {"attention": True}}
    settings = {"train": {"reinforce": reinforce, "pretrain": pretrain}, "nothing": 1}
    table = _table({**_empty(), "settings": settings}, DEPARTURES, "Settings of this run")
    assert table.rows == (
        ("train.reinforce.steps", "10000", "1000"),
        ("train.reinforce.clip", "0.25", "1"),
        ("train.pretrain.max_pairs", "null", "7"),
        ("train.pretrain.training.optimizer", "sgd", "adam"),
        ("train.pretrain.network.attention", "false", "true"),
    )
    assert _table(_empty(), DEPARTURES, "Settings of this run").rows[0] == (MISSING,) * 3


def test_what_one_attack_asks_for_is_added_up() -> None:
    bill = {"method": "rl-beam-50", "before": 140.0, "search": 24.0, "targets": 12.0,
            "a_target": 2.0}  # fmt: skip
    document = {**_empty(), "bills": [bill, {**bill, "before": None}]}
    rows = _table(document, "Queries by phase", "What one attack").rows
    assert rows[0] == ("rl-beam-50", "140", "2.0", "12", "164")
    assert rows[1] == ("rl-beam-50", MISSING, "2.0", "12", MISSING)


def test_the_negative_controls_are_marked_and_judged(full: dict[str, Any]) -> None:
    text = _section(full, "Ablations").paragraphs
    assert (
        "Negative control constant-reward: it lost; of 2 comparisons with the baseline (method "
        "and list) it was below in 2, above in 0, and not told apart in 0." in text
    )
    assert any("shuffled-reward: it did not lose; of 2" in line for line in text)
    assert (
        "Negative control sharpening, on the test lists: it did not lose (sharp: drawn at "
        "temperature 0.5); rl-sampling-200 less pretrained-sharp-200 +0.006 [-0.010, +0.025] on "
        "Real (n 90)." in text
    )
    assert any(line.startswith("No state of shuffled-reward was better") for line in text)
    changed = copy.deepcopy(full)
    lists = changed["ablations"][1]["methods"]["rl-greedy"]["list"]
    lists["real"] = {**lists["real"], "ci95": [-0.1, 0.1]}  # the other is still below
    changed["comparisons"][1] |= {"ci95": [0.01, 0.02]}
    text = _section(changed, "Ablations").paragraphs
    assert any("constant-reward: it lost in part; of 2" in line for line in text)
    assert any("sharpening, on the test lists: it lost (" in line for line in text)
    worse = {**changed["comparisons"][1], "a": "rl-sharp-200", "ci95": [-0.05, -0.01]}
    changed["comparisons"].append(worse)  # the same search, both sharpened
    text = _section(changed, "Ablations").paragraphs
    assert any("sharpening, on the test lists: it did not lose (" in line for line in text)
    names = [row[0] for row in _table(full, "Ablations", "The ablations").rows]
    assert "constant-reward (negative control)" in names
    assert len(names) == len(ABLATIONS)
    assert _row(_table(full, "Ablations", "The ablations"), "no-kl")[2:] == (MISSING,) * 6


def test_a_mean_has_its_own_interval_and_a_difference_its_own(full: dict[str, Any]) -> None:
    rows = _table(full, "Ablations", "Their results").rows
    assert rows[0][5:9] == ("0.400 [0.38, 0.42]", "baseline", "0.300 [0.28, 0.33]", "baseline")
    assert rows[2][5:9] == (
        "0.400 [0.38, 0.42]", "-0.150 [-0.200, -0.100]",
        "0.300 [0.28, 0.33]", "+0.010 [-0.010, +0.030]",
    )  # fmt: skip


def test_what_was_asked_again_stands_beside_what_was_found(full: dict[str, Any]) -> None:
    section = _section(full, "Asked again")
    assert "asked 5 times more" in section.paragraphs[0]
    found, nothing = section.tables[0].rows
    assert found == (
        "sampling", "rl-beam-50", "real", "147", "109", "44", "0.565 [0.53, 0.60]",
        "0.250 [0.20, 0.30]", "-0.315 [-0.350, -0.280]", "29.9% (23.0 to 38.0%)",
        "8.0% (5.0 to 12.0%)", "21.0% (14.0 to 29.0%)", "0.022", "0.300",
    )  # fmt: skip
    assert nothing[:6] == ("sampling", "real-input", "generated", "0", "0", "0")
    assert nothing[6:] == (*["n/e"] * 6, MISSING, MISSING)
    # 0.25 is under 0.3; what has no figure is not counted
    assert section.paragraphs[1].startswith("Asked again, 0 of 1 methods on Real are above")
    assert len(section.paragraphs) == 2
    assert _table(_empty(), "Asked again", "Similarity").rows == ((MISSING,) * 14,)


def test_the_explanation_counts_from_the_document(full: dict[str, Any]) -> None:
    text = " ".join(_section(full, "Where our numbers").paragraphs)
    assert "63,001 in phase reference, reinforce not measured yet" in text
    assert "1-3 words: +127.8%, above the paper's +41.5%; 4-6 words: not measured yet" in text
    changed = copy.deepcopy(full)
    changed["gains"][0]["ceiling_percent"] = 21.9
    text = " ".join(_section(changed, "Where our numbers").paragraphs)
    assert "1-3 words: +21.9%, below the paper's +41.5%" in text


def test_the_presets_own_remarks_are_its_departures() -> None:
    remarks = {key: (value, remark) for key, value, remark in preset_remarks()}
    assert remarks["train.reinforce.samples"] == (
        "1", "ours: the paper calls it N and does not give it",
    )  # fmt: skip
    assert remarks["train.pretrain.training.context_dropout"] == ("0.0", "none")
    assert "chatbot_training.training.epochs" in remarks


def test_what_is_missing_reads_so_and_never_as_nothing() -> None:
    document = _empty()
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
    assert _table(document, "Methods compared", "Difference").rows == ((MISSING,) * 9,)


def test_what_could_not_be_measured_is_not_what_was_not(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    entry = find(changed["pooled"], method="real-input", similarity=RAW, list="real", length="1-3")
    assert isinstance(entry, dict)
    entry |= {"measured": 0, "mean": None, "ci95": None}
    caption = f"Average similarity, real targets, by the paper's, {RAW}"
    row = _row(_table(changed, "Table 1", caption), "real-input", "1-3")
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
    section = _section(full, "Figure 2")
    assert len(section.figures) == 2  # the reward's and the paper's similarity, not the judge's
    panels = {group for curve in section.figures[0].curves.values() for group in curve}
    assert panels == {(name, length) for name in ("generated", "real") for length in LENGTHS}
    changed = copy.deepcopy(full)  # people's own inputs have no generated targets, and come first
    changed["curves"] = [
        c for c in full["curves"] if (c["method"], c["list"]) != ("real-input", "generated")
    ]
    first = next(iter(_section(changed, "Figure 2").figures[0].curves.values()))
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
    assert _section(document, "Figure 2").figures == ()
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
    assert page.figures(_empty()) == {}
    assert "![" not in page.markdown(_empty())
