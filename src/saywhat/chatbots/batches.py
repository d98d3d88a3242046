"""What every chatbot that answers a batch does the same: refuse what is no text, and settle."""

import reprlib
from collections.abc import Sequence

from saywhat.errors import BatchError, ChatbotError


def check_text(query: object) -> None:
    """Check that a query is text.

    Raises:
        ChatbotError: it is not; asking again cannot help.

    Example:
        >>> check_text("hi")
        >>> check_text(5)
        Traceback (most recent call last):
        ...
        saywhat.errors.ChatbotError: Expected text, got int (query: '5')
    """
    if not isinstance(query, str):
        raise ChatbotError(
            f"Expected text, got {type(query).__name__}", query=reprlib.repr(query), retry="never"
        )


def settled(outcomes: Sequence[str | ChatbotError]) -> list[str]:
    """Give the replies to a batch, or tell what came of each query.

    Args:
        outcomes: for each query its reply, or why there is none.

    Raises:
        ChatbotError: a query failed. It is a ``BatchError`` if there were several queries.

    Example:
        >>> settled(["hello", "bye"])
        ['hello', 'bye']
        >>> settled(["hello", ChatbotError("down", query="b")])
        Traceback (most recent call last):
        ...
        saywhat.errors.BatchError: down (query: 'b')
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, ChatbotError)]
    if failures:
        raise BatchError(outcomes) if len(outcomes) > 1 else failures[0]
    return [outcome for outcome in outcomes if isinstance(outcome, str)]
