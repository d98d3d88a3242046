"""Similarity names to similarities."""

import importlib.metadata
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from saywhat.errors import SetupError, UnknownNameError
from saywhat.interfaces import Similarity
from saywhat.similarity.embedding_average import (
    CentredEmbeddingAverage,
    EmbeddingAverage,
    load_centre,
)
from saywhat.similarity.exact import Exact
from saywhat.text.vectors import GLOVE_6B_50D, load_vectors

NAMES: Final = ("embedding-average", "embedding-average-centred", "exact")


def make_similarity(
    name: str, *, vectors: str, centre: Path | Float32[np.ndarray, " dim"]
) -> Similarity:
    """Make a similarity.

    Args:
        name: one of ``NAMES``, or that of an entry point in the group ``saywhat.similarities``.
        vectors: what ``load_vectors`` takes.
        centre: the mean vector that ``embedding-average-centred`` removes, or its file; it must have been fitted on the same
            vectors.

    Raises:
        UnknownNameError: there is no such similarity.
        SetupError: the word vectors cannot be read, or the centre does not fit them.
    """
    if name == "exact":
        return Exact()
    if name == "embedding-average":
        return EmbeddingAverage(load_vectors(vectors))
    if name == "embedding-average-centred":
        array = load_centre(centre) if isinstance(centre, Path) else centre
        if vectors != GLOVE_6B_50D and isinstance(centre, Path):
            raise SetupError(
                f"The stored centre belongs to {GLOVE_6B_50D}; with other word vectors use embedding-average, "
                "or fit a centre (saywhat.similarity.fit_centre) and give it."
            )
        return CentredEmbeddingAverage(load_vectors(vectors), array)
    for point in importlib.metadata.entry_points(group="saywhat.similarities"):
        if point.name == name:
            made: Similarity = point.load()()
            return made
    raise UnknownNameError("similarity", name, NAMES)
