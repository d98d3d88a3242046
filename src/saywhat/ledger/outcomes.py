"""What a chatbot gives back, made sure of: one text for each query, or a failure that names it."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from saywhat.errors import BatchError, ChatbotError, SayWhatError
from saywhat.interfaces import Chatbot

MAX_REPLY: Final = 100_000  # characters: no sentence is as long, and scoring one would take minutes

Outcome = str | ChatbotError


def ask_batch(chatbot: Chatbot, batch: Sequence[str]) -> list[Outcome] | ChatbotError:
    """Ask a batch.

    Returns:
        The outcome of each query, or what failed the batch as a whole.
    """
    try:
        replies = chatbot.reply(list(batch))
    except BatchError as error:
        if len(error.outcomes) != len(batch):
            return error
        return [_outcome(query, came) for query, came in zip(batch, error.outcomes, strict=True)]
    except ChatbotError as error:
        return _naming(batch[0], error) if len(batch) == 1 else error
    except SayWhatError:
        raise
    except Exception as error:  # noqa: BLE001  (another's code: its bug is a failure of the query)
        return unexpected(error, batch[0], chatbot.name)
    return _each(replies, batch)


def outcome_of(future: "Future[str]", query: str, name: str) -> Outcome:
    """Give what came of one query, asked alone."""
    try:
        return _outcome(query, future.result())
    except ChatbotError as error:
        return _naming(query, error)
    except BaseException as error:  # noqa: BLE001  (it was raised on another thread, by another's code)
        return unexpected(error, query, name)


def unexpected(error: BaseException, query: str, name: str) -> ChatbotError:
    """Turn what is no failure on purpose into one."""
    made = ChatbotError(
        f"The chatbot {name!r} raised {type(error).__name__}: {error}",
        query=query,
        kind=type(error).__name__,
    )
    made.__cause__ = error
    return made


def _each(replies: object, batch: Sequence[str]) -> list[Outcome] | ChatbotError:
    if not isinstance(replies, list) or not all(isinstance(reply, str) for reply in replies):
        return ChatbotError(
            f"Expected a list of {len(batch)} texts from the chatbot, got {type(replies).__name__}"
            f" {replies!r:.80}; its reply() must return list[str]",
            query=batch[0],
            kind="wrong replies",
        )
    if len(replies) != len(batch):
        return ChatbotError(
            f"Expected one reply per query ({len(batch)}) from the chatbot, got {len(replies)}",
            query=batch[0],
            kind="wrong number of replies",
        )
    return [_outcome(query, reply) for query, reply in zip(batch, replies, strict=True)]


def _outcome(query: str, came: object) -> Outcome:
    if isinstance(came, ChatbotError):
        return _naming(query, came)
    if not isinstance(came, str):
        return ChatbotError(
            f"Expected text from the chatbot, got {type(came).__name__} {came!r:.80}",
            query=query,
            kind="wrong reply",
        )
    if len(came) > MAX_REPLY:
        return ChatbotError(
            f"Expected a reply of at most {MAX_REPLY:,} characters, got {len(came):,}",
            query=query,
            kind="too long a reply",
            retry="never",
        )
    return _clean(came)


def _clean(reply: str) -> str:
    """Replace lone surrogates, which no file could hold, by U+FFFD."""
    try:
        reply.encode()
    except UnicodeEncodeError:
        return reply.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return reply


def _naming(query: str, error: ChatbotError) -> ChatbotError:
    """Give the error itself if it names the query, else one that does."""
    if error.query == query:
        return error
    named = ChatbotError(
        str(error), query=query, kind=error.kind, retry=error.retry, after=error.after
    )
    named.__cause__ = error
    return named
