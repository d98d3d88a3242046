"""Hard limits on what may be sent: the run stops at the limit, never past it.

Limits bind *sent* queries (retries included), because those are what is paid for. Since the number
sent is on disk before a batch leaves, a limit on it holds across restarts and crashes. Wall time
counts from the opening of the ledger.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, final

from saywhat.config import LimitSettings
from saywhat.errors import BudgetError, SetupError
from saywhat.ledger.store import Counts, require_phase

_DEFAULT: Final = LimitSettings()


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent at most, and how fast; ``None`` and absent phases are unlimited.

    Attributes:
        total: queries over all phases.
        phases: queries by phase.
        per_target: queries for one target in one phase.
        seconds: wall time since the ledger was opened; no query leaves after it.
        rate: queries a second.
        max_wait: longest wait before a retry, in seconds.
        breaker: the same failure this often in a row stops the run.

    Raises:
        UnknownNameError: a phase that does not exist.
        SetupError: a negative limit.

    Example:
        >>> Limits(total=1000, phases={"search": 600}).phases["search"]
        600
    """

    total: int | None = None
    phases: Mapping[str, int] = dataclasses.field(default_factory=dict)
    per_target: int | None = None
    seconds: float | None = None
    rate: float | None = None
    max_wait: float = _DEFAULT.max_wait
    breaker: int = _DEFAULT.breaker

    @classmethod
    def of(cls, settings: LimitSettings) -> "Limits":
        """Give the limits that settings ask for."""
        phases = settings.phases.model_dump(exclude_none=True)
        shared = {"per_target", "seconds", "rate", "max_wait", "breaker"}
        return cls(total=settings.queries, phases=phases, **settings.model_dump(include=shared))

    def __post_init__(self) -> None:
        for phase in self.phases:
            require_phase(phase)
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise SetupError(f"The limit 'rate' must be a number above 0, got {self.rate}.")
        named = {
            "total": self.total,
            "per_target": self.per_target,
            "seconds": self.seconds,
            "max_wait": self.max_wait,
            "breaker": self.breaker,
            **self.phases,
        }
        for name, limit in named.items():
            if limit is not None and not limit >= 0:
                raise SetupError(f"The limit {name!r} must be 0 or more, got {limit}.")
        object.__setattr__(self, "phases", MappingProxyType(dict(self.phases)))


UNLIMITED: Final = Limits()


@final
class Budget:
    """The check of the limits against what was sent.

    Args:
        limits: the limits.
        counts: gives the counts of now, by phase.
        clock: gives seconds, never going back.
    """

    def __init__(
        self,
        limits: Limits,
        counts: Callable[[], Mapping[str, Counts]],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._limits, self._counts, self._clock = limits, counts, clock
        self._opened = clock()

    def allow(self, phase: str, wanted: int) -> int:
        """Give how many of ``wanted`` queries may leave now: at least 1.

        Raises:
            BudgetError: none may leave; it names the limit.
        """
        limits = self._limits
        self.allow_wait(0.0)
        if limits.total is None and phase not in limits.phases:
            return wanted
        counts = self._counts()
        allowed = wanted
        if limits.total is not None:
            sent = sum(count.sent for count in counts.values())
            allowed = min(allowed, _left("total", limits.total, sent))
        if phase in limits.phases:
            limit = limits.phases[phase]
            allowed = min(allowed, _left(f"phase {phase}", limit, counts[phase].sent))
        return allowed

    def allow_wait(self, seconds: float) -> None:
        """See that after a wait there would be time left to send.

        Raises:
            BudgetError: the wall time is used up, or would be.
        """
        limit = self._limits.seconds
        if limit is not None and self._clock() - self._opened + seconds >= limit:
            raise BudgetError("wall-time (seconds)", limit)


def _left(name: str, limit: int, sent: int) -> int:
    if sent >= limit:
        raise BudgetError(name, float(limit))
    return limit - sent
