"""The floor without any query: look the target up among replies that are already paid for."""

import random
from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from saywhat.interfaces import Ask, Similarity
from saywhat.records import Attempt, Pair, Target


@final
class Retrieval:
    """Gives the known query whose reply is nearest to the target, and asks nothing (``nth`` is 0).

    With a chatbot that always answers alike, the known reply is the reply. Ties go to the pair that comes first.

    Args:
        pairs: the reference corpus.
        similarity: what *near* means.
    """

    def __init__(self, pairs: Sequence[Pair], similarity: Similarity) -> None:
        first: dict[str, str] = {}
        for pair in pairs:
            first.setdefault(pair.reply, pair.query)
        self._replies, self._queries = list(first), list(first.values())
        self._similarity = similarity
        embed = getattr(similarity, "embed", None)
        self._embed = embed
        self._matrix = None if embed is None else np.asarray(embed(self._replies))

    @property
    def name(self) -> str:
        """The registered name."""
        return "retrieval"

    def nearest(self, target: str, n: int = 1) -> list[tuple[str, str, float]]:
        """Give the ``n`` nearest known (query, reply, similarity), best first."""
        scores = self._scores(target)
        order = np.argsort(-scores, kind="stable")[:n]
        return [(self._queries[i], self._replies[i], float(scores[i])) for i in order]

    def _scores(self, target: str) -> np.ndarray:
        if self._matrix is not None and self._embed is not None:
            scores: np.ndarray = self._matrix @ np.asarray(self._embed([target]))[0]
            return np.round(scores, 9)
        replies = self._replies
        return np.array(self._similarity.score(replies, [target] * len(replies)))

    def run(
        self, target: Target, ask: Ask, *, budget: int, rng: random.Random
    ) -> Iterator[Attempt]:
        """See ``interfaces.Search``; uses neither the budget nor the rng."""
        for query, reply, _ in self.nearest(target.text):
            score = self._similarity.score([reply], [target.text])[0]
            yield Attempt(target.text, query, 0, reply, score)
