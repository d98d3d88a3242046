"""Exact: 1 when the reply is the target, word for word, else 0.

Never a training reward (it is almost always 0) but the judge that cannot be flattered.
"""

from collections.abc import Sequence
from typing import final

from saywhat.text.normalise import normalise, same_words


@final
class Exact:
    """Equality after ``saywhat.text.normalise``: case, punctuation and spacing do not count.

    Example:
        >>> Exact().score(["I don't know.", "..."], ["i dont know", "!"])
        [1.0, 0.0]
    """

    @property
    def name(self) -> str:
        """The registered name."""
        return "exact"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order, 0 or 1.

        Raises:
            ValueError: there are not as many replies as targets.
        """
        if len(replies) != len(targets):
            raise ValueError(
                f"Expected as many replies as targets, got {len(replies)} and {len(targets)}."
            )
        return [float(same_words(*pair)) for pair in zip(replies, targets, strict=True)]

    def measurable(self, text: str) -> bool:
        """Whether the text has a word."""
        return bool(normalise(text))
