"""Similarity names to similarities."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from saywhat import registry
from saywhat.corpora.conversations import chitchat
from saywhat.corpora.splits import split
from saywhat.errors import UnknownNameError
from saywhat.interfaces import Similarity
from saywhat.similarity.contains import Contains
from saywhat.similarity.embedding_average import (
    CentredEmbeddingAverage,
    EmbeddingAverage,
    fit_centre,
    load_centre,
)
from saywhat.similarity.exact import Exact
from saywhat.similarity.sentence_encoder import load_sentence_encoder
from saywhat.text.vectors import GLOVE_6B_50D, load_vectors

_PLAIN: Final[Mapping[str, Callable[[], Similarity]]] = {
    "exact": Exact,
    "contains": Contains,
    "sentence-encoder": load_sentence_encoder,
}


def make_similarity(
    name: str, *, vectors: str, centre: Path | Float32[np.ndarray, " dim"]
) -> Similarity:
    """Make a similarity.

    Args:
        name: one that ``registry.names("similarities")`` lists.
        vectors: what ``load_vectors`` takes.
        centre: the mean vector that ``embedding-average-centred`` removes, or the file of the one
            that belongs to the default vectors. With a file and other vectors the centre is fitted
            anew, on the text that the built-in chatbot was trained on.

    Raises:
        UnknownNameError: there is no such similarity.
        SetupError: the word vectors cannot be read, the centre does not fit them, the weights of
            the sentence encoder are not installed, or what another package offers cannot be made.
        CorpusError: a centre has to be fitted and the conversations are not installed.
    """
    if name in _PLAIN:
        return _PLAIN[name]()
    if name == "embedding-average":
        return EmbeddingAverage(load_vectors(vectors))
    if name == "embedding-average-centred":
        loaded = load_vectors(vectors)
        if not isinstance(centre, Path):
            return CentredEmbeddingAverage(loaded, centre)
        # the shipped centre belongs to the default vectors; for others it is fitted on the same
        # text
        array = (
            load_centre(centre) if vectors == GLOVE_6B_50D else fit_centre(loaded, _chat_texts())
        )
        return CentredEmbeddingAverage(loaded, array)
    made: Similarity | None = registry.third_party("similarities", name)
    if made is None:
        raise UnknownNameError("similarity", name, registry.names("similarities"))
    return made


def _chat_texts() -> Iterator[str]:
    for conversation in split(chitchat())["chatbot"]:
        for turn in conversation.turns:
            yield from turn
