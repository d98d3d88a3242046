"""Similarities: how close a reply is to a target."""

from saywhat.similarity.contains import Contains
from saywhat.similarity.embedding_average import (
    CentredEmbeddingAverage,
    EmbeddingAverage,
    fit_centre,
    load_centre,
    save_centre,
)
from saywhat.similarity.exact import Exact
from saywhat.similarity.make import make_similarity
from saywhat.similarity.sentence_encoder import SentenceEncoder

__all__ = [
    "CentredEmbeddingAverage",
    "Contains",
    "EmbeddingAverage",
    "Exact",
    "SentenceEncoder",
    "fit_centre",
    "load_centre",
    "make_similarity",
    "save_centre",
]
