"""A made-up results document of the experiment, and how to look things up on its page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saywhat.experiment import page
from saywhat.experiment.design import ABLATIONS, GUIDED, UNGUIDED
from saywhat.experiment.paper import LENGTHS, TABLE_1
from saywhat.experiment.parts import Parts
from saywhat.experiment.results.document import document as results_document
from saywhat.reports.pages import Section
from saywhat.reports.table import Table
from tests.experiment_parts import JUDGE, RAW, REWARD, Made

THRESHOLDS = ("0.5", "0.6", "0.7", "0.8", "0.9", "1.0")


def pooled(method: str, similarity: str, name: str, length: str, **changes: Any) -> Any:
    success = {point: {"share": 0.687, "ci95": [0.648, 0.723]} for point in THRESHOLDS}
    return {
        "chatbot": "builtin", "method": method, "similarity": similarity, "list": name,
        "length": length, "seeds": [1, 2, 3], "targets": 200, "measured": 598, "mean": 0.6213,
        "ci95": [0.6, 0.64], "success": success, "exact": {"share": 0.1, "ci95": [0.08, 0.12]},
        "null_mean": 0.022, "generic_best": 0.113, "distinct_replies": 900.0,
        "queries_per_target": 200.0, **changes,
    }  # fmt: skip


def curve(method: str, similarity: str, name: str, length: str) -> Any:
    return {
        "method": method, "similarity": similarity, "list": name, "length": length,
        "thresholds": [0.5, 0.6, 0.7, 0.8, 0.9, 1.0],
        "share": [0.95, 0.9, 0.5, 0.3, 0.2, 0.004],
        "low": [0.9, 0.85, 0.45, 0.25, 0.15, 0.0], "high": [1.0, 0.95, 0.55, 0.35, 0.25, 0.02],
    }  # fmt: skip


def empty() -> dict[str, Any]:
    """The document of an experiment of which nothing is finished."""
    tests = [f"evaluate/main/seed-1/{each.name}" for each in (*UNGUIDED, *GUIDED)]
    names = ["collect/main", "reinforce/main/seed-2", "human/main", *tests]
    settings: dict[str, Any] = {"preset": "small", "seeds": [1, 2, 3], "chatbot": "builtin"}
    return results_document(Parts(Path("nowhere")), names, **settings)


def ablation(name: str, ends: Sequence[float] | None) -> dict[str, Any]:
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


def full_document() -> dict[str, Any]:
    made = empty()
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
            *(pooled(*key) for key in every),
            pooled("rl-beam-50", REWARD, "real", "all", chatbot="sampling", generic_best=0.3),
        ],
        "curves": [curve(*key) for key in every if key[1] != JUDGE and key[0] in TABLE_1],
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
            ablation("baseline", None),
            ablation("constant-reward", [-0.2, -0.1]),
            ablation("shuffled-reward", [-0.02, 0.04]),
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


def section_of(document: dict[str, Any], title: str) -> Section:
    return next(each for each in page.sections(document) if each.title.startswith(title))


def table_of(document: dict[str, Any], title: str, caption: str) -> Table:
    tables = section_of(document, title).tables
    return next(table for table in tables if table.caption.startswith(caption))


def row_of(table: Table, *start: str) -> tuple[str, ...]:
    return next(row for row in table.rows if row[: len(start)] == start)


def made_of(made: Made, names: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """Make the document, and see that it is plain JSON whatever it holds."""
    settings = {"preset": "tiny", "seeds": [1, 2], "chatbot": "builtin", **changes}
    found = results_document(made.parts(), made.names if names is None else names, **settings)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def the(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    """Give the one row that has these values."""
    (row,) = [r for r in rows if all(r[key] == value for key, value in wanted.items())]
    return row
