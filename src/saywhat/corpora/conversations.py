"""Conversations and where they come from.

A conversation is a sequence of *turns*, a turn the messages that one speaker sent before the other
answered. The default source is the ``chitchat-dataset`` package: 7,168 human conversations with
138,737 turns.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

from saywhat.errors import CorpusError
from saywhat.text.whole import whole

_LINK = re.compile(r"(?:https?://|www\.)\S+|\S+@\S+\.\S+")
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation.

    Attributes:
        key: stable name; the split depends on it alone.
        turns: each a tuple of cleaned messages, none of them empty.
    """

    key: str
    turns: tuple[tuple[str, ...], ...]


def clean(message: str) -> str:
    """Drop links and addresses, fold white space, replace what no file could hold.

    Example:
        >>> clean(" see  http://x.y/z now ")
        'see now'
    """
    return _SPACE.sub(" ", _LINK.sub(" ", whole(message))).strip()


def sentences(message: str) -> list[str]:
    """Split a message after sentence-ending marks.

    Example:
        >>> sentences("i see. and you?")
        ['i see.', 'and you?']
    """
    return _SENTENCE_END.split(message)


def chitchat() -> Iterator[Conversation]:
    """Read the conversations of the ``chitchat-dataset`` package (MIT), in the package's order.

    Raises:
        CorpusError: the package is not installed.
    """
    try:
        import chitchat_dataset  # noqa: PLC0415  (40 MB of JSON: only who reads it pays)
    except ImportError as error:
        raise CorpusError(
            "The default corpus needs the package chitchat-dataset: "
            "pip install chitchat-dataset==0.9.0"
        ) from error
    path = Path(chitchat_dataset.__file__).with_name("dataset.json")
    data = json.loads(path.read_text(encoding="utf-8"))
    for key, conversation in data.items():
        turns = (tuple(clean(m["text"]) for m in turn) for turn in conversation["messages"])
        kept = tuple(t for t in (tuple(m for m in turn if m) for turn in turns) if t)
        if kept:
            yield Conversation(key, kept)
