"""From attempts to a finding: which attempt is the best, and what never counts."""

import dataclasses
import itertools

import pytest

from saywhat.evaluation.findings import finding
from saywhat.records import Attempt, Target

TARGET = Target("I love you.", list="real", length="1-3", query="how are we?", seen=True)


def asked(nth: int, similarity: float | None, reply: str | None = "r", **rest: str) -> Attempt:
    return Attempt(TARGET.text, f"q{nth}", nth, reply, similarity, **rest)


def test_every_field_of_an_elicited_target() -> None:
    attempts = [
        asked(1, 0.3),
        asked(2, None, None, error="timed out"),
        asked(3, 0.75, "i like you"),
        asked(4, 1.0, "i love YOU"),
        asked(5, 1.0, "i love you"),
    ]
    found = finding(TARGET, attempts, threshold=0.7)
    assert dataclasses.asdict(found) == {
        "target": "I love you.", "list": "real", "length": "1-3", "group": "real 1-3",
        "outcome": "elicited", "query": "q4", "reply": "i love YOU", "similarity": 1.0,
        "exact": True, "queries_to_first_success": 3, "asked": 5, "failed": 1, "echo": 0.0,
        "seen": True, "reason": "",
    }  # fmt: skip


def test_the_order_of_the_list_does_not_matter() -> None:
    attempts = [asked(1, 0.2), asked(2, 0.8, "a"), asked(3, 0.8, "b"), asked(4, None, None)]
    found = {finding(TARGET, ways, threshold=0.5) for ways in itertools.permutations(attempts)}
    assert len(found) == 1
    assert found.pop().query == "q2"  # the earliest of equals


def test_below_the_threshold_is_not_elicited() -> None:
    found = finding(TARGET, [asked(1, 0.69), asked(2, -0.5)], threshold=0.7)
    assert found.outcome == "not_elicited"
    assert found.queries_to_first_success is None
    assert (found.query, found.similarity, found.exact) == ("q1", 0.69, False)


def test_a_negative_similarity_is_measured() -> None:
    assert finding(TARGET, [asked(1, -1.0)], threshold=0.7).outcome == "not_elicited"


def test_exact_needs_the_same_words_not_the_same_similarity() -> None:
    # The embedding average gives "you love i" 1.0; the order of words still counts for `exact`.
    found = finding(TARGET, [asked(1, 1.0, "you love i")], threshold=1.0)
    assert (found.outcome, found.exact) == ("elicited", False)
    assert not finding(Target("?!"), [asked(1, 0.0, "...")], threshold=1.0).exact


def test_a_free_look_up_is_no_query_and_comes_before_the_first() -> None:
    found = finding(TARGET, [asked(1, 0.9), asked(0, 0.9)], threshold=0.7)
    assert (found.query, found.queries_to_first_success, found.asked) == ("q0", 0, 1)


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        ([], "no query was asked"),
        (
            [asked(1, None, None, error="timed out"), asked(2, None, None, error="refused")],
            "the chatbot answered none of 2 queries: timed out",
        ),
        ([asked(1, None, None)], "the chatbot answered none of 1 query"),
    ],
)
def test_without_a_reply_a_target_is_unmeasured(attempts: list[Attempt], reason: str) -> None:
    found = finding(TARGET, attempts, threshold=0.0)
    assert (found.outcome, found.reason) == ("unmeasured", reason)
    assert (found.asked, found.failed) == (len(attempts), len(attempts))
    assert (found.query, found.reply, found.similarity) == ("", "", None)
    assert (found.exact, found.queries_to_first_success, found.echo) == (False, None, 0.0)
    assert (found.group, found.seen) == ("real 1-3", True)


def test_an_unmeasurable_target_is_unmeasured_whatever_was_asked() -> None:
    found = finding(TARGET, [asked(1, 0.0)], threshold=0.0, reason="it has no known word")
    assert (found.outcome, found.reason, found.asked) == ("unmeasured", "it has no known word", 1)


def test_a_failed_attempt_never_counts_even_with_a_similarity() -> None:
    assert finding(TARGET, [asked(1, 1.0, None)], threshold=0.5).outcome == "unmeasured"


def test_a_target_without_a_length_has_its_list_as_group() -> None:
    assert finding(Target("hi"), [], threshold=0.5).group == "custom"


def test_echo_is_the_share_of_the_targets_words_that_the_best_query_holds() -> None:
    target = Target("I love you")
    attempts = [
        Attempt(target.text, "Who do YOU love?", 1, "i love", 0.9),
        Attempt(target.text, "i love you", 2, "no", 0.1),
    ]
    assert finding(target, attempts, threshold=0.5).echo == pytest.approx(2 / 3)


def test_of_equal_similarities_an_exact_reply_comes_first() -> None:
    # word order is invisible to an average: both score 1, only the second says it
    turned = Attempt("you love me", "a", 1, "me you love", 1.0)
    said = Attempt("you love me", "b", 2, "You love me!", 1.0)
    found = finding(Target("you love me"), [turned, said], threshold=0.7)
    assert (found.query, found.exact) == ("b", True)
    assert found.queries_to_first_success == 1
