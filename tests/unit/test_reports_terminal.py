"""The summary in a terminal: a golden file, no escape from hostile text, no number ever cut."""

import io
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from saywhat.evaluation.tables import summarise, with_null
from saywhat.records import Finding
from saywhat.reports.sections import best_cases
from saywhat.reports.terminal import print_summary
from saywhat.similarity.null import NullScores

GOLDEN = Path(__file__).parent / "golden" / "terminal.txt"
HOSTILE = [
    "\x1b[2J\x1b]8;;http://evil.invalid\x07click\x1b]8;;\x07",
    "[red]not red[/red] [link=http://evil.invalid]x[/link] [/]",
    "\u202egnp.exe\u2069\u200b\x00\r\b",
    "\ud800",
    "line\nbreak\u2028",
    "x" * 100_000,
]


def _finding(target: str, similarity: float | None, **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "target": target, "list": "generated", "length": "1-3", "group": "generated 1-3",
        "outcome": "unmeasured" if similarity is None else
        "elicited" if similarity >= 0.7 else "not_elicited",
        "query": "how is nephew ?", "reply": "he's good", "similarity": similarity,
        "exact": similarity == 1.0, "queries_to_first_success": 12 if (similarity or 0) >= 0.7
        else None, "asked": 50, "failed": 50 if similarity is None else 0, "echo": 0.25,
        "seen": False, "reason": "timed out" if similarity is None else "",
    }  # fmt: skip
    return Finding(**{**fields, **changes})


def _summary(findings: list[Finding], **changes: Any) -> dict[str, Any]:
    asked = sum(item.asked for item in findings)
    labels = {"chatbot": "builtin", "method": "beam", "similarity": "exact", **changes}
    counts = {"asked": asked, "unique": asked, "sent": asked + 3, "by_phase": {"search": asked}}
    summary = summarise(
        findings,
        counts=counts,
        threshold=0.7,
        status="complete",
        rng=np.random.default_rng(1),
        **labels,
    )
    return with_null(summary, NullScores(pairs=100, mean=0.04, p95=0.55, generic=()))


def _printed(findings: list[Finding], *, width: int, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        color_system="truecolor" if colour else None,
        force_terminal=colour,
        legacy_windows=False,
        _environ={},
    )
    print_summary(console, _summary(findings), findings, cases=6)
    return file.getvalue()


def _findings() -> list[Finding]:
    return [
        _finding("he's a good guy", 0.982),
        _finding("i'm not ready for this", 1.0, reply="i'm not ready for this", echo=0.6),
        _finding("i was there", 0.4),
        _finding("see you", None),
        *[_finding(f"sure {n}", 0.5 + n / 20, group="real 4-6", list="real", length="4-6")
          for n in range(6)],
    ]  # fmt: skip


def test_the_terminal_summary_is_the_golden_file() -> None:
    lines = [line.rstrip() for line in _printed(_findings(), width=100).splitlines()]
    assert "\n".join(lines) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_hostile_text_neither_acts_nor_becomes_markup() -> None:
    findings = [
        _finding(text, 0.9, query=text, reply=text, list=text[:50], group=text[:50], length="")
        for text in HOSTILE
    ]
    printed = _printed(findings, width=120, colour=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)  # the colours, which are rich's own
    acting = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert {c for c in plain if unicodedata.category(c) in acting} == {"\n"}
    joined = re.sub(r"\s", "", plain)
    assert "[red]notred[/red]" in joined
    assert "U+202E" in joined
    assert "U+D800" in joined
    assert "100,000charactersinall" in joined
    assert joined.count("x") < 1_000  # three cells of 160, a list of 50, and words


@pytest.mark.parametrize("width", [30, 60, 79, 80, 100, 200])
def test_no_number_is_cut_at_any_width(width: int) -> None:
    findings = [_finding(f"t{n}", 0.9, asked=41_237) for n in range(30)]
    findings += [_finding(f"u{n}", 0.9, asked=1, list="real", group="real 1-3") for n in range(9)]
    printed = _printed(findings, width=width)
    # 30 x 41,237 = 1,237,110 asked in the first group, 1,237,119 in all.
    assert "1,237,110" in printed
    assert printed.count("1,237,119") == 3  # the table's total; asked and unique at the end
    assert all(len(line) <= max(width, 60) for line in printed.splitlines())


def test_nothing_measured_is_inconclusive_and_not_zero() -> None:
    printed = _printed([_finding("a", None), _finding("b", None)], width=100)
    assert printed.startswith("Inconclusive: none of 2 targets could be measured.")
    assert "n/e" in printed
    assert "0%" not in printed


def test_best_cases_are_elicited_first_then_similar_then_cheap() -> None:
    cheap = _finding("cheap", 0.9, queries_to_first_success=2)
    dear = _finding("dear", 0.9, queries_to_first_success=40)
    best = _finding("best", 0.95, queries_to_first_success=50)
    missed = _finding("missed", 0.69)
    unmeasured = _finding("unmeasured", None)
    assert best_cases([missed, unmeasured, dear, best, cheap], 9) == [best, cheap, dear, missed]
    assert best_cases([dear, cheap], 1) == [cheap]
