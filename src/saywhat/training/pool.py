"""What REINFORCE draws its targets from."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import final

from saywhat.config import ReinforceSettings
from saywhat.errors import SetupError
from saywhat.rng import derive


@final
@dataclasses.dataclass(frozen=True, slots=True)
class TargetPool:
    """The chatbot's distinct replies (the paper's targets) and human sentences.

    Attributes:
        replies: of the chatbot, each once.
        human: sentences of people, each once; may be empty.

    Raises:
        SetupError: there is no reply.
    """

    replies: Sequence[str]
    human: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.replies:
            raise SetupError("The reference corpus has no reply that could be a target.")

    def draw(self, step: int, settings: ReinforceSettings, seed: int) -> list[str]:
        """Draw a step's targets.

        Uniformly over distinct texts, so that generic replies do not fill the batch; a step's draw
        depends on no other step.

        Args:
            step: counted from 1.
            settings: how many, and the share of human sentences.
            seed: the run's seed.
        """
        rng = derive(seed, "reinforce-targets", step)
        drawn = []
        for _ in range(settings.targets):
            human = bool(self.human) and rng.random() < settings.human_share
            drawn.append(rng.choice(self.human if human else self.replies))
        return drawn

    def digest(self) -> str:
        """Give a hash of all texts."""
        texts = json.dumps([list(self.replies), list(self.human)])
        return hashlib.sha256(texts.encode()).hexdigest()
