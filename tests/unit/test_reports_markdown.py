"""Markdown tables from results: the paper's own Table 1 as known answer, and hostile names."""

import re
from typing import Any

import pytest

from saywhat.reports.curves import effort_table, similarity_tables
from saywhat.reports.markdown import markdown_table, results_table
from saywhat.reports.table import Column, Table

HOSTILE = [
    "a|b\n# heading\n| c |",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1)) ![y](http://evil.invalid/z.png)",
    "`code` **bold** _em_ ~~s~~ $math$",
    "http://evil.invalid www.evil.invalid a@evil.invalid",
    "\\| \\",
    "\u202e\x00\ud800",
    "x" * 100_000,
]
# Paper, Table 1.
PAPER = {
    "real-input": (0.439, 0.518, 0.566),
    "pretrained-greedy": (0.446, 0.529, 0.559),
    "rl-greedy": (0.486, 0.560, 0.588),
    "rl-beam-50": (0.599, 0.678, 0.709),
    "rl-beam-200": (0.621, 0.694, 0.726),
}


def _row(method: str, length: str, mean: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "chatbot": "builtin", "method": method, "list": "real", "length": length, "seed": 1,
        "targets": 200, "measured": 200 if mean is not None else 0, "mean_similarity": mean,
        "ci95": None, "exact": 0.1, "success": {"0.5": 0.9, "1.0": 0.1}, "queries_total": 40_000,
        "queries_per_target": 200, "training_queries": 250_000, "distinct_replies": 900,
        "null_mean": 0.04, "seconds": 61.0, **changes,
    }  # fmt: skip


def _results(rows: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1, "name": "road", "command": "make bench NAME=road", "commit": "c" * 40,
        "seeds": [1], "hardware": "2 cores", "packages": {}, "rows": rows, **changes,
    }  # fmt: skip


def _cells(line: str) -> list[str]:
    return re.split(r" \| ", line.removeprefix("| ").removesuffix(" |"))


def test_the_papers_table_1_gives_the_papers_improvements() -> None:
    rows = [
        _row(method, length, mean)
        for method, means in reversed(PAPER.items())
        for length, mean in zip(("1-3", "4-6", "7-10"), means, strict=True)
    ]
    (table,) = similarity_tables(rows)
    assert [row[0] for row in table.rows][:2] == ["null (unrelated replies)", "real-input"]
    # "the similarity is improved by 41.5%, 34.0% and 28.3%" (Section 5.2)
    best = next(row for row in table.rows if row[0] == "rl-beam-200")
    assert best[1:] == ("0.621", "+41.5%", "0.694", "+34.0%", "0.726", "+28.3%")
    assert "| rl-beam-200 | 0.621 | +41.5% | 0.694 | +34.0% | 0.726 | +28.3% |" in results_table(
        _results(rows)
    )


def test_seeds_are_averaged_and_their_spread_is_shown() -> None:
    rows = [_row("m", "1-3", mean, seed=seed) for seed, mean in enumerate((0.5, 0.6, 0.7))]
    (table,) = similarity_tables(rows)
    assert table.rows[-1] == ("m", "0.600 [0.50, 0.70] (3 seeds)")
    (effort,) = effort_table(rows).rows
    # 3 x 200 targets; 3 x 40,000 queries over 600 targets
    assert effort == (
        "builtin", "m", "real", "3", "600/600", "10.0%", "200", "250,000", "900",
    )  # fmt: skip


def test_what_is_not_measured_is_not_zero() -> None:
    rows = [_row("m", "1-3", None, exact=None, success={"0.5": None, "1.0": None})]
    text = results_table(_results(rows))
    assert "| m | n/e |" in text
    assert "0.000" not in text
    assert "0.0%" not in text


def test_lists_and_chatbots_have_their_own_tables() -> None:
    rows = [_row("m", "1-3", 0.5), _row("m", "1-3", 0.6, list="generated")]
    rows += [_row("m", "1-3", 0.7, chatbot="other")]
    text = results_table(_results(rows))
    assert len(re.findall(r"^\*\*Average similarity", text, re.MULTILINE)) == 3
    assert len(re.findall(r"^\*\*Success", text, re.MULTILINE)) == 3
    assert "From road: make bench NAME=road; seeds 1; commit cccccccccccc; 2 cores" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_cell(text: str) -> None:
    table = Table(text, (Column(text, "said"), Column("N")), ((text, "1"), (text, "2")), note=text)
    lines = markdown_table(table).rstrip("\n").split("\n")
    assert len(lines) == 8  # caption, gap, head, rule, two rows, gap, note
    assert [len(_cells(line)) for line in lines[2:6]] == [2, 2, 2, 2]
    for line in (lines[0].removeprefix("**").removesuffix("**"), _cells(lines[4])[0], lines[7]):
        bare = re.sub(r"\\\\", "", line)
        assert not re.search(r"(?<!\\)[|`*_\[\]~$@]", bare)
        assert not re.search(r"[<>]", bare)
        assert not re.search(r"(?<!\\)://", bare)
        assert "www." not in bare
        assert line.isprintable()
        assert len(line) < (4100 if line is lines[7] else 700)  # notes are ours, and longer


def test_only_what_others_said_is_cut_early() -> None:
    columns = (Column("Ours", "text"), Column("Theirs", "said"))
    text = markdown_table(Table("T", columns, (("x" * 3000, "y" * 3000),), note="z" * 3000))
    assert "x" * 3000 in text
    assert "z" * 3000 in text
    assert "y" * 301 not in text


def test_hostile_names_in_results_are_shown_harmlessly() -> None:
    rows = [_row(text, text, 0.5, list=text, chatbot=text) for text in HOSTILE]
    text = results_table(_results(rows, name=HOSTILE[1], command=HOSTILE[0], hardware=HOSTILE[4]))
    assert "<script" not in text
    assert "characters in all" in text
    assert text.encode("utf-8")


@pytest.mark.parametrize("changes", [{"schema": 2}, {"rows": []}])
def test_other_results_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="schema 1"):
        results_table({**_results([_row("m", "1-3", 0.5)]), **changes})


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected 1 cells, got 2"):
        Table("t", (Column("a"),), (("1", "2"),))
