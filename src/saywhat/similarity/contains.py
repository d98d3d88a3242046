"""Contains: the share of the target's words that the reply holds.

The goal of a targeted keyword attack (Cheng et al., 2020, "Seq2Sick"): the target is a list of
words, and what stands around them in the reply does not matter. A target is met at 1, when all its
words are there; the share below that is what a search or a reward can climb.

It is directed: swapping reply and target changes the score.
"""

from collections.abc import Sequence
from typing import final

from saywhat.text.normalise import normalise, share_of_words


@final
class Contains:
    """The share of the target's distinct words that are words of the reply.

    Words are those of ``saywhat.text.normalise``: case and apostrophes do not count, parts of words
    do not either. Order and repetition are not looked at.

    Example:
        >>> Contains().score(["Tea? I drink coffee.", "coffees"], ["coffee tea", "coffee"])
        [1.0, 0.0]
    """

    @property
    def name(self) -> str:
        """The registered name."""
        return "contains"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order, in [0, 1].

        Raises:
            ValueError: there are not as many replies as targets.
        """
        if len(replies) != len(targets):
            raise ValueError(
                f"Expected as many replies as targets, got {len(replies)} and {len(targets)}."
            )
        return [
            share_of_words(target, reply) for reply, target in zip(replies, targets, strict=True)
        ]

    def measurable(self, text: str) -> bool:
        """Whether the text has a word."""
        return bool(normalise(text))
