"""Embedding average: the paper's similarity, and the same with the corpus mean removed.

Paper: Liu et al., 2019, Section 4.2.4 and equation (2), with the words of Section 5.1.2::

    e_r = sum_{w in r} e_w / || sum_{w' in r} e_w' ||_2        Sim(O*, O) = cos(e_O*, e_O)

``w`` runs over the tokens that are words (``saywhat.text.tokenizer.is_word``): punctuation and
special symbols are out.

What the paper leaves open, decided here:

1. A word without a vector is skipped. Text without any known word has similarity 0 to everything,
   itself included.
2. Sums are taken in double precision and the cosine is rounded to 9 decimals, so that equal texts
   score exactly 1.0 and no score depends on the batch that it was computed in.

Known limits, by construction: word order is invisible, and negation nearly so. Raw averages of
unrelated sentences are also far above 0 (``saywhat.similarity.null`` measures it), which the
centred form mends.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Float64

from saywhat.errors import CheckpointError, SetupError
from saywhat.text.tokenizer import is_word, tokenize
from saywhat.text.vectors import WordVectors

_DECIMALS: Final = 9
_CANCELLED: Final = 1e-6  # a sum this small beside its terms is rounding noise, without direction
CACHED_TEXTS: Final = 32_768


@final
class EmbeddingAverage:
    """The paper's similarity: the cosine of two sums of word vectors.

    Args:
        vectors: the word vectors; the paper's are Google News word2vec.
        cached_texts: how many texts' vectors are kept (the least recently used are dropped).

    Example:
        >>> vectors = WordVectors(["up", "right"], np.array([[0, 1], [1, 0]], dtype=np.float32))
        >>> EmbeddingAverage(vectors).score(["up!", "up"], ["Up", "right"])
        [1.0, 0.0]
    """

    def __init__(self, vectors: WordVectors, *, cached_texts: int = CACHED_TEXTS) -> None:
        self._vector = _sentence_vector(vectors, np.zeros(vectors.dim), cached_texts)
        self._dim = vectors.dim

    @property
    def name(self) -> str:
        """The registered name."""
        return "embedding-average"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order, in [-1, 1].

        Raises:
            ValueError: there are not as many replies as targets.
        """
        return _cosines(self._vector, replies, targets)

    def measurable(self, text: str) -> bool:
        """Whether the text has a known word (and its words' vectors do not cancel out)."""
        return bool(self._vector(text).any())

    def embed(self, texts: Sequence[str]) -> Float64[np.ndarray, "texts dim"]:
        """Give ``e_r`` of each text, for searches that compare all with all; 0 if unmeasurable."""
        return _stack(self._vector, texts, self._dim)


@final
class CentredEmbeddingAverage:
    """The embedding average after the corpus mean is removed from each word's vector.

    ``e_w`` becomes ``e_w - c``, where ``c`` is the mean vector of a corpus' word tokens
    (``fit_centre``). It takes away the direction that all sentences share, so that unrelated
    sentences score near 0.

    Args:
        vectors: the word vectors.
        centre: ``c``, fitted on the chatbot's training text and stored with the run.
        cached_texts: how many texts' vectors are kept (the least recently used are dropped).

    Raises:
        SetupError: the centre was fitted on vectors of another length.

    Example:
        >>> vectors = WordVectors(["up", "right"], np.array([[0, 1], [1, 0]], dtype=np.float32))
        >>> centre = fit_centre(vectors, ["up", "right"])
        >>> CentredEmbeddingAverage(vectors, centre).score(["up"], ["right"])
        [-1.0]
    """

    def __init__(
        self,
        vectors: WordVectors,
        centre: Float32[np.ndarray, " dim"],
        *,
        cached_texts: int = CACHED_TEXTS,
    ) -> None:
        if centre.shape != (vectors.dim,):
            raise SetupError(
                f"Expected a centre of {vectors.dim} numbers, as the word vectors have, got one of "
                f"shape {centre.shape}. Fit it again with these vectors."
            )
        self._vector = _sentence_vector(vectors, centre.astype(np.float64), cached_texts)
        self._dim = vectors.dim
        self.centre: Float32[np.ndarray, " dim"] = centre

    @property
    def name(self) -> str:
        """The registered name."""
        return "embedding-average-centred"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order, in [-1, 1].

        Raises:
            ValueError: there are not as many replies as targets.
        """
        return _cosines(self._vector, replies, targets)

    def measurable(self, text: str) -> bool:
        """Whether the text has a known word (and its words' vectors do not cancel out)."""
        return bool(self._vector(text).any())

    def embed(self, texts: Sequence[str]) -> Float64[np.ndarray, "texts dim"]:
        """Give ``e_r`` of each text, for searches that compare all with all; 0 if unmeasurable."""
        return _stack(self._vector, texts, self._dim)


def fit_centre(vectors: WordVectors, texts: Iterable[str]) -> Float32[np.ndarray, " dim"]:
    """Give the mean vector of a corpus' known word tokens: each word weighs as often as it occurs.

    Fit it on the chatbot's training text only: never on targets or on replies that are scored.

    Raises:
        SetupError: no word of the texts has a vector.

    Example:
        >>> vectors = WordVectors(["up", "right"], np.array([[0, 1], [1, 0]], dtype=np.float32))
        >>> fit_centre(vectors, ["up up!", "up right"]).tolist()
        [0.25, 0.75]
    """
    counts = Counter(token for text in texts for token in tokenize(text) if is_word(token))
    rows = vectors.lookup(counts)
    weights = np.fromiter(counts.values(), dtype=np.float64, count=len(counts))[rows >= 0]
    if not len(weights):
        raise SetupError(
            "The centre needs at least one text with a word that has a vector. Check that the "
            "texts and the word vectors are of one language."
        )
    total = (weights[:, None] * vectors.rows[rows[rows >= 0]]).sum(axis=0)
    return np.asarray(total / weights.sum(), dtype=np.float32)


def save_centre(centre: Float32[np.ndarray, " dim"], path: Path) -> None:
    """Write a centre as a ``.npy`` file."""
    with path.open("wb") as file:
        np.save(file, centre, allow_pickle=False)


def load_centre(path: Path) -> Float32[np.ndarray, " dim"]:
    """Read a centre; it equals the saved one bit for bit.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    try:
        with path.open("rb") as file:
            centre = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a saved centre ({error}). Fit and save it again."
        ) from error
    is_centre = isinstance(centre, np.ndarray) and centre.ndim == 1 and centre.dtype == np.float32
    if not is_centre or not np.isfinite(centre).all():
        raise CheckpointError(
            f"{path}: expected one list of finite float32 numbers. Fit and save the centre again."
        )
    return np.asarray(centre)


def _sentence_vector(
    vectors: WordVectors, centre: Float64[np.ndarray, " dim"], cached_texts: int
) -> Callable[[str], Float64[np.ndarray, " dim"]]:
    """Give the cached function from a text to ``e_r``, the zero vector for unmeasurable text."""

    @functools.lru_cache(maxsize=cached_texts)
    def vector(text: str) -> Float64[np.ndarray, " dim"]:
        found = vectors.lookup(token for token in tokenize(text) if is_word(token))
        rows = vectors.rows[found[found >= 0]]
        total = rows.sum(axis=0, dtype=np.float64) - len(rows) * centre
        norm = np.sqrt((total * total).sum())
        unit: Float64[np.ndarray, " dim"] = (
            total / norm if norm > _CANCELLED * np.abs(rows).sum() else np.zeros(vectors.dim)
        )
        return unit

    return vector


def _stack(
    vector: Callable[[str], Float64[np.ndarray, " dim"]], texts: Sequence[str], dim: int
) -> Float64[np.ndarray, "texts dim"]:
    return np.stack([vector(text) for text in texts]) if texts else np.zeros((0, dim))


def _cosines(
    vector: Callable[[str], Float64[np.ndarray, " dim"]],
    replies: Sequence[str],
    targets: Sequence[str],
) -> list[float]:
    if len(replies) != len(targets):
        raise ValueError(
            f"Expected as many replies as targets, got {len(replies)} and {len(targets)}."
        )
    if not replies:
        return []
    left = np.stack([vector(reply) for reply in replies])
    right = np.stack([vector(target) for target in targets])
    # A sum along a row, not a matrix product: BLAS results may depend on the number of rows.
    cosines = np.round((left * right).sum(axis=1), _DECIMALS)
    scores: list[float] = (np.clip(cosines, -1.0, 1.0) + 0.0).tolist()  # + 0.0: no minus zero
    return scores
