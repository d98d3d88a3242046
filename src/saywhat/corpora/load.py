"""The corpus that a setting names: ``chitchat`` or the path of a file."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from saywhat.corpora.conversations import Conversation, chitchat
from saywhat.corpora.files import form_of, read_conversations


def load_conversations(corpus: str) -> Iterable[Conversation]:
    """Read the corpus that a setting names.

    Raises:
        CorpusError: it cannot be used.
    """
    path = path_of(corpus)
    return chitchat() if path is None else read_conversations(path)


def path_of(corpus: str) -> Path | None:
    """Give the file that a setting names as the corpus; ``chitchat`` is none.

    Example:
        >>> path_of("chitchat"), path_of("talks.tsv").name
        (None, 'talks.tsv')
    """
    return None if corpus == "chitchat" else Path(corpus)


def described(corpus: str, conversations: Sequence[Conversation]) -> str:
    """Say what was read of a corpus, and how: a misread file has few conversations or turns.

    Example:
        >>> described("talks.tsv", [Conversation("a", (("hi",), ("hello",)))])
        '1 conversations of 2 turns in all, read as query<TAB>reply, each line a conversation'
    """
    turns = sum(len(conversation.turns) for conversation in conversations)
    read = f"{len(conversations):,} conversations of {turns:,} turns in all"
    path = path_of(corpus)
    return read if path is None else f"{read}, read as {form_of(path)}"
