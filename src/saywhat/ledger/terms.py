"""The terms on which a phase asks a chatbot."""

import dataclasses
from collections.abc import Callable
from typing import Final, final

from saywhat.errors import SetupError
from saywhat.ledger.store import require_phase

BATCH_SIZE: Final = 256


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """How a chatbot is asked; the fields are those of ``Ledger.chatbot`` and ``Limits``."""

    phase: str
    repeat: int
    attempts: int
    batch_size: int
    per_target: int | None
    max_wait: float
    on_sent: Callable[[int], None] | None
    on_reply: Callable[[str, str], None] | None

    def __post_init__(self) -> None:
        require_phase(self.phase)
        for name, low in {"repeat": 0, "attempts": 1, "batch_size": 1}.items():
            if (value := getattr(self, name)) < low:
                raise SetupError(f"{name!r} must be at least {low}, got {value}.")
