"""Hard limits on what may be sent: the run stops at the limit, never past it.

Limits bind *sent* queries (retries included), because those are what is paid for. Since the number
sent is on disk before a batch leaves, a limit on it holds across restarts and crashes. Wall time
counts from the opening of the ledger.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, final

from saywhat.errors import BudgetError, SetupError
from saywhat.ledger.store import Counts, require_phase


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent at most; ``None`` and absent phases are unlimited.

    Attributes:
        total: queries over all phases.
        phases: queries by phase.
        seconds: wall time since the ledger was opened; no query leaves after it.

    Raises:
        UnknownNameError: a phase that does not exist.
        SetupError: a negative limit.

    Example:
        >>> Limits(total=1000, phases={"search": 600}).phases["search"]
        600
    """

    total: int | None = None
    phases: Mapping[str, int] = dataclasses.field(default_factory=dict)
    seconds: float | None = None

    def __post_init__(self) -> None:
        for phase in self.phases:
            require_phase(phase)
        named = {"total": self.total, "seconds": self.seconds, **self.phases}
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
        if limits.seconds is not None and self._clock() - self._opened >= limits.seconds:
            raise BudgetError("wall-time (seconds)", limits.seconds)
        counts = self._counts()
        allowed = wanted
        if limits.total is not None:
            sent = sum(count.sent for count in counts.values())
            allowed = min(allowed, _left("total", limits.total, sent))
        if phase in limits.phases:
            limit = limits.phases[phase]
            allowed = min(allowed, _left(f"phase {phase}", limit, counts[phase].sent))
        return allowed


def _left(name: str, limit: int, sent: int) -> int:
    if sent >= limit:
        raise BudgetError(name, float(limit))
    return limit - sent
