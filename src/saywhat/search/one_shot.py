"""Searches whose queries do not depend on the replies: the paper's two, and honest floors."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import final

import torch

from saywhat.generators import Generator, ProposesDiversely
from saywhat.interfaces import Ask
from saywhat.records import Attempt, Target

Plan = Callable[[Sequence[Target], int, Sequence[random.Random]], list[list[str]]]


@final
class PlannedSearch:
    """A ``OneShotSearch`` made of a function that plans: ``run`` asks exactly what ``plan`` gives.

    Args:
        name: the registered name.
        plan: gives for each target at most ``budget`` queries, best first.
    """

    def __init__(self, name: str, plan: Plan) -> None:
        self._name, self._plan = name, plan

    @property
    def name(self) -> str:
        """The registered name."""
        return self._name

    def plan(
        self, targets: Sequence[Target], *, budget: int, rngs: Sequence[random.Random]
    ) -> list[list[str]]:
        """See ``interfaces.OneShotSearch``."""
        return [queries[:budget] for queries in self._plan(targets, budget, rngs)]

    def run(
        self, target: Target, ask: Ask, *, budget: int, rng: random.Random
    ) -> Iterator[Attempt]:
        """See ``interfaces.Search``."""
        yield from ask(self.plan([target], budget=budget, rngs=[rng])[0])


def greedy(generator: Generator) -> PlannedSearch:
    """Ask the most likely query only ("RL Greedy", "Pre-trained Greedy" in Section 5.1.2)."""

    def plan(targets: Sequence[Target], _: int, __: Sequence[random.Random]) -> list[list[str]]:
        return generator.propose([target.text for target in targets], 1)

    return PlannedSearch("greedy", plan)


def beam(generator: Generator) -> PlannedSearch:
    """Ask the N most likely queries of a beam search of width N ("RL BeamSearch(N)")."""

    def plan(targets: Sequence[Target], budget: int, _: Sequence[random.Random]) -> list[list[str]]:
        return generator.propose([target.text for target in targets], budget)

    return PlannedSearch("beam", plan)


def sampling(generator: Generator, *, temperature: float = 1.0) -> PlannedSearch:
    """Ask N distinct queries drawn from the policy; what repeats is drawn again, twice at most."""

    def plan(
        targets: Sequence[Target], budget: int, rngs: Sequence[random.Random]
    ) -> list[list[str]]:
        plans = []
        for target, rng in zip(targets, rngs, strict=True):
            source = torch.Generator().manual_seed(rng.getrandbits(63))
            drawn: dict[str, None] = {}
            for _ in range(3):
                samples = generator.sample([target.text], budget, source, temperature=temperature)
                drawn |= dict.fromkeys(query for query in samples.queries[0] if query)
                if len(drawn) >= budget:
                    break
            plans.append(list(drawn)[:budget])
        return plans

    return PlannedSearch("sampling", plan)


def diverse_beam(
    generator: ProposesDiversely, *, groups: int | None, strength: float
) -> PlannedSearch:
    """Ask the N queries of a beam search in groups that keep apart (Vijayakumar et al., 2018).

    Without a number of groups, each query is one.
    """

    def plan(targets: Sequence[Target], budget: int, _: Sequence[random.Random]) -> list[list[str]]:
        texts = [target.text for target in targets]
        return generator.propose_diversely(
            texts, budget, groups=groups or budget, strength=strength
        )

    return PlannedSearch("diverse-beam", plan)


def random_posts(posts: Sequence[str]) -> PlannedSearch:
    """Ask N distinct ordinary posts, drawn anew for each target."""
    distinct = list(dict.fromkeys(posts))

    def plan(_: Sequence[Target], budget: int, rngs: Sequence[random.Random]) -> list[list[str]]:
        return [rng.sample(distinct, min(budget, len(distinct))) for rng in rngs]

    return PlannedSearch("random", plan)


def real_input() -> PlannedSearch:
    """Ask the human query that came before the target (Table 1, "Real Input")."""

    def plan(targets: Sequence[Target], _: int, __: Sequence[random.Random]) -> list[list[str]]:
        return [[target.query] if target.query else [] for target in targets]

    return PlannedSearch("real-input", plan)
