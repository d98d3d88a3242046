"""One event loop on a thread of its own: where chatbots that wait for others do their waiting."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar, final

from saywhat.chatbots.batches import settled
from saywhat.errors import ChatbotError
from saywhat.interfaces import ConcurrentChatbot

T = TypeVar("T")
_PATIENCE: Final = 5.0


@final
class BackgroundLoop:
    """Runs coroutines of other threads; the thread starts with the first and dies with ``close``.

    Args:
        at_end: run on the loop before it ends, also when nobody calls ``close``; it must not refer
            to the owner of the loop.

    Example:
        >>> loop = BackgroundLoop()
        >>> loop.submit(asyncio.sleep(0, "done")).result()
        'done'
        >>> loop.close()
    """

    def __init__(self, at_end: Callable[[], Coroutine[Any, Any, object]] | None = None) -> None:
        self._at_end = at_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._end: weakref.finalize[..., BackgroundLoop] | None = None

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine on the loop."""
        with self._starting:
            loop = self._loop or self._start()
            return asyncio.run_coroutine_threadsafe(coroutine, loop)

    def close(self) -> None:
        """Cancel what runs, and end the thread; closing twice is harmless."""
        if self._end is not None:
            self._end()
        self._loop = self._thread = None

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=_run, args=(loop, self._at_end), name="saywhat-loop", daemon=True
        )
        thread.start()
        self._loop, self._thread = loop, thread
        self._end = weakref.finalize(self, _stop, loop, thread)
        return loop


def reply_to_all(chatbot: ConcurrentChatbot, queries: Sequence[str]) -> list[str]:
    """Answer a batch through ``submit``, at most ``concurrency`` queries at once, in order.

    Raises:
        ChatbotError: a query failed. It tells what came of each if there were several.
    """
    slots = threading.Semaphore(chatbot.concurrency)
    futures: list[Future[str]] = []
    for query in queries:
        slots.acquire()
        future = chatbot.submit(query)
        future.add_done_callback(lambda _: slots.release())
        futures.append(future)
    wait(futures)
    outcomes: list[str | ChatbotError] = []
    for future in futures:
        try:
            outcomes.append(future.result())
        except ChatbotError as error:
            outcomes.append(error)
    return settled(outcomes)


def _run(
    loop: asyncio.AbstractEventLoop, at_end: Callable[[], Coroutine[Any, Any, object]] | None
) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        if at_end is not None:
            loop.run_until_complete(at_end())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())  # look-ups of names
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
