"""Keywords as a goal: the similarity ``contains``, and targets for it."""

import itertools
from pathlib import Path

import pytest

from saywhat.corpora.keywords import keyword_targets
from saywhat.errors import CorpusError
from saywhat.similarity import Contains, make_similarity
from saywhat.text.stopwords import FUNCTION_WORDS, STOPWORDS, content_words, is_content_word

REPLIES = [f"I like {a} and {b} with my {c}!" for a, b, c in itertools.permutations(
    ["coffee", "music", "football", "pizza"], 3)]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "target", "share"),
    [
        ("we drink coffee and tea", "tea coffee", 1.0),  # in any order
        ("COFFEE? Tea!", "coffee tea", 1.0),
        ("i don\u2019t drink tea", "dont", 1.0),
        ("coffee", "coffee tea", 1 / 2),
        ("tea tea tea", "coffee tea milk", 1 / 3),
        ("teapots and coffees", "tea coffee", 0.0),  # whole words only
        ("coffee", "coffee coffee coffee tea", 1 / 2),  # repetition does not count
        ("coffee tea", "coffee", 1.0),  # directed: more may be said
        ("tea " * 50_000 + "<b>\u202e", "tea", 1.0),
    ],
)
def test_the_share_of_words_that_are_there(reply: str, target: str, share: float) -> None:
    assert Contains().score([reply], [target]) == [share]


def test_it_is_made_by_name() -> None:
    made = make_similarity("contains", vectors="unused", centre=Path("none"))
    assert made.score(["a b"], ["b a"]) == [1.0]


def test_stop_words_are_written_as_normalise_leaves_words() -> None:
    assert all(word.isalpha() and word == word.lower() for word in STOPWORDS)
    assert FUNCTION_WORDS < STOPWORDS
    # to leave these out would turn a sentence round
    assert not FUNCTION_WORDS & {"not", "no", "never", "dont", "cannot", "without"}


def test_keywords_are_content_words_of_one_reply_in_its_order() -> None:
    targets = keyword_targets(REPLIES, per_count=4, seed=1)
    assert [(t.list, t.length) for t in targets[::4]] == [("keywords", n) for n in "123"]
    assert len(targets) == 12
    for target in targets:
        words = target.text.split()
        assert len(words) == int(target.length)
        assert all(map(is_content_word, words))
        holds = [r for r in REPLIES if Contains().score([r], [target.text]) == [1.0]]
        assert any([w for w in content_words([r]) if w in words] == words for r in holds)


def test_no_two_targets_hold_the_same_words() -> None:
    targets = keyword_targets(REPLIES, per_count=4, seed=1)
    assert len({frozenset(target.text.split()) for target in targets}) == len(targets)


def test_of_replies_with_the_same_words_one_gives_their_order() -> None:
    # the first by spelling, whatever the order of the replies
    replies = ["tea beats coffee", "coffee beats tea", "Beats: coffee, tea"]
    (target,) = keyword_targets(replies, per_count=1, seed=1, counts=[3])
    assert target.text == "beats coffee tea"
    for order in itertools.permutations(replies):
        assert keyword_targets(order, per_count=1, seed=1, counts=[3]) == [target]


def test_neither_order_nor_number_of_replies_matters_but_the_seed_does() -> None:
    made = keyword_targets(REPLIES, per_count=3, seed=1)
    assert keyword_targets(REPLIES[::-1] * 3, per_count=3, seed=1) == made
    others = [keyword_targets(REPLIES, per_count=3, seed=seed) for seed in range(2, 6)]
    assert any(other != made for other in others)


def test_too_few_sets_are_an_error_or_told() -> None:
    # four words make four sets of one
    with pytest.raises(CorpusError, match="Expected 5 targets of 1 keywords, found 4"):
        keyword_targets(REPLIES, per_count=5, seed=1)
    told: list[str] = []
    targets = keyword_targets(["yes", "thats cool"], per_count=2, seed=1, short=told.append)
    assert targets == []
    assert len(told) == 3
