"""Summaries and benchmark rows: figures by hand, sums that add up, and contradictions refused."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.evaluation.findings import finding
from saywhat.evaluation.statistics import wilson
from saywhat.evaluation.tables import distinct_replies, rows, summarise, with_null
from saywhat.records import Attempt, Finding, Target
from saywhat.similarity.null import GenericReply, NullScores

COUNTS = {"asked": 12, "unique": 10, "sent": 11, "by_phase": {"search": 12}}


def found(
    similarity: float | None,
    *,
    group: tuple[str, str] = ("real", "4-6"),
    reply: str = "some reply",
    seen: bool = False,
    threshold: float = 0.7,
) -> Finding:
    target = Target("the target", list=group[0], length=group[1], seen=seen)
    answer = None if similarity is None else reply
    attempts = [Attempt(target.text, "q", nth, answer, similarity) for nth in (1, 2)]
    return finding(target, attempts, threshold=threshold)


def summary_of(findings: list[Finding], **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "counts": COUNTS, "chatbot": "builtin", "method": "beam", "similarity": "exact",
        "threshold": 0.7, "status": "complete", "rng": np.random.default_rng(1),
    }  # fmt: skip
    return summarise(findings, **{**arguments, **changes})


FINDINGS = [
    found(0.95, reply="The target!"),
    found(0.65),
    found(None),
    found(0.75, group=("real", "10-12"), seen=True),
    found(0.55, group=("generated", "1-3")),
    found(None, group=("generated", "7-10")),
]


def test_the_whole_run_by_hand() -> None:
    summary = summary_of(FINDINGS)
    expected = {
        "schema": 1, "status": "complete", "chatbot": "builtin", "method": "beam",
        "similarity": "exact", "threshold": 0.7, "targets": 6, "measured": 4, "unmeasured": 2,
        "elicited": 2, "exact": 1, "mean_similarity": 0.725, "asked": 12, "failed": 4,
        "queries": COUNTS, "elicited_rate": 0.5, "distinct_best_replies": 2, "ci95": None,
        "null": None,
    }  # fmt: skip
    assert {key: summary[key] for key in expected} == expected
    assert summary["success"] == {
        "0.5": 1.0, "0.6": 0.75, "0.7": 0.5, "0.8": 0.25, "0.9": 0.25, "1.0": 0.0,
    }  # fmt: skip
    half = wilson(2, 4)
    assert half is not None
    assert summary["elicited_ci95"] == half.as_list() == summary["success_ci95"]["0.7"]
    assert (summary["seen"]["targets"], summary["seen"]["elicited_rate"]) == (1, 1.0)
    assert (summary["unseen"]["targets"], summary["unseen"]["measured"]) == (5, 3)


def test_the_groups_by_hand() -> None:
    groups = summary_of(FINDINGS)["groups"]
    assert [(group["list"], group["length"]) for group in groups] == [
        ("generated", "1-3"), ("generated", "7-10"), ("real", "4-6"), ("real", "10-12"),
    ]  # fmt: skip
    real = groups[2]
    assert (real["targets"], real["measured"], real["unmeasured"]) == (3, 2, 1)
    # Over measured targets: one of two is exact; the mean is (0.95 + 0.65) / 2.
    assert (real["exact"], real["mean_similarity"], real["success"]["0.7"]) == (0.5, 0.8, 0.5)


def test_a_group_without_a_measured_target_has_no_rates() -> None:
    group = summary_of(FINDINGS)["groups"][1]
    assert (group["measured"], group["unmeasured"], group["elicited"]) == (0, 1, 0)
    for key in ("mean_similarity", "exact", "ci95", "elicited_rate", "elicited_ci95"):
        assert group[key] is None
    assert set(group["success"].values()) == {None}
    assert set(group["success_ci95"].values()) == {None}


def test_the_summary_is_plain_json() -> None:
    null = NullScores(50, 0.1, 0.5, (GenericReply("i don't know", 0.2, 0.3),))
    summary = with_null(summary_of(FINDINGS), null)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["null"] == {
        "pairs": 50, "mean": 0.1, "p95": 0.5,
        "generic": [{"reply": "i don't know", "share": 0.2, "mean": 0.3}],
    }  # fmt: skip


def test_intervals_hold_their_means_and_repeat_with_the_rng() -> None:
    similarities = np.random.default_rng(4).uniform(0, 1, size=60)
    findings = [found(float(similarity)) for similarity in similarities]
    summary = summary_of(findings)
    low, high = summary["ci95"]
    assert low < summary["mean_similarity"] < high
    assert summary == summary_of(findings)


@settings(deadline=None)  # time says nothing on a busy machine
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(-1, 1),
            st.tuples(st.sampled_from(["real", "generated"]), st.sampled_from(["1-3", ""])),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_parts_add_up_to_the_whole(
    drawn: list[tuple[float | None, tuple[str, str], bool]],
) -> None:
    findings = [found(similarity, group=group, seen=seen) for similarity, group, seen in drawn]
    summary = summary_of(findings)
    assert summary["targets"] == len(findings)
    assert summary["measured"] + summary["unmeasured"] == summary["targets"]
    for key in ("targets", "measured", "unmeasured", "elicited", "asked", "failed"):
        assert sum(group[key] for group in summary["groups"]) == summary[key]
    elicited = summary["success"]["0.7"]
    assert elicited is None or round(elicited * summary["measured"]) == summary["elicited"]


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        ({"threshold": 0.8}, "is elicited with similarity 0.75 at threshold 0.8"),
        ({"counts": {"asked": 1}}, "the counts lack"),
        ({"counts": {**COUNTS, "unique": 13}}, "13 unique queries of 11 sent"),
        ({"counts": {**COUNTS, "by_phase": {"search": 11}}}, "12 queries asked, 11 over"),
    ],
)
def test_contradictions_are_our_own_bugs(changes: dict[str, Any], contradiction: str) -> None:
    with pytest.raises(RuntimeError, match=contradiction) as caught:
        summary_of(FINDINGS, **changes)
    assert "bug in saywhat" in str(caught.value)


def test_an_outcome_that_its_similarity_denies_is_refused() -> None:
    wrong = dataclasses.replace(FINDINGS[1], outcome="elicited")
    with pytest.raises(RuntimeError, match=r"is elicited with similarity 0\.65"):
        summary_of([wrong])
    with pytest.raises(RuntimeError, match="exact but unmeasured"):
        summary_of([dataclasses.replace(FINDINGS[2], exact=True)])


def test_benchmark_rows_by_hand() -> None:
    summary = with_null(summary_of(FINDINGS), NullScores(50, 0.04, 0.5, ()))
    made = rows(
        summary, seed=3, training_queries=250, seconds=60.0, distinct_replies={"real 4-6": 9}
    )
    assert [row["queries_total"] for row in made] == [2, 2, 6, 2]
    row = made[2]
    expected = {
        "chatbot": "builtin", "method": "beam", "list": "real", "length": "4-6", "seed": 3,
        "targets": 3, "measured": 2, "mean_similarity": 0.8, "ci95": None, "exact": 0.5,
        "success": summary["groups"][2]["success"], "queries_per_target": 2.0, "queries_total": 6,
        "training_queries": 250, "distinct_replies": 9, "null_mean": 0.04,
        "seconds": 30.0,  # 6 of the 12 queries
        "similarity": "exact",
    }  # fmt: skip
    assert row == expected
    assert made[0]["distinct_replies"] is None


def test_rows_without_queries_or_null() -> None:
    nothing = finding(Target("t"), [], threshold=0.7)
    counts = {"asked": 0, "unique": 0, "sent": 0, "by_phase": {}}
    (row,) = rows(
        summary_of([nothing], counts=counts),
        seed=1, training_queries=0, seconds=1.0, distinct_replies={},
    )  # fmt: skip
    assert (row["null_mean"], row["seconds"], row["queries_per_target"]) == (None, None, 0.0)


def test_distinct_replies_are_counted_after_normalisation() -> None:
    replies = ["Hi!", "hi", "you", None]
    attempts = [Attempt("t", "q", nth, reply) for nth, reply in enumerate(replies, start=1)]
    assert distinct_replies(attempts) == 2
