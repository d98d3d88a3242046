"""Any Python function as a chatbot: ``python:bot.py:reply``, or a function object.

``callable_forms`` says which functions are taken. A function of one text is asked one query at a
time, so that each reply can be stored as it comes: on the caller's own thread if it is synchronous,
since nothing is known of its thread safety; on an event loop, several at once, if it is ``async``.

The fingerprint is a hash of the file that holds the function. What the function reads from
elsewhere (weights, a service, captured variables) is not in it: an object with ``name``,
``fingerprint`` and ``reply`` of its own is taken as it is, and can tell.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, final

from saywhat.chatbots.batches import settled
from saywhat.chatbots.callable_forms import Form, form_of, text_of, texts_of
from saywhat.chatbots.callable_source import find, fingerprint_of
from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, SetupError
from saywhat.interfaces import Chatbot

_DEFAULT: Final = ConnectionSettings()


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """A function, and all that is known of it without a call.

    Attributes:
        call: the function.
        form: how it is called.
        name: for tables and messages.
        fingerprint: a hash of the file that holds it.
    """

    call: Callable[..., Any]
    form: Form
    name: str
    fingerprint: str

    def now(self, *arguments: object, query: str) -> object:
        """Call it.

        Raises:
            ChatbotError: it raised.
        """
        try:
            return self.call(*arguments)
        except ChatbotError:  # raised on purpose: it says itself whether asking again may help
            raise
        except (Exception, SystemExit) as error:  # its exit code must not become an audit's
            raise self._raised(error, query) from error

    async def later(self, *arguments: object, query: str, seconds: float) -> object:
        """Await its reply for so long.

        Raises:
            ChatbotError: it raised, or was late.
        """
        task = asyncio.current_task()
        clock = asyncio.timeout(seconds)
        try:
            async with clock:
                return await self.call(*arguments)
        except ChatbotError:
            raise
        except asyncio.CancelledError as error:
            if task is None or task.cancelling():  # by us: nobody waits for the reply any more
                raise
            raise self._raised(error, query) from error
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # the last two would end the loop's thread, on which nobody can be interrupted
            if clock.expired():
                raise ChatbotError(
                    f"{self.name}() gave no reply within {seconds:g} seconds (connection.timeout)",
                    query=query,
                    kind="timeout",
                    retry="later",
                ) from error
            raise self._raised(error, query) from error

    def _raised(self, error: BaseException, query: str) -> ChatbotError:
        kind = type(error).__name__
        return ChatbotError(f"{self.name}() raised {kind}: {error}", query=query, kind=kind)


@final
class CallableChatbot:
    """Answers with a function of one text.

    Args:
        function: of any form but ``batch``.
        connection: how many queries wait for an ``async`` function at once, and how long.

    Example:
        >>> function = Function(str.upper, form_of(str.upper, "loud"), "loud", fingerprint="1")
        >>> CallableChatbot(function).reply(["hi"])
        ['HI']
    """

    def __init__(self, function: Function, connection: ConnectionSettings = _DEFAULT) -> None:
        self._function, self._connection, self._loop = function, connection, BackgroundLoop()

    @property
    def name(self) -> str:
        """The function's name."""
        return self._function.name

    @property
    def fingerprint(self) -> str:
        """A hash of the function's file."""
        return self._function.fingerprint

    @property
    def concurrency(self) -> int:
        """How many queries may be under way together: 1 if the function is synchronous."""
        return self._connection.concurrency if self._function.form.asynchronous else 1

    def submit(self, query: str) -> Future[str]:
        """Ask one query; a synchronous function has answered when this returns."""
        if self._function.form.asynchronous:
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
        form = self._function.form
        reply = self._function.now(*form.arguments(query), query=query)
        return text_of(reply, form, name=self.name, query=query)

    async def _later(self, query: str) -> str:
        form, seconds = self._function.form, self._connection.timeout
        reply = await self._function.later(*form.arguments(query), query=query, seconds=seconds)
        return text_of(reply, form, name=self.name, query=query)


@final
class BatchCallableChatbot:
    """Answers with a function of a whole batch.

    Args:
        function: of the form ``batch``.
        connection: how long an ``async`` function is waited for: the timeout for each text.
    """

    def __init__(self, function: Function, connection: ConnectionSettings = _DEFAULT) -> None:
        self._function, self._connection, self._loop = function, connection, BackgroundLoop()

    @property
    def name(self) -> str:
        """The function's name."""
        return self._function.name

    @property
    def fingerprint(self) -> str:
        """A hash of the function's file."""
        return self._function.fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: the function raised, was late, or gave something else than one text for
                each query. It tells what came of each if the others got theirs.
        """
        if not queries:
            return []
        form = self._function.form
        if form.asynchronous:
            replies = self._awaited(queries)
        else:
            replies = self._function.now(list(queries), query=queries[0])
        return settled(texts_of(replies, form, name=self.name, queries=queries))

    def close(self) -> None:
        """Give up what the function is doing; it can be asked again."""
        self._loop.close()

    def _awaited(self, queries: Sequence[str]) -> object:
        seconds = self._connection.timeout * len(queries)
        future = self._loop.submit(
            self._function.later(list(queries), query=queries[0], seconds=seconds)
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
    return wrap(found, connection=connection, name=name)


def wrap(function: Any, *, connection: ConnectionSettings = _DEFAULT, name: str = "") -> Chatbot:
    """Make a chatbot of an object.

    Args:
        function: a chatbot, which comes back as it is, or a function of one of the forms in
            ``callable_forms``. A class is neither.
        connection: how many queries wait for an ``async`` function at once, and how long.
        name: for tables; the function's own by default.

    Raises:
        SetupError: it is neither, or a function of another form.
    """
    if not isinstance(function, type) and isinstance(function, Chatbot):
        chatbot: Chatbot = function
        return chatbot
    name = name or getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise SetupError(
            f"Expected a function, got the class {name}; name a function or an instance."
        )
    if not callable(function):
        raise SetupError(f"Expected a function, got {name} of type {type(function).__name__}.")
    form = form_of(function, name)
    known = Function(function, form, name, fingerprint_of(function, name))
    kind = BatchCallableChatbot if form.takes == "batch" else CallableChatbot
    return kind(known, connection)
