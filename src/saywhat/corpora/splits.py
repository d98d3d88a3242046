"""Splits by conversation, never by pair, with a hash of the conversation's key.

The part of a conversation depends on nothing but its key, so adding conversations moves none
that keep theirs.
"""

from collections.abc import Iterable
from typing import Final

from saywhat.corpora.conversations import Conversation
from saywhat.rng import fraction

# Shares of conversations. 74 % leaves the chatbot over 100,000 human turns; 18 % gives over 60,000
# distinct posts.
SHARES: Final = {
    "chatbot": 0.74,
    "posts": 0.18,
    "validation": 0.03,
    "generated": 0.03,
    "real": 0.02,
}


def part_of(key: str) -> str:
    """Name the part that a conversation belongs to.

    Example:
        >>> part_of("a conversation") in SHARES
        True
    """
    position, edge = fraction("split", key), 0.0
    for part, share in SHARES.items():
        edge += share
        if position < edge:
            return part
    return part


def split(conversations: Iterable[Conversation]) -> dict[str, list[Conversation]]:
    """Sort conversations into the parts of ``SHARES``."""
    parts: dict[str, list[Conversation]] = {part: [] for part in SHARES}
    for conversation in conversations:
        parts[part_of(conversation.key)].append(conversation)
    return parts
