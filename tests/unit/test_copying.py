"""Copy rates, worked by hand."""

import pytest

from saywhat.evaluation.copying import Copying, CopyRates, copy_rates, copying, found_pairs
from saywhat.evaluation.findings import finding
from saywhat.records import Attempt, Target


@pytest.mark.parametrize(
    ("query", "target", "expected"),
    [
        # distinct words of the target: i, hate, cold, coffee; content: hate, cold, coffee
        ("I drink coffee.", "i hate cold coffee, coffee", Copying(2 / 4, 1 / 3, False)),
        ("coffee", "Coffee!", Copying(1.0, 1.0, True)),
        ("say: I don't know.", "i dont know", Copying(1.0, None, True)),  # no content word
        ("know I don't", "i don't know", Copying(1.0, None, False)),  # all words, another order
        ("catalogue", "cat", Copying(0.0, 0.0, False)),  # part of a word is none
        ("the cats", "the cat", Copying(0.5, 0.0, False)),
        ("", "tea", Copying(0.0, 0.0, False)),
        ("tea", "", Copying(0.0, None, False)),
        ("?!", "...", Copying(0.0, None, False)),
    ],
)
def test_copying_by_hand(query: str, target: str, expected: Copying) -> None:
    assert copying(query, target) == expected


def test_rates_are_means_over_what_can_be_measured() -> None:
    pairs = [("coffee", "hot coffee"), ("i know", "i know"), ("why", "hot tea")]
    # words 1/2, 1, 0; content 1/2, none, 0; contained no, yes, no
    assert copy_rates(pairs) == CopyRates(3, 0.5, 0.25, 1 / 3)
    assert copy_rates([]) == CopyRates(0, None, None, None)


def test_found_pairs_are_those_of_elicited_targets() -> None:
    hit = finding(Target("tea"), [Attempt("tea", "say tea", 1, "tea", 1.0)], threshold=0.7)
    miss = finding(Target("rum"), [Attempt("rum", "say rum", 1, "no", 0.1)], threshold=0.7)
    unmeasured = finding(Target("gin"), [], threshold=0.7)
    assert found_pairs([hit, miss, unmeasured]) == [("say tea", "tea")]
