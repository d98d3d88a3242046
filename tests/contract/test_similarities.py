"""The contract of ``Similarity``, over every implementation."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.interfaces import Similarity
from saywhat.similarity.contains import Contains
from saywhat.similarity.embedding_average import (
    CentredEmbeddingAverage,
    EmbeddingAverage,
    fit_centre,
)
from saywhat.similarity.exact import Exact
from saywhat.text.vectors import WordVectors
from tests.tiny_encoders import tiny_encoder

WORDS = ("i", "do", "n't", "know", "you", "love", "good", "bad", "7", "café")
VECTORS = WordVectors(
    WORDS, np.random.default_rng(7).normal(size=(len(WORDS), 5)).astype(np.float32)
)
MAKERS: dict[str, Callable[[], Similarity]] = {
    "embedding-average": lambda: EmbeddingAverage(VECTORS),
    "embedding-average-centred": lambda: CentredEmbeddingAverage(
        VECTORS, fit_centre(VECTORS, ["i do n't know you", "i love you"])
    ),
    "exact": Exact,
    "contains": Contains,
    "sentence-encoder": tiny_encoder,
}
DIRECTED = {"contains"}  # the reply holds the target, not the other way round
ROUNDED = {"sentence-encoder": 1e-6}  # single precision: the order of sums depends on the batch
TEXTS = st.one_of(
    st.lists(st.sampled_from([*WORDS, "?", "zzz"]), max_size=6).map(" ".join), st.text(max_size=12)
)


@pytest.fixture(params=MAKERS)
def similarity(request: pytest.FixtureRequest) -> Similarity:
    return MAKERS[request.param]()


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_a_similarity_and_knows_its_name(name: str) -> None:
    made = MAKERS[name]()
    assert isinstance(made, Similarity)
    assert made.name == name


@pytest.mark.parametrize("text", ["i love you", "I don't know!", "good", "good good bad 7"])
def test_equal_texts_of_known_words_score_exactly_one(similarity: Similarity, text: str) -> None:
    assert similarity.measurable(text)
    assert similarity.score([text], [text]) == [1.0]
    assert similarity.score([text], [text.upper() + " !!"]) == [1.0]


@pytest.mark.parametrize("nothing", ["", "   ", "?!", ":)", "\u200b"])
def test_text_without_words_scores_zero_on_either_side(
    similarity: Similarity, nothing: str
) -> None:
    assert not similarity.measurable(nothing)
    scores = similarity.score([nothing, "good", nothing], ["good", nothing, nothing])
    assert scores == [0.0, 0.0, 0.0]


def test_order_and_number_are_kept(similarity: Similarity) -> None:
    assert similarity.score([], []) == []
    assert similarity.score(["good", "?", "bad"], ["good", "good", "bad"]) == [1.0, 0.0, 1.0]


def test_different_lengths_are_refused(similarity: Similarity) -> None:
    with pytest.raises(ValueError, match="as many replies as targets, got 2 and 1"):
        similarity.score(["good", "bad"], ["good"])


@settings(deadline=None)  # time says nothing on a busy machine
@given(data=st.data(), name=st.sampled_from(sorted(MAKERS)))
def test_a_score_depends_on_its_two_texts_only(data: st.DataObject, name: str) -> None:
    pairs = data.draw(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=10))
    replies, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    used = MAKERS[name]()
    together = used.score(replies, targets)
    assert together == used.score(replies, targets)  # no state
    alone = [MAKERS[name]().score([reply], [target])[0] for reply, target in pairs]
    assert together == pytest.approx(alone, abs=ROUNDED.get(name, 0.0), rel=0)  # whatever the batch
    if name not in DIRECTED:
        assert together == used.score(targets, replies)  # symmetric
    assert all(-1.0 <= score <= 1.0 for score in together)


@settings(deadline=None)  # time says nothing on a busy machine
@given(text=TEXTS, name=st.sampled_from(sorted(MAKERS)))
def test_measurable_means_that_the_text_matches_itself(text: str, name: str) -> None:
    made = MAKERS[name]()
    assert made.score([text], [text]) == [1.0 if made.measurable(text) else 0.0]
