"""The floor without any query: look the target up among replies that are already paid for."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float

from saywhat.interfaces import Ask, Similarity
from saywhat.records import Attempt, Pair, Target

_DECIMALS: Final = 9  # what similarities are rounded to: equal texts tie exactly


@runtime_checkable
class Embeds(Protocol):
    """A similarity that is the inner product of vectors: all replies are compared at once."""

    def embed(self, texts: Sequence[str]) -> Float[np.ndarray, "texts dim"]:
        """Give the unit vector of each text; 0 if it has none."""
        ...


@final
class Retrieval:
    """Gives the known query whose reply is nearest to the target, and asks nothing (``nth`` is 0).

    With a chatbot that always answers alike, the known reply is the reply. Ties go to the pair that
    comes first.

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
        self._vectors = similarity.embed(self._replies) if isinstance(similarity, Embeds) else None

    @property
    def name(self) -> str:
        """The registered name."""
        return "retrieval"

    def nearest(self, target: str, n: int = 1) -> list[tuple[str, str, float]]:
        """Give the ``n`` nearest known (query, reply, similarity), best first.

        Args:
            target: the wanted sentence.
            n: how many at most.
        """
        scores = self._scores(target)
        order = np.argsort(-scores, kind="stable")[:n]
        return [(self._queries[i], self._replies[i], float(scores[i])) for i in order]

    def _scores(self, target: str) -> Float[np.ndarray, " replies"]:
        if self._vectors is not None and isinstance(self._similarity, Embeds):
            scores: np.ndarray = self._vectors @ self._similarity.embed([target])[0]
            return scores.round(_DECIMALS)
        replies = self._replies
        return np.array(self._similarity.score(replies, [target] * len(replies)))

    def run(
        self,
        target: Target,
        ask: Ask,  # noqa: ARG002  (the interface's; a look-up asks and draws nothing)
        *,
        budget: int,  # noqa: ARG002
        rng: random.Random,  # noqa: ARG002
    ) -> Iterator[Attempt]:
        """See ``interfaces.Search``."""
        for query, reply, _ in self.nearest(target.text):
            score = self._similarity.score([reply], [target.text])[0]
            yield Attempt(target.text, query, 0, reply, score)
