"""A chatbot and a similarity for saywhat, in a package of their own.

``pyproject.toml`` names them as entry points; nothing else is needed.
"""

import hashlib
import re
from collections.abc import Sequence

_CODE = "example-1"  # part of the fingerprint: new whenever this code may reply otherwise


class ExampleChatbot:
    """Says what it is asked, and the ending that its spec gives: ``example:ENDING``."""

    def __init__(self, ending: str) -> None:
        self._ending = ending
        self.name = "example"
        self.fingerprint = hashlib.sha256(f"{_CODE}\0{ending}".encode()).hexdigest()

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch."""
        return [f"{query}{self._ending}" for query in queries]


class WordOverlap:
    """The share of the words of either text that are in both (Jaccard)."""

    name = "word-overlap"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise."""
        if len(replies) != len(targets):
            raise ValueError(
                f"Expected as many replies as targets, got {len(replies)} and {len(targets)}."
            )
        return [_overlap(*pair) for pair in zip(replies, targets, strict=True)]

    def measurable(self, text: str) -> bool:
        """Whether the text has a word."""
        return bool(_words(text))


def make(argument: str) -> ExampleChatbot:
    """Make the chatbot of ``example:ARGUMENT``."""
    return ExampleChatbot(argument)


def _overlap(reply: str, target: str) -> float:
    one, other = _words(reply), _words(target)
    return len(one & other) / len(one | other) if one and other else 0.0


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
