"""The queries of one call that have not left: those that may at once, and those put off."""

import dataclasses
import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterable
from typing import final


@final
@dataclasses.dataclass(slots=True)
class Try:
    """A query on its way to a reply.

    Attributes:
        query: the query.
        failed: tries that failed.
        busy: times that the chatbot asked for patience instead.
        alone: whether it must not share a batch, since one that held it failed as a whole.
    """

    query: str
    failed: int = 0
    busy: int = 0
    alone: bool = False


@final
class Waiting:
    """Tries that are to leave; those whose time has come go before those that never left.

    Args:
        queries: the queries, in order.

    Example:
        >>> waiting = Waiting(["a", "b"])
        >>> [first] = waiting.take(1, now=0.0)
        >>> waiting.put_off(first, until=2.0)
        >>> [t.query for t in waiting.take(2, now=0.0)], waiting.earliest(now=0.0)
        (['b'], 2.0)
    """

    def __init__(self, queries: Iterable[str]) -> None:
        self._ready = deque(Try(query) for query in queries)
        self._later: list[tuple[float, int, Try]] = []
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return bool(self._ready or self._later)

    def again(self, tries: Iterable[Try]) -> None:
        """Put tries before all others."""
        self._ready.extendleft(reversed(list(tries)))

    def put_off(self, attempt: Try, until: float) -> None:
        """Put a try off until the clock's ``until``."""
        heapq.heappush(self._later, (until, next(self._numbers), attempt))

    def take(self, most: int, now: float) -> list[Try]:
        """Take tries that may leave, up to ``most``."""
        due = []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        self.again(due)
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def take_together(self, most: int, now: float) -> list[Try]:
        """Take tries that may share a batch, up to ``most``."""
        tries = self.take(most, now)
        shared = next((n for n, attempt in enumerate(tries) if attempt.alone), len(tries))
        shared = max(1, shared)
        self.again(tries[shared:])
        return tries[:shared]

    def earliest(self, now: float) -> float:
        """Give the clock's time at which a try may leave; infinity if there is none."""
        if self._ready:
            return now
        return self._later[0][0] if self._later else math.inf
