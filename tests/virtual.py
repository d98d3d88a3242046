"""Virtual time, and chatbots that live in it: waiting costs nothing and repeats exactly.

In a ``World`` time passes only when somebody waits, and what is due by then happens on the way, in
this thread. The ledger's queue of what came back is replaced by one that waits in the world.
"""

import heapq
import itertools
import math
import queue
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from saywhat.errors import ChatbotError, Retry
from saywhat.ledger import Answer, Ledger, Limits, dispatch

# (query, how often it had come before) -> a reply, an exception, CANCELLED, or what is no reply
Script = Callable[[str, int], Any]
CANCELLED = object()
PATIENT = Limits(breaker=10**6, max_wait=60.0)


class World:
    """Time, and what will happen in it.

    Attributes:
        now: seconds.
        waits: how often somebody looked whether something had come, or slept.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.waits = 1000.0, 0
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        names = SimpleNamespace(SimpleQueue=lambda: _Queue(self), Empty=queue.Empty)
        monkeypatch.setattr(dispatch, "queue", names)

    def ledger(self, path: Any, limits: Limits | None = None) -> Ledger:
        """Open a ledger in this world."""
        return Ledger(path, limits or Limits(), clock=lambda: self.now, sleep=self.sleep)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something happen later."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), action))

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        assert seconds > 0
        self.waits += 1
        end = self.now + seconds
        while self.happens(end):
            pass

    def happens(self, end: float) -> bool:
        """Let the next thing happen, or time pass until ``end`` if there is none before it."""
        if not self._events or self._events[0][0] > end:
            assert end < math.inf, "somebody waits for what never comes"
            self.now = max(self.now, end)
            return False
        self.now, _, action = heapq.heappop(self._events)
        action()
        return True


class _Queue:
    """``queue.SimpleQueue`` in a world."""

    def __init__(self, world: World) -> None:
        self._world, self._items = world, deque[object]()

    def put(self, item: object) -> None:
        self._items.append(item)

    def get(self, timeout: float | None = None) -> object:
        self._world.waits += 1
        end = math.inf if timeout is None else self._world.now + timeout
        while not self._items:
            if not self._world.happens(end) and not self._items:
                raise queue.Empty
        return self._items.popleft()

    def get_nowait(self) -> object:
        if not self._items:
            raise queue.Empty
        return self._items.popleft()


def names(number: int) -> list[str]:
    """Give queries."""
    return [f"q{n}" for n in range(number)]


def ask(ledger: Ledger, chatbot: Any, queries: list[str], **terms: Any) -> list[Answer]:
    """Ask a chatbot in phase ``search``."""
    return ledger.chatbot(chatbot, phase="search", **terms).ask(queries, scope="t")


def replied(answers: list[Answer]) -> bool:
    """Whether every query got the reply that is due to it."""
    return all((answer.reply, answer.error) == (said(answer.query), "") for answer in answers)


def said(query: str) -> str:
    """What a chatbot of this world replies by default."""
    return f"re: {query}"


class _Heard:
    """What came to a chatbot, and what it makes of it."""

    name, fingerprint = "virtual", "virtual-1"

    def __init__(self, world: World, script: Script | None) -> None:
        self.world = world
        self._script = script or (lambda query, _: said(query))
        self.times: list[float] = []
        self.received: list[str] = []
        self.answered: set[str] = set()
        self._before: Counter[str] = Counter()

    def came(self, query: str) -> Any:
        self.times.append(self.world.now)
        self.received.append(query)
        self._before[query] += 1
        return self._script(query, self._before[query] - 1)


class Concurrent:
    """A ``ConcurrentChatbot`` whose replies come after ``seconds``, or a function of the query.

    Attributes:
        received: the queries that came, in order; ``times`` when.
        answered: the queries that were answered.
        under_way: how many have come and are not answered; ``most`` the most there were.
        futures: the future of each query that came.
    """

    name, fingerprint = _Heard.name, _Heard.fingerprint

    def __init__(
        self,
        world: World,
        script: Script | None = None,
        *,
        concurrency: int = 4,
        seconds: float | Callable[[str], float] = 1.0,
    ) -> None:
        self.world, self.concurrency, self._seconds = world, concurrency, seconds
        self.heard = _Heard(world, script)
        self.under_way = self.most = 0
        self.futures: list[tuple[str, Future[str]]] = []

    @property
    def received(self) -> list[str]:
        return self.heard.received

    @property
    def times(self) -> list[float]:
        return self.heard.times

    @property
    def answered(self) -> set[str]:
        return self.heard.answered

    def submit(self, query: str) -> Future[str]:
        outcome = self.heard.came(query)
        if isinstance(outcome, _AtOnce):
            raise outcome.error
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        future: Future[str] = Future()
        self.futures.append((query, future))
        seconds = self._seconds(query) if callable(self._seconds) else self._seconds
        if seconds:
            self.world.after(seconds, lambda: self._answer(future, query, outcome))
        else:
            self._answer(future, query, outcome)
        return future

    def reply(self, queries: Sequence[str]) -> list[str]:
        raise AssertionError("the ledger asks one that can be asked concurrently by submit")

    def _answer(self, future: Future[str], query: str, outcome: Any) -> None:
        self.under_way -= 1
        if outcome is CANCELLED:
            future.cancel()
        if future.cancelled():
            return
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            self.heard.answered.add(query)
            future.set_result(outcome)


class Batching:
    """A chatbot that answers batches, each after ``seconds``; all fail with the first that does.

    Attributes:
        batches: what came, in order.
        received: the queries that came, in order; ``times`` when.
        answered: the queries that were answered.
    """

    name, fingerprint = _Heard.name, _Heard.fingerprint

    def __init__(self, world: World, script: Script | None = None, *, seconds: float = 1.0) -> None:
        self.world, self.heard, self._seconds = world, _Heard(world, script), seconds
        self.batches: list[list[str]] = []

    @property
    def received(self) -> list[str]:
        return self.heard.received

    @property
    def times(self) -> list[float]:
        return self.heard.times

    @property
    def answered(self) -> set[str]:
        return self.heard.answered

    def reply(self, queries: Sequence[str]) -> list[str]:
        self.batches.append(list(queries))
        outcomes = [self.heard.came(query) for query in queries]
        if self._seconds:
            self.world.sleep(self._seconds)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self.heard.answered.update(queries)
        return outcomes


class _AtOnce:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def at_once(error: BaseException) -> object:
    """An outcome: ``submit`` itself raises."""
    return _AtOnce(error)


def failure(
    query: str, kind: str = "HTTP 500", *, retry: Retry = "later", after: float | None = None
) -> ChatbotError:
    """An outcome: the query fails."""
    return ChatbotError(f"failed with {kind}", query=query, kind=kind, retry=retry, after=after)


def failing(times: int, kind: str = "HTTP 500", **how: Any) -> Script:
    """Each query fails so many times and is then answered."""
    return lambda query, before: failure(query, kind, **how) if before < times else said(query)
