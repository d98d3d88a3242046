"""Sending: what leaves, when, and what is done with what comes back.

One loop serves both kinds of chatbots. One that answers batches gets a batch at a time. One that
can be asked concurrently gets single queries, as many under way as it allows, and each reply is
stored as it comes, so that a crash loses only what was under way. A chatbot that asks for patience
halves the number under way; each answer raises it again.
"""

import contextlib
import dataclasses
import math
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, NamedTuple, Protocol, final, runtime_checkable

from saywhat.errors import ChatbotError, SayWhatError, SetupError, UnreachableError
from saywhat.interfaces import BatchingChatbot, Chatbot, ConcurrentChatbot
from saywhat.ledger.budget import Budget
from saywhat.ledger.outcomes import Outcome, ask_batch, naming, outcome_of, submit
from saywhat.ledger.pace import Breaker, TokenBucket
from saywhat.ledger.terms import Terms
from saywhat.ledger.waiting import Try, Waiting

_MOST_BUSY: Final = 20  # times that one query is put off before it is given up


@runtime_checkable
class Sink(Protocol):
    """Who writes down what happens, before anything depends on it."""

    def admit(self, query: str) -> ChatbotError | None:
        """Set a place aside for a query within the limits of its own, or say why it has none.

        The place is kept until the query is among those ``leaving``.
        """
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
@dataclasses.dataclass(slots=True, eq=False)
class _Flight:
    """Queries that left together, and where what becomes of them is to be found."""

    tries: list[Try]
    generation: int
    future: "Future[str] | None" = None
    outcomes: list[Outcome] | ChatbotError | None = None

    @property
    def over(self) -> bool:
        """Whether what became of them is known."""
        return self.outcomes is not None or (self.future is not None and self.future.done())


class _Failure(NamedTuple):
    """What failed one try; or several, and nobody knows which of them failed the others."""

    tries: list[Try]
    error: ChatbotError
    generation: int


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

    Raises:
        SetupError: the chatbot says that it takes less than one query at a time.
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
        self._window = float(self._most)
        self._flights: set[_Flight] = set()  # under way
        self._come: list[_Flight] = []  # no longer, but not stored
        self._landed: queue.SimpleQueue[_Flight] = queue.SimpleQueue()

    def send(self, queries: Sequence[str], sink: Sink) -> None:
        """Send distinct queries, in order, and tell ``sink`` what comes of each.

        Raises:
            BudgetError: a limit was reached. What still fitted was sent, and what was under way was
                waited for.
            UnreachableError: the chatbot keeps failing, or asks for more patience than is allowed.
        """
        waiting = Waiting(queries)
        try:
            while waiting or self._flights:
                self._release(waiting, sink)
                self._collect(waiting)
                for failure in self._keep(sink):
                    self._failed(failure, waiting, sink)
        except SayWhatError:
            while self._flights:
                self._wait(None)
            self._keep(sink)
            raise
        finally:
            self._abandon(sink)

    # ------------------------------------------------------------------ what leaves

    def _release(self, waiting: Waiting, sink: Sink) -> None:
        take = waiting.take_together if self._several is None else waiting.take
        going = []
        for attempt in take(self._room(), self._clock()):
            if refusal := sink.admit(attempt.query):
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
            self._ask(going)
        else:
            for attempt in going:
                self._submit(self._several, attempt)

    def _room(self) -> int:
        """Give how many queries may leave now."""
        if self._clock() < self._breaker.quiet_until:
            return 0
        window = 1 if self._breaker.suspects else int(self._window)
        free = window - len(self._flights)
        available = self._bucket.available()
        return max(0, free if available is None else min(free, available))

    def _ask(self, tries: list[Try]) -> None:
        flight = _Flight(tries, self._breaker.generation)
        flight.outcomes = ask_batch(self._chatbot, [attempt.query for attempt in tries])
        self._come.append(flight)

    def _submit(self, chatbot: ConcurrentChatbot, attempt: Try) -> None:
        flight, landed = _Flight([attempt], self._breaker.generation), self._landed
        self._flights.add(flight)
        try:
            came = submit(chatbot, attempt.query, lambda: landed.put(flight))
        except SayWhatError:
            self._flights.discard(flight)
            raise
        if isinstance(came, ChatbotError):
            flight.outcomes = came
            landed.put(flight)
        else:
            flight.future = came

    # ------------------------------------------------------------------ what comes back

    def _collect(self, waiting: Waiting) -> None:
        """Wait until something can happen: a reply, or the time at which a query may leave."""
        if self._come:
            return
        now, suspects = self._clock(), self._breaker.suspects
        at = max(waiting.earliest(now), self._breaker.quiet_until, now + self._bucket.wait())
        if self._flights:
            full = len(self._flights) >= int(self._window)
            blocked = full or suspects or at == math.inf
            self._wait(None if blocked else max(0.0, at - now))
        elif waiting and at > now:
            self._budget.allow_wait(at - now)
            self._sleep(at - now)

    def _wait(self, timeout: float | None) -> None:
        """Wait for what is under way, and take in all that has come."""
        with contextlib.suppress(queue.Empty):
            self._take_in(self._landed.get(timeout=timeout))
            while True:
                self._take_in(self._landed.get_nowait())

    def _take_in(self, flight: _Flight) -> None:
        self._come.append(flight)
        self._flights.discard(flight)

    def _keep(self, sink: Sink) -> list[_Failure]:
        """Store the replies that have come, and give the failures.

        Raises:
            SayWhatError: something else came than a reply or a failure. All replies are stored.
        """
        replies: list[tuple[str, str]] = []
        failures: list[_Failure] = []
        stop: SayWhatError | None = None
        for flight in self._come:
            try:
                outcomes = self._outcomes(flight)
            except SayWhatError as error:
                stop = stop or error
                continue
            if isinstance(outcomes, ChatbotError):
                failures.append(_Failure(flight.tries, outcomes, flight.generation))
                continue
            for attempt, outcome in zip(flight.tries, outcomes, strict=True):
                if isinstance(outcome, str):
                    replies.append((attempt.query, outcome))
                else:
                    failures.append(_Failure([attempt], outcome, flight.generation))
        if replies:
            sink.arrived(replies)
            self._answered(len(replies))
        number, self._come = sum(len(flight.tries) for flight in self._come), []
        if number:
            sink.landed(number)
        if stop is not None:
            raise stop
        return failures

    def _outcomes(self, flight: _Flight) -> list[Outcome] | ChatbotError:
        if flight.future is not None:
            return [outcome_of(flight.future, flight.tries[0].query, self._name)]
        return flight.outcomes or []

    def _answered(self, number: int) -> None:
        self._breaker.success()
        if self._several is not None:
            grown = self._window + number / max(1.0, self._window)
            self._window = min(float(self._most), grown)

    def _failed(self, failure: _Failure, waiting: Waiting, sink: Sink) -> None:
        tries, error, generation = failure
        new = generation >= self._breaker.generation
        self._count(error, generation)
        if error.retry == "busy" and new and self._several is not None:
            self._window = max(1.0, self._window / 2)
        if len(tries) > 1 and error.retry != "busy":  # nobody knows which query failed it
            for attempt in tries:
                attempt.alone = True
            waiting.again(tries)
            return
        for attempt in tries:
            if error.retry == "busy":
                attempt.busy += 1
            else:
                attempt.failed += 1
            if self._is_over(attempt, error):
                sink.gave_up(attempt.query, naming(attempt.query, error))
            elif error.retry == "now":
                waiting.again([attempt])
            else:
                failed = attempt.failed + attempt.busy - 1
                wait = self._breaker.backoff(failed, tries[0].query)
                waiting.put_off(attempt, self._clock() + wait)

    def _is_over(self, attempt: Try, error: ChatbotError) -> bool:
        used_up = attempt.failed >= self._terms.attempts or attempt.busy > _MOST_BUSY
        return used_up or error.retry == "never"

    def _count(self, error: ChatbotError, generation: int) -> None:
        if error.after is not None and error.after > self._terms.max_wait:
            raise UnreachableError(
                f"The chatbot asks to wait {error.after:,.0f} seconds ({error.kind}), more than "
                f"limits.max_wait allows ({self._terms.max_wait:,.0f})."
            )
        later = error.retry in {"later", "busy"}
        told = " ".join(str(error).split())
        pause = self._breaker.failure(error.kind, generation, later=later, message=told) or 0.0
        until = self._clock() + max(pause, error.after or 0.0)
        self._breaker.quiet_until = max(self._breaker.quiet_until, until)

    def _abandon(self, sink: Sink) -> None:
        """Keep what has come, and let go of what is under way: after an interruption."""
        if not (self._flights or self._come):
            return
        try:
            for flight in [flight for flight in self._flights if flight.over]:
                self._take_in(flight)
            with contextlib.suppress(Exception):
                self._keep(sink)
        finally:
            futures = [flight.future for flight in self._flights if flight.future is not None]
            self._flights, self._come, self._landed = set(), [], queue.SimpleQueue()
            for future in futures:
                future.cancel()


def _most_at_once(chatbot: Chatbot, batch_size: int) -> int:
    if isinstance(chatbot, ConcurrentChatbot):
        most, what = chatbot.concurrency, "concurrency"
    elif isinstance(chatbot, BatchingChatbot):
        most, what = min(batch_size, chatbot.batch_size), "batch_size"
    else:
        return batch_size
    if most < 1:
        raise SetupError(f"Expected a {what} of at least 1 of {chatbot.name!r}, got {most}.")
    return most
