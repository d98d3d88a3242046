"""What a chatbot gives back, made sure of: one text for each query, or a failure that names it."""

from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Final

from saywhat.errors import BatchError, ChatbotError, SayWhatError
from saywhat.interfaces import Chatbot, ConcurrentChatbot
from saywhat.text.whole import whole

MAX_REPLY: Final = 100_000  # characters: no sentence is as long, and scoring one would take minutes

Outcome = str | ChatbotError


def ask_batch(chatbot: Chatbot, batch: Sequence[str]) -> list[Outcome] | ChatbotError:
    """Ask a batch.

    Returns:
        The outcome of each query, or what failed the batch as a whole.

    Raises:
        SayWhatError: it is no failure of a query, but of the set-up, for example.
    """
    try:
        replies = chatbot.reply(list(batch))
    except ChatbotError as error:
        if isinstance(error, BatchError) and len(error.outcomes) == len(batch):
            return [_outcome(query, o) for query, o in zip(batch, error.outcomes, strict=True)]
        return naming(batch[0], error) if len(batch) == 1 else error
    except SayWhatError:
        raise
    except Exception as error:  # noqa: BLE001  (another's code: its bug is a failure of the query)
        return _unexpected(error, batch[0], chatbot.name)
    return _each(replies, batch)


def submit(
    chatbot: ConcurrentChatbot, query: str, done: Callable[[], None]
) -> "Future[str] | ChatbotError":
    """Send one query.

    Args:
        chatbot: the chatbot.
        query: the query.
        done: called, on any thread, once ``outcome_of`` the future can be given.

    Returns:
        The future, or what failed the query at once; then ``done`` is not called.

    Raises:
        SayWhatError: it is no failure of the query, but of the set-up, for example.
    """
    try:
        future = chatbot.submit(query)
        future.add_done_callback(lambda _: done())
    except ChatbotError as error:
        return naming(query, error)
    except SayWhatError:
        raise
    except Exception as error:  # noqa: BLE001  (another's code: its bug is a failure of the query)
        return _unexpected(error, query, chatbot.name)
    return future


def outcome_of(future: "Future[str]", query: str, name: str) -> Outcome:
    """Give what came of one query, asked alone.

    Raises:
        SayWhatError: it is no failure of the query, but of the set-up, for example.
    """
    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    if error is None:
        return _outcome(query, future.result())
    if isinstance(error, ChatbotError):
        return naming(query, error)
    if isinstance(error, SayWhatError):
        raise error
    return _unexpected(error, query, name)


def _unexpected(error: BaseException, query: str, name: str) -> ChatbotError:
    """Turn what is no failure on purpose into one."""
    made = ChatbotError(
        f"The chatbot {name!r} raised {type(error).__name__}: {error!s:.500}",
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
        return naming(query, came)
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
    return whole(came)


def naming(query: str, error: ChatbotError) -> ChatbotError:
    """Give the error itself if it names the query, else one that does."""
    if error.query == query:
        return error
    named = ChatbotError(
        str(error), query=query, kind=error.kind, retry=error.retry, after=error.after
    )
    named.__cause__ = error
    return named
