"""What every generator offers: text in and out, and ids and log-probabilities for training."""

import abc
import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True, slots=True)
class Samples:
    """Queries drawn from the policy, grouped by target.

    Attributes:
        queries: for each target its ``n`` queries as text.
        labels: their ids, target by target. *Shape:* (targets * n, time).
    """

    queries: list[list[str]]
    labels: Int[Tensor, "batch time"]


class Generator(nn.Module, abc.ABC):
    """The policy pi(I | O*) of the paper's equation (1)."""

    @abc.abstractmethod
    def sample(
        self, targets: Sequence[str], n: int, rng: torch.Generator, *, temperature: float = 1.0
    ) -> Samples:
        """Draw ``n`` queries for each target.

        Args:
            targets: what the queries are for; ``[]`` gives no samples.
            n: queries for each target.
            rng: source of the draws.
            temperature: of the draws; 1 is the policy itself.
        """

    @abc.abstractmethod
    def propose(self, targets: Sequence[str], n: int) -> list[list[str]]:
        """Give for each target its at most ``n`` most likely distinct queries, best first.

        ``n = 1`` is greedy decoding.
        """

    @abc.abstractmethod
    def log_prob(
        self, targets: Sequence[str], labels: Int[Tensor, "batch time"]
    ) -> Float[Tensor, " batch"]:
        """Give ``log pi(I | O*)`` of queries as ids, with a gradient.

        Args:
            targets: the targets.
            labels: the same number of queries for each target, target by target. A query that the
                policy cannot draw, such as one with an unknown word, has minus infinity.

        Raises:
            ValueError: the number of queries is not a multiple of the number of targets.
        """

    @abc.abstractmethod
    def encode_queries(self, queries: Sequence[str]) -> Int[Tensor, "batch time"]:
        """Turn queries into ids as ``log_prob`` takes them."""


@runtime_checkable
class ProposesDiversely(Protocol):
    """A generator that can keep its proposals apart."""

    def propose_diversely(
        self, targets: Sequence[str], n: int, *, groups: int, strength: float
    ) -> list[list[str]]:
        """Give for each target at most ``n`` distinct queries by diverse beam search, best first.

        Args:
            targets: what the queries are for.
            n: hypotheses for each target.
            groups: of hypotheses that keep apart.
            strength: what a token costs for each earlier choice of it.
        """
        ...
