"""Sending: what leaves, when, and what is done with what comes back.

One loop serves both kinds of chatbots. One that answers batches gets a batch at a time. One that
can be asked concurrently gets single queries, as many under way as it allows, and each reply is
stored as it comes, so that a crash loses only what was under way. A chatbot that asks for patience
halves the number under way; each answer raises it again.
"""

import contextlib
import dataclasses
import heapq
import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final, Protocol, final, runtime_checkable

from saywhat.errors import BudgetError, ChatbotError, UnreachableError
from saywhat.interfaces import BatchingChatbot, Chatbot, ConcurrentChatbot
from saywhat.ledger.budget import Budget
from saywhat.ledger.outcomes import Outcome, ask_batch, outcome_of, unexpected
from saywhat.ledger.pace import Breaker, TokenBucket
from saywhat.ledger.terms import Terms

_MOST_BUSY: Final = 20  # times that one query is put off before it is given up


@runtime_checkable
class Sink(Protocol):
    """Who writes down what happens, before anything depends on it."""

    def refusal(self, query: str) -> ChatbotError | None:
        """Say why a query may not leave any more, or ``None``."""
        ...

    def leaving(self, queries: Sequence[str]) -> None:
        """Write down that queries are about to leave."""
        ...

    def arrived(self, replies: Sequence[tuple[str, str]]) -> None:
        """Write down (query, reply) pairs."""
        ...

    def landed(self, number: int) -> None:
        """Take in that so many queries that had left are no longer under way."""
        ...

    def gave_up(self, query: str, error: ChatbotError) -> None:
        """Write down that a query is given up."""
        ...


@final
@dataclasses.dataclass(slots=True)
class _Try:
    """A query on its way to a reply."""

    query: str
    failed: int = 0
    busy: int = 0
    alone: bool = False


@final
@dataclasses.dataclass(slots=True, eq=False)
class _Flight:
    """Queries that left together."""

    tries: list[_Try]
    generation: int
    future: "Future[str] | None" = None


_Landed = tuple[_Flight, list[Outcome] | ChatbotError]


@final
class _Waiting:
    """The tries that have not left: those that may at once, in order, and those put off."""

    def __init__(self, queries: Iterable[str]) -> None:
        self._ready = deque(_Try(query) for query in queries)
        self._later: list[tuple[float, int, _Try]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._ready or self._later)

    def again(self, tries: Iterable[_Try]) -> None:
        """Put tries before all others."""
        self._ready.extendleft(reversed(list(tries)))

    def put_off(self, attempt: _Try, until: float) -> None:
        """Put a try off until the clock's ``until``."""
        heapq.heappush(self._later, (until, next(self._numbers), attempt))

    def take(self, most: int, now: float) -> list[_Try]:
        """Take tries that may leave, up to ``most``."""
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def earliest(self, now: float) -> float:
        """Give the clock's time at which a try may leave; infinity if there is none."""
        if self._ready:
            return now
        return self._later[0][0] if self._later else float("inf")


@final
class Dispatcher:
    """Sends queries until each has a reply or is given up.

    Args:
        chatbot: the chatbot.
        terms: on which it is asked.
        budget: what may leave at all.
        bucket: how fast.
        breaker: when to stop.
        clock: gives seconds, never going back.
        sleep: waits for seconds while nothing is under way.
    """

    def __init__(
        self,
        chatbot: Chatbot,
        terms: Terms,
        *,
        budget: Budget,
        bucket: TokenBucket,
        breaker: Breaker,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._chatbot, self._name, self._terms = chatbot, chatbot.name, terms
        self._budget, self._bucket, self._breaker = budget, bucket, breaker
        self._clock, self._sleep = clock, sleep
        self._several = chatbot if isinstance(chatbot, ConcurrentChatbot) else None
        self._most = _most_at_once(chatbot, terms.batch_size)
        self._window, self._not_before = float(self._most), 0.0
        self._flights: set[_Flight] = set()
        self._landed: queue.SimpleQueue[_Landed] = queue.SimpleQueue()

    def send(self, queries: Sequence[str], sink: Sink) -> None:
        """Send distinct queries, in order, and tell ``sink`` what comes of each.

        Raises:
            BudgetError: a limit was reached. What still fitted was sent, and what was under way was
                waited for.
            UnreachableError: the chatbot keeps failing, or asks for more patience than is allowed.
        """
        waiting = _Waiting(queries)
        try:
            while waiting or self._flights:
                self._release(waiting, sink)
                self._collect(waiting, sink)
        except (BudgetError, UnreachableError):
            while self._flights:
                self._keep([self._landed.get(), *self._more()], sink)
            raise
        finally:
            self._abandon(sink)

    # ------------------------------------------------------------------ what leaves

    def _release(self, waiting: _Waiting, sink: Sink) -> None:
        tries = waiting.take(self._room(), self._clock())
        if tries and self._several is None and any(attempt.alone for attempt in tries):
            first = 1 if tries[0].alone else [attempt.alone for attempt in tries].index(True)
            waiting.again(tries[first:])
            tries = tries[:first]
        going = []
        for attempt in tries:
            if refusal := sink.refusal(attempt.query):
                sink.gave_up(attempt.query, refusal)
            else:
                going.append(attempt)
        if not going:
            return
        allowed = self._budget.allow(self._terms.phase, len(going))
        waiting.again(going[allowed:])
        going = going[:allowed]
        sink.leaving([attempt.query for attempt in going])
        self._bucket.take(len(going))
        if self._several is None:
            self._ask_batch(going)
        else:
            for attempt in going:
                self._submit(self._several, attempt)

    def _room(self) -> int:
        """Give how many queries may leave now."""
        if self._clock() < self._not_before:
            return 0
        window = 1 if self._breaker.suspects else int(self._window)
        free = window - len(self._flights)
        available = self._bucket.available()
        return max(0, free if available is None else min(free, available))

    def _ask_batch(self, tries: list[_Try]) -> None:
        flight = _Flight(tries, self._breaker.generation)
        self._flights.add(flight)
        try:
            outcome = ask_batch(self._chatbot, [attempt.query for attempt in tries])
        except BaseException:
            self._flights.discard(flight)
            raise
        self._landed.put((flight, outcome))

    def _submit(self, chatbot: ConcurrentChatbot, attempt: _Try) -> None:
        flight = _Flight([attempt], self._breaker.generation)
        self._flights.add(flight)
        try:
            future = chatbot.submit(attempt.query)
        except ChatbotError as error:
            self._landed.put((flight, error))
        except Exception as error:  # noqa: BLE001  (another's code: its bug is the query's failure)
            self._landed.put((flight, unexpected(error, attempt.query, self._name)))
        else:
            flight.future = future
            query, name, landed = attempt.query, self._name, self._landed
            future.add_done_callback(lambda f: landed.put((flight, [outcome_of(f, query, name)])))

    # ------------------------------------------------------------------ what comes back

    def _collect(self, waiting: _Waiting, sink: Sink) -> None:
        """Wait until something can happen: a reply, or the time at which a query may leave."""
        now = self._clock()
        at = max(waiting.earliest(now), self._not_before, now + self._bucket.wait())
        if not self._flights:
            if waiting and at > now:
                self._budget.allow_wait(at - now)
                self._sleep(at - now)
            return
        full = not self._breaker.suspects and len(self._flights) >= int(self._window)
        blocked = full or self._breaker.suspects or at == float("inf")
        with contextlib.suppress(queue.Empty):
            first = self._landed.get(timeout=None if blocked else max(0.0, at - now))
            self._land([first, *self._more()], waiting, sink)

    def _more(self) -> list[_Landed]:
        more = []
        with contextlib.suppress(queue.Empty):
            while True:
                more.append(self._landed.get_nowait())
        return more

    def _land(self, landed: Sequence[_Landed], waiting: _Waiting, sink: Sink) -> None:
        failures = self._keep(landed, sink)
        for flight, failure in failures:
            tries = flight.tries
            if isinstance(failure, tuple):
                attempt, error = failure
                self._failed(attempt, error, flight.generation, waiting, sink)
            elif len(tries) == 1:
                self._failed(tries[0], failure, flight.generation, waiting, sink)
            else:  # nobody knows which query failed it: each is tried alone
                self._count(failure, flight.generation)
                for attempt in tries:
                    attempt.alone = True
                waiting.again(tries)

    def _keep(
        self, landed: Sequence[_Landed], sink: Sink
    ) -> list[tuple[_Flight, ChatbotError | tuple[_Try, ChatbotError]]]:
        """Store the replies, and give the failures."""
        replies: list[tuple[str, str]] = []
        failures: list[tuple[_Flight, ChatbotError | tuple[_Try, ChatbotError]]] = []
        for flight, outcomes in landed:
            self._flights.discard(flight)
            if isinstance(outcomes, ChatbotError):
                failures.append((flight, outcomes))
                continue
            for attempt, outcome in zip(flight.tries, outcomes, strict=True):
                if isinstance(outcome, str):
                    replies.append((attempt.query, outcome))
                else:
                    failures.append((flight, (attempt, outcome)))
        if replies:
            sink.arrived(replies)
            self._breaker.success()
            if self._several is not None:
                grown = self._window + len(replies) / max(1.0, self._window)
                self._window = min(float(self._most), grown)
        sink.landed(sum(len(flight.tries) for flight, _ in landed))
        return failures

    def _failed(
        self,
        attempt: _Try,
        error: ChatbotError,
        generation: int,
        waiting: _Waiting,
        sink: Sink,
    ) -> None:
        known = generation < self._breaker.generation
        self._count(error, generation)
        if error.retry == "busy":
            attempt.busy += 1
            if self._several is not None and not known:
                self._window = max(1.0, self._window / 2)
        else:
            attempt.failed += 1
        over = attempt.failed >= self._terms.attempts or attempt.busy > _MOST_BUSY
        if error.retry == "never" or over:
            sink.gave_up(attempt.query, error)
        elif error.retry == "now":
            waiting.again([attempt])
        else:
            tries = attempt.failed + attempt.busy - 1
            wait = self._breaker.backoff(tries, attempt.query)
            waiting.put_off(attempt, self._clock() + max(wait, error.after or 0.0))

    def _count(self, error: ChatbotError, generation: int) -> None:
        if error.after is not None and error.after > self._terms.max_wait:
            raise UnreachableError(
                f"The chatbot asks to wait {error.after:,.0f} seconds ({error.kind}), more than "
                f"limits.max_wait allows ({self._terms.max_wait:,.0f})."
            )
        later = error.retry in {"later", "busy"}
        pause = self._breaker.failure(error.kind, generation, later=later) or 0.0
        self._not_before = max(self._not_before, self._clock() + max(pause, error.after or 0.0))

    def _abandon(self, sink: Sink) -> None:
        """Keep what has come, and let go of what is under way: after an interruption."""
        if self._flights:
            with contextlib.suppress(Exception):
                self._keep(self._more(), sink)
            for flight in self._flights:
                if flight.future is not None:
                    flight.future.cancel()
            self._flights.clear()
            self._landed = queue.SimpleQueue()


def _most_at_once(chatbot: Chatbot, batch_size: int) -> int:
    if isinstance(chatbot, ConcurrentChatbot):
        return chatbot.concurrency
    return (
        min(batch_size, chatbot.batch_size) if isinstance(chatbot, BatchingChatbot) else batch_size
    )
