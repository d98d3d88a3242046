"""Any Python function as a chatbot: ``python:bot.py:reply``, or a function object.

``callable_forms`` says which functions are taken. A function of one text is asked one query at a
time, so that each reply can be stored as it comes: on the caller's own thread if it is synchronous,
since nothing is known of its thread safety; on an event loop, several at once, if it is ``async``.

The fingerprint is a hash of the file that holds the function. What the function reads from
elsewhere (weights, a service, captured variables) is not in it: an object with ``name``,
``fingerprint`` and ``reply`` of its own is taken as it is, and can tell.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, final

from saywhat.chatbots.callable_forms import form_of, text_of, texts_of
from saywhat.chatbots.callable_source import find, fingerprint_of
from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import BatchError, ChatbotError, SetupError
from saywhat.interfaces import Chatbot

_DEFAULT: Final = ConnectionSettings()


@final
class CallableChatbot:
    """Answers with a function of one text.

    Args:
        function: takes one text; see ``callable_forms``.
        name: for tables.
        fingerprint: a hash of all that determines the replies.
        connection: how many queries wait for an ``async`` function at once, and how long.

    Raises:
        SetupError: it is not such a function.

    Example:
        >>> CallableChatbot(str.upper, name="loud", fingerprint="1").reply(["hi"])
        ['HI']
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        fingerprint: str,
        connection: ConnectionSettings = _DEFAULT,
    ) -> None:
        self._form = form_of(function, name)
        if self._form.takes == "batch":
            raise SetupError(f"Expected a function of one text, got {name}(), which takes a batch.")
        self._function, self._name, self._fingerprint = function, name, fingerprint
        self._connection, self._loop = connection, BackgroundLoop()

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of the function's file."""
        return self._fingerprint

    @property
    def concurrency(self) -> int:
        """How many queries may be under way together: 1 if the function is synchronous."""
        return self._connection.concurrency if self._form.asynchronous else 1

    def submit(self, query: str) -> Future[str]:
        """Ask one query; a synchronous function has answered when this returns."""
        if self._form.asynchronous:
            return self._loop.submit(self._later(query))
        future: Future[str] = Future()
        try:
            future.set_result(self._now(query))
        except ChatbotError as error:
            future.set_exception(error)
        return future

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: the function raised, reported a failure, was late, or gave something else
                than text. It tells what came of each query if there were several.
        """
        return reply_to_all(self, queries)

    def close(self) -> None:
        """Give up what the function is doing; it can be asked again."""
        self._loop.close()

    def _now(self, query: str) -> str:
        reply = _called(lambda: self._function(*self._form.arguments(query)), self._name, query)
        return text_of(reply, self._form, name=self._name, query=query)

    async def _later(self, query: str) -> str:
        reply = await _awaited(
            lambda: self._function(*self._form.arguments(query)),
            name=self._name,
            query=query,
            seconds=self._connection.timeout,
        )
        return text_of(reply, self._form, name=self._name, query=query)


@final
class BatchCallableChatbot:
    """Answers with a function of a whole batch.

    Args:
        function: ``list[str] -> list[str]``, its parameter annotated so; also ``async``.
        name: for tables.
        fingerprint: a hash of all that determines the replies.
        connection: how long an ``async`` function is waited for: the timeout for each text.

    Raises:
        SetupError: it is not such a function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        fingerprint: str,
        connection: ConnectionSettings = _DEFAULT,
    ) -> None:
        self._form = form_of(function, name)
        if self._form.takes != "batch":
            raise SetupError(f"Expected a function of a batch, got {name}(), which takes one text.")
        self._function, self._name, self._fingerprint = function, name, fingerprint
        self._connection, self._loop = connection, BackgroundLoop()

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of the function's file."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: the function raised, was late, or gave something else than one text for
                each query. It tells what came of each if the others got theirs.
        """
        if not queries:
            return []
        call = functools.partial(self._function, list(queries))
        if self._form.asynchronous:
            replies = self._awaited(call, queries)
        else:
            replies = _called(call, self._name, queries[0])
        outcomes = texts_of(replies, self._form, name=self._name, queries=queries)
        failures = [outcome for outcome in outcomes if isinstance(outcome, ChatbotError)]
        if failures:
            raise BatchError(outcomes) if len(queries) > 1 else failures[0]
        return [outcome for outcome in outcomes if isinstance(outcome, str)]

    def close(self) -> None:
        """Give up what the function is doing; it can be asked again."""
        self._loop.close()

    def _awaited(self, call: Callable[[], Awaitable[object]], queries: Sequence[str]) -> object:
        seconds = self._connection.timeout * len(queries)
        future = self._loop.submit(
            _awaited(call, name=self._name, query=queries[0], seconds=seconds)
        )
        try:
            return future.result()
        finally:
            future.cancel()  # nobody waits any more, should this have been interrupted


def make(argument: str, connection: ConnectionSettings, _: ModelSettings) -> Chatbot:
    """Make the chatbot that ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` names.

    Raises:
        SetupError: there is no such file or module, importing it failed, or it holds no such
            function (the message lists those that it holds).
    """
    found, name = find(argument)
    is_class = isinstance(found, type)
    if not is_class and isinstance(found, Chatbot):
        return found
    return wrap(found, connection=connection, name=name)


def wrap(
    function: Any, *, connection: ConnectionSettings = _DEFAULT, name: str = ""
) -> CallableChatbot | BatchCallableChatbot:
    """Make a chatbot of a function object.

    Args:
        function: a function of one of the forms in ``callable_forms``.
        connection: how many queries wait for an ``async`` function at once, and how long.
        name: for tables; the function's own by default.

    Raises:
        SetupError: it is no function, or one of another form.
    """
    name = name or getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise SetupError(
            f"Expected a function, got the class {name}; name a function or an instance."
        )
    if not callable(function):
        raise SetupError(f"Expected a function, got {name} of type {type(function).__name__}.")
    is_batch = form_of(function, name).takes == "batch"
    kind = BatchCallableChatbot if is_batch else CallableChatbot
    fingerprint = fingerprint_of(function, name)
    return kind(function, name=name, fingerprint=fingerprint, connection=connection)


def _called(call: Callable[[], object], name: str, query: str) -> object:
    try:
        return call()
    except ChatbotError:  # raised on purpose: it says itself whether asking again may help
        raise
    except (Exception, SystemExit) as error:  # its exit code must not become an audit's
        raise _raised(error, name, query) from error


async def _awaited(
    call: Callable[[], Awaitable[object]], *, name: str, query: str, seconds: float
) -> object:
    """Await a function's reply for so long.

    Raises:
        ChatbotError: it raised, or was late.
    """
    task = asyncio.current_task()
    clock = asyncio.timeout(seconds)
    try:
        async with clock:
            return await call()
    except ChatbotError:
        raise
    except asyncio.CancelledError as error:
        if task is None or task.cancelling():  # by us: nobody waits for the reply any more
            raise
        raise _raised(error, name, query) from error
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        # the last two would end the loop's thread, on which nobody can be interrupted
        if clock.expired():
            raise ChatbotError(
                f"{name}() gave no reply within {seconds:g} seconds (connection.timeout)",
                query=query,
                kind="timeout",
                retry="later",
            ) from error
        raise _raised(error, name, query) from error


def _raised(error: BaseException, name: str, query: str) -> ChatbotError:
    kind = type(error).__name__
    return ChatbotError(f"{name}() raised {kind}: {error}", query=query, kind=kind)
