"""The paper's similarity against hand-worked numbers, its centred form, and their blind spots."""

from pathlib import Path

import numpy as np
import pytest

from saywhat.errors import CheckpointError, SetupError
from saywhat.similarity.embedding_average import (
    CentredEmbeddingAverage,
    EmbeddingAverage,
    fit_centre,
    load_centre,
    save_centre,
)
from saywhat.text.vectors import WordVectors, load_vectors

UP, RIGHT, LEFT, DIAG = [0, 1], [1, 0], [-1, 0], [3, 4]


@pytest.fixture
def toy() -> WordVectors:
    rows = np.array([UP, RIGHT, LEFT, DIAG], dtype=np.float32)
    return WordVectors(["up", "right", "left", "diag"], rows)


@pytest.fixture(scope="module")
def glove() -> WordVectors:
    return load_vectors("glove-6b-50d")


@pytest.mark.parametrize(
    ("reply", "target", "cosine"),
    [
        ("up", "right", 0.0),
        ("left", "right", -1.0),
        ("up", "diag", 0.8),  # (0, 1) . (3, 4) / 5
        ("up right", "diag", 1.4 / 2**0.5),  # (1, 1) / sqrt 2 . (3, 4) / 5
        # "diag" weighs 5 times as much as "up": (3, 5) . (0, 1) / sqrt 34. A mean of unit vectors
        # would give (0.6, 1.8) . (0, 1) / sqrt 3.6 = 0.949 instead.
        ("diag up", "up", 5 / 34**0.5),
        ("up up right", "right", 1 / 5**0.5),  # repeated words count: (1, 2) . (1, 0) / sqrt 5
        ("UP, right?! zzz :)", "diag", 1.4 / 2**0.5),  # punctuation and unknown words do not
    ],
)
def test_the_cosine_by_hand(toy: WordVectors, reply: str, target: str, cosine: float) -> None:
    assert EmbeddingAverage(toy).score([reply], [target]) == [pytest.approx(cosine, abs=1e-9)]


def test_unknown_words_only_score_zero_even_against_themselves(toy: WordVectors) -> None:
    similarity = EmbeddingAverage(toy)
    assert similarity.score(["zzz", "zzz", "up"], ["zzz", "up", "zzz"]) == [0.0, 0.0, 0.0]
    assert not similarity.measurable("zzz")


def test_words_that_cancel_out_have_no_direction(toy: WordVectors) -> None:
    similarity = EmbeddingAverage(toy)
    assert not similarity.measurable("left right")
    assert similarity.score(["left right"], ["left right"]) == [0.0]


def test_known_punctuation_vectors_are_not_used() -> None:
    # GloVe has a vector for "!"; the paper's stop-word list takes it out.
    vectors = WordVectors(["up", "!"], np.array([UP, RIGHT], dtype=np.float32))
    assert EmbeddingAverage(vectors).score(["up !"], ["up"]) == [1.0]


def test_the_centre_is_the_frequency_weighted_mean(toy: WordVectors) -> None:
    # 3 x right + 1 x up: (3/4, 1/4). Unknown words and punctuation do not count.
    centre = fit_centre(toy, ["right right!", "right, zzz", "up"])
    assert centre.tolist() == [0.75, 0.25]


def test_the_centred_cosine_by_hand(toy: WordVectors) -> None:
    similarity = CentredEmbeddingAverage(toy, np.array([0.75, 0.25], dtype=np.float32))
    # up - c = (-3/4, 3/4), right - c = (1/4, -1/4): opposite. diag - c = (9/4, 15/4):
    # with right - c the dot product is (9 - 15) / 16 = -3/8, the norms sqrt 2 / 4 and sqrt 306 / 4.
    scores = similarity.score(["up", "right", "up up"], ["right", "diag", "up"])
    assert scores == [-1.0, pytest.approx(-6 / (2 * 306) ** 0.5, abs=1e-9), 1.0]
    # Each word loses the centre: 2 x up + right - 3c = (-5/4, 5/4), not 2 x up + right - c.
    assert similarity.score(["up up right"], ["up"]) == [1.0]


def test_a_word_that_is_the_centre_has_no_direction(toy: WordVectors) -> None:
    similarity = CentredEmbeddingAverage(toy, fit_centre(toy, ["up up", "up"]))
    assert not similarity.measurable("up")
    assert similarity.measurable("up right")


def test_a_centre_of_zero_changes_nothing(glove: WordVectors) -> None:
    texts, others = ["i love you", "see you tomorrow"], ["i hate you", "what a day"]
    zero = np.zeros(glove.dim, dtype=np.float32)
    centred = CentredEmbeddingAverage(glove, zero).score(texts, others)
    assert centred == EmbeddingAverage(glove).score(texts, others)


def test_a_saved_centre_comes_back_bit_for_bit(toy: WordVectors, tmp_path: Path) -> None:
    centre = fit_centre(toy, ["up right right", "diag"])
    save_centre(centre, tmp_path / "centre.npy")
    np.testing.assert_array_equal(load_centre(tmp_path / "centre.npy"), centre, strict=True)


@pytest.mark.parametrize(
    "content",
    [
        np.ones((2, 2), dtype=np.float32),
        np.ones(2, dtype=np.int64),
        np.array([np.nan, 1], dtype=np.float32),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "centre.npy", content)
    with pytest.raises(CheckpointError, match="expected one list of finite float32 numbers"):
        load_centre(tmp_path / "centre.npy")


def test_a_missing_damaged_or_pickled_centre_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a saved centre"):
        load_centre(tmp_path / "centre.npy")
    (tmp_path / "centre.npy").write_bytes(b"no array")
    with pytest.raises(CheckpointError, match="is not a saved centre"):
        load_centre(tmp_path / "centre.npy")
    np.save(tmp_path / "centre.npy", np.array([{"an": "object"}]), allow_pickle=True)
    with pytest.raises(CheckpointError, match="is not a saved centre"):
        load_centre(tmp_path / "centre.npy")


def test_a_centre_of_another_length_is_refused(toy: WordVectors) -> None:
    with pytest.raises(SetupError, match="a centre of 2 numbers"):
        CentredEmbeddingAverage(toy, np.zeros(3, dtype=np.float32))


def test_a_centre_needs_a_known_word(toy: WordVectors) -> None:
    with pytest.raises(SetupError, match="at least one text with a word that has a vector"):
        fit_centre(toy, ["zzz", "?!"])


@pytest.mark.parametrize("centred", [False, True])
def test_embed_gives_the_vectors_whose_products_are_the_scores(
    glove: WordVectors, centred: bool
) -> None:
    similarity = (
        CentredEmbeddingAverage(glove, fit_centre(glove, ["you and i", "what a day"]))
        if centred
        else EmbeddingAverage(glove)
    )
    texts = ["i love you", "zzzqqq", "see you tomorrow"]
    units = similarity.embed(texts)
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), [1, 0, 1], atol=1e-12)
    every = similarity.score([a for a in texts for _ in texts], [b for _ in texts for b in texts])
    np.testing.assert_allclose(units @ units.T, np.reshape(every, (3, 3)), atol=1e-8)
    assert similarity.embed([]).shape == (0, 50)


def test_dropped_cache_entries_change_nothing(glove: WordVectors) -> None:
    texts = ["i love you", "no", "see you", "i love you"] * 3
    others = ["no", "see you", "what", "why"] * 3
    forgetful = EmbeddingAverage(glove, cached_texts=1)
    assert forgetful.score(texts, others) == EmbeddingAverage(glove).score(texts, others)


MINIMAL_PAIRS = [
    ("i love you", "i do not love you"),
    ("i am happy", "i am not happy"),
    ("i love you", "i hate you"),
]


@pytest.mark.parametrize(("text", "opposite"), MINIMAL_PAIRS)
def test_known_limit_negation_and_antonyms_are_nearly_invisible(
    glove: WordVectors, text: str, opposite: str
) -> None:
    # A limit of the paper's formula, asserted so that nobody takes the score for meaning.
    assert EmbeddingAverage(glove).score([opposite], [text])[0] > 0.95


def test_known_limit_word_order_is_invisible(glove: WordVectors) -> None:
    swapped = ("dog bites man", "man bites dog")
    assert EmbeddingAverage(glove).score([swapped[0]], [swapped[1]]) == [1.0]
    centred = CentredEmbeddingAverage(glove, fit_centre(glove, ["you and i", "it is"]))
    assert centred.score([swapped[0]], [swapped[1]]) == [1.0]
