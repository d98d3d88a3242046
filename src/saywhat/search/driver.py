"""Run a search over a target list: targets share batches when the search allows it."""

from collections.abc import Iterator, Sequence

from saywhat.interfaces import OneShotSearch, Search, Similarity
from saywhat.ledger import LedgeredChatbot
from saywhat.records import Attempt, Target
from saywhat.rng import derive
from saywhat.search.asking import TargetAsk, scored


def run_search(
    search: Search,
    targets: Sequence[Target],
    chatbot: LedgeredChatbot,
    similarity: Similarity,
    *,
    budget: int,
    seed: int,
    batch_targets: int,
    first: int = 0,
) -> Iterator[tuple[Target, list[Attempt]]]:
    """Yield each target with all its attempts, in the order of ``targets``.

    Each target's random source is derived from the seed and the target's text, so neither the order
    nor the batch matters.

    Args:
        search: the method.
        targets: all targets of the run, distinct.
        chatbot: behind the ledger, in phase ``search`` or another.
        similarity: scores the replies.
        budget: queries per target at most.
        seed: the run's seed.
        batch_targets: targets that share a batch.
        first: targets before it are skipped, for resuming; a multiple of ``batch_targets``
            keeps the ledger's count of *asked* exact.

    Raises:
        BudgetError: a limit of the whole run was reached.
    """
    for start in range(first, len(targets), batch_targets):
        block = targets[start : start + batch_targets]
        if isinstance(search, OneShotSearch):
            yield from _one_shot(
                search,
                block,
                chatbot,
                similarity,
                budget=budget,
                seed=seed,
                scope=f"targets {start}",
            )
            continue
        for number, target in enumerate(block, start=start):
            ask = TargetAsk(target, chatbot, similarity, budget=budget, scope=f"target {number}")
            rng = derive(seed, "search", search.name, target.text)
            yield target, list(search.run(target, ask, budget=budget, rng=rng))


def _one_shot(
    search: OneShotSearch,
    block: Sequence[Target],
    chatbot: LedgeredChatbot,
    similarity: Similarity,
    *,
    budget: int,
    seed: int,
    scope: str,
) -> Iterator[tuple[Target, list[Attempt]]]:
    rngs = [derive(seed, "search", search.name, target.text) for target in block]
    plans = [plan[:budget] for plan in search.plan(block, budget=budget, rngs=rngs)]
    flat = [query for plan in plans for query in plan]
    against = [target.text for target, plan in zip(block, plans, strict=True) for _ in plan]
    numbers = [nth for plan in plans for nth in range(1, len(plan) + 1)]
    answers = chatbot.ask(flat, scope=scope, targets=against)
    attempts = scored(answers, against, numbers, similarity)
    start = 0
    for target, plan in zip(block, plans, strict=True):
        yield target, attempts[start : start + len(plan)]
        start += len(plan)
