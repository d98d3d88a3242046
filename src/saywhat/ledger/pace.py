"""How fast queries may leave: a token bucket, growing waits, and a stop when nothing helps.

All of it follows from a clock that is handed in, so that tests need not wait.
"""

import math
from collections.abc import Callable
from typing import Final, final

from saywhat.errors import UnreachableError
from saywhat.rng import fraction

_BURST_SECONDS: Final = 0.25
_FIRST_WAIT: Final = 0.25
_UNKNOWN_WAIT: Final = 1.0  # while nothing was ever answered, patience has no ground
_GROWTH: Final = 2.0
_ROUNDING: Final = 1e-3  # of a token: a clock of many digits cannot tell shorter waits


@final
class TokenBucket:
    """Lets ``rate`` queries a second leave, a quarter of a second's worth at once (at least one).

    Args:
        rate: queries a second; ``None`` is unlimited.
        clock: gives seconds, never going back.

    Example:
        >>> bucket = TokenBucket(2.0, clock=lambda: 0.0)
        >>> bucket.available(), bucket.take(1), bucket.available(), bucket.wait()
        (1, None, 0, 0.5)
    """

    def __init__(self, rate: float | None, *, clock: Callable[[], float]) -> None:
        self._rate, self._clock = rate, clock
        self._most = max(1.0, (rate or 0.0) * _BURST_SECONDS)
        self._tokens, self._filled = self._most, clock()

    def available(self) -> int | None:
        """How many queries may leave now; ``None`` is any number."""
        if self._rate is None:
            return None
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return math.floor(self._tokens + _ROUNDING)

    def take(self, number: int) -> None:
        """Note that queries leave."""
        if self._rate is not None:
            self._tokens -= number

    def wait(self) -> float:
        """Seconds until one query may leave."""
        if self._rate is None or self.available():
            return 0.0
        return (1.0 - self._tokens) / self._rate


@final
class Breaker:
    """Stops a run whose chatbot fails in the same way again and again.

    Failures of queries that were under way together count once: only what left after the last
    failure was known can tell whether the chatbot still fails. From the second failure in a row on,
    queries leave one at a time, after growing waits.

    Args:
        limit: the same failure this often in a row stops the run.
        max_wait: the longest wait in seconds.
        answered: whether the chatbot ever answered.

    Attributes:
        generation: grows with each failure that counts.
        quiet_until: the clock's time before which nothing may leave.

    Example:
        >>> breaker = Breaker(2, max_wait=30.0, answered=True)
        >>> breaker.failure("HTTP 500", 0, later=True)
        >>> breaker.failure("HTTP 500", breaker.generation, later=True)
        Traceback (most recent call last):
        saywhat.errors.UnreachableError: The chatbot failed 2 times in a row with: HTTP 500.
    """

    def __init__(self, limit: int, *, max_wait: float, answered: bool) -> None:
        self._limit, self._max_wait, self._answered = limit, max_wait, answered
        self._kind, self._streak = "", 0
        self.generation, self.quiet_until = 0, -math.inf

    @property
    def suspects(self) -> bool:
        """Whether the last failures make it likely that the next query fails too."""
        return self._streak >= 2

    def success(self) -> None:
        """Note a reply."""
        self._kind, self._streak, self._answered = "", 0, True

    def failure(
        self, kind: str, generation: int, *, later: bool, message: str = ""
    ) -> float | None:
        """Note a failure.

        Args:
            kind: its kind.
            generation: ``generation`` when its query left.
            later: whether it is one that waiting may cure.
            message: what happened this time.

        Returns:
            Seconds to send nothing at all; ``None`` for no need to wait.

        Raises:
            UnreachableError: it was one too many.
        """
        if generation < self.generation:
            return None
        self.generation += 1
        # an outage has many names: 502, 503 and dropped connections by turns are one failure
        same = "outage" if later else kind
        self._streak = self._streak + 1 if same == self._kind else 1
        self._kind = same
        if self._streak >= self._limit:
            last = f" The last time: {message}" if message and message != kind else ""
            raise UnreachableError(
                f"The chatbot failed {self._streak} times in a row with: {kind}.{last}"
            )
        if not later or not self.suspects:
            return None
        return self.backoff(self._streak - 2, "all")

    def backoff(self, tries: int, query: str) -> float:
        """Give the wait after a query's failed try: grows twofold, spread by half to once again.

        Args:
            tries: failed tries before it.
            query: what failed; its hash spreads the waits.
        """
        most = self._max_wait if self._answered else min(self._max_wait, _UNKNOWN_WAIT)
        grown = _FIRST_WAIT * _GROWTH ** min(tries, 20)
        return min(most, grown * (0.5 + fraction("backoff", tries, query)))
