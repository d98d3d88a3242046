"""Limits under concurrency: per target, per phase, in all, in time and in speed; never passed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import BudgetError
from saywhat.ledger import Answer, Counts, Ledger, Limits
from tests.virtual import (
    Batching,
    Concurrent,
    World,
    ask,
    failing,
    names,
    replied,
    said,
)

BOTH = pytest.mark.parametrize("kind", [Concurrent, Batching])


def ask_for(
    ledger: Ledger, chatbot: Any, wanted: Sequence[tuple[str, str]], **terms: Any
) -> list[Answer]:
    """Ask queries for targets."""
    asker = ledger.chatbot(chatbot, phase="search", **terms)
    queries, targets = [query for query, _ in wanted], [target for _, target in wanted]
    return asker.ask(queries, scope=" ".join(targets), targets=targets)


# ---------------------------------------------------------------------- per target


@BOTH
def test_a_target_gets_no_more_than_its_own(kind: Any, world: World, path: Path) -> None:
    wanted = [(f"{target}{n}", target) for n in range(9) for target in ("a", "b")] + [("c0", "c")]
    chatbot = kind(world)
    with world.ledger(path, Limits(per_target=5)) as ledger:
        answers = ask_for(ledger, chatbot, wanted)
        assert Counter(query[0] for query in chatbot.received) == {"a": 5, "b": 5, "c": 1}
        assert ledger.total() == Counts(asked=19, unique=11, sent=11, failed=8)
    # The first of each are what was sent; the others say why not.
    assert [answer.query for answer in answers if answer.reply is not None] == [
        query for query, _ in wanted if query[1] < "5"
    ]
    refused = [answer.error for answer in answers if answer.reply is None]
    assert all("Not sent: the budget of 5 queries for a target is used up" in e for e in refused)


@BOTH
def test_a_targets_limit_counts_retries(kind: Any, world: World, path: Path) -> None:
    chatbot = kind(
        world, failing(2, retry="now"), **({"concurrency": 1} if kind is Concurrent else {})
    )
    with world.ledger(path, Limits(per_target=7)) as ledger:
        answers = ask_for(
            ledger, chatbot, [(f"a{n}", "a") for n in range(5)], attempts=3, batch_size=1
        )
    # 3 for a0, 3 for a1, one try of a2.
    assert chatbot.received == ["a0"] * 3 + ["a1"] * 3 + ["a2"]
    assert [answer.reply is None for answer in answers] == [False, False, True, True, True]


@BOTH
def test_a_targets_limit_holds_when_the_ledger_is_opened_again(
    kind: Any, world: World, path: Path
) -> None:
    chatbot = kind(world)
    for number in range(4):
        with world.ledger(path, Limits(per_target=5)) as ledger:
            wanted = [(f"a{3 * number + n}", "a") for n in range(3)] + [(f"b{number}", "b")]
            ask_for(ledger, chatbot, wanted)
    assert Counter(query[0] for query in chatbot.received) == {"a": 5, "b": 4}
    # What was sent before there was a limit counts too.
    with world.ledger(path) as ledger:
        ask_for(ledger, chatbot, [("b10", "b"), ("b11", "b")])
    with world.ledger(path, Limits(per_target=6)) as ledger:
        answers = ask_for(ledger, chatbot, [("a20", "a"), ("b20", "b")])
        assert [answer.reply is None for answer in answers] == [False, True]
        # In another phase it begins anew.
        asker = ledger.chatbot(chatbot, phase="verify")
        assert replied(asker.ask(["b30"], scope="t", targets=["b"]))


@BOTH
def test_a_query_for_two_targets_is_charged_to_the_first_with_room(
    kind: Any, world: World, path: Path
) -> None:
    chatbot = kind(world)
    with world.ledger(path, Limits(per_target=2)) as ledger:
        wanted = [("both", "a"), ("both", "b"), ("a1", "a"), ("shared", "a"), ("shared", "b")]
        answers = ask_for(ledger, chatbot, wanted)
        # "both" and a1 were a's two, "shared" is b's first: one is left for b and none for a.
        assert replied(answers)
        assert chatbot.received == ["both", "a1", "shared"]
        more = ask_for(ledger, chatbot, [("a2", "a"), ("b1", "b"), ("b2", "b")])
        assert [answer.reply is None for answer in more] == [True, False, True]


def test_what_the_cache_answers_is_charged_to_nobody(world: World, path: Path) -> None:
    with world.ledger(path, Limits(per_target=1)) as ledger:
        chatbot = Concurrent(world)
        for target in "abc":
            assert replied(ask_for(ledger, chatbot, [("same", target)]))
        assert replied(ask_for(ledger, chatbot, [("b1", "b")]))


# ---------------------------------------------------------------------- in all


@BOTH
@pytest.mark.parametrize("limits", [{"total": 11}, {"phases": {"search": 11}}])
def test_sent_is_exactly_the_limit_and_what_was_under_way_is_stored(
    kind: Any, limits: Any, world: World, path: Path
) -> None:
    more = {"seconds": lambda q: 1 + int(q[1:]) % 3} if kind is Concurrent else {}
    chatbot = kind(world, lambda q, n: failing(1)(q, n) if q < "q3" else said(q), **more)
    with world.ledger(path, Limits(**limits)) as ledger:
        with pytest.raises(BudgetError):
            ask(ledger, chatbot, names(30), attempts=3, batch_size=2)
        assert len(chatbot.received) == ledger.total().sent == 11
        stored = ledger.answered(chatbot.fingerprint, names(30))
        answered = {q for q, times in Counter(chatbot.received).items() if times > 1 or q >= "q3"}
        assert set(stored) == answered
        assert ledger.total().unique == len(answered)
        # Another phase has its own limit, and none of it is used.
        if "phases" in limits:
            assert ledger.chatbot(chatbot, phase="verify").reply(["q9"]) == [said("q9")]


@BOTH
def test_the_limit_that_is_reached_first_is_the_one_that_is_told(
    kind: Any, world: World, path: Path
) -> None:
    chatbot = kind(world)
    with world.ledger(path, Limits(total=1, per_target=2)) as ledger:
        with pytest.raises(BudgetError, match="total budget of 1"):
            ask_for(ledger, chatbot, [("a1", "a"), ("a2", "a")])
        # a2 has not been given up for want of a place of its target.
        assert ledger.total() == Counts(asked=1, unique=1, sent=1)


def test_with_a_budget_error_what_is_under_way_is_waited_for(world: World, path: Path) -> None:
    chatbot = Concurrent(world, concurrency=4, seconds=lambda q: 100.0 if q == "q0" else 1.0)
    with world.ledger(path, Limits(total=6)) as ledger:
        with pytest.raises(BudgetError, match="total budget of 6"):
            ask(ledger, chatbot, names(10))
        assert world.now == 1100.0
        assert chatbot.under_way == 0
        assert ledger.total() == Counts(asked=6, unique=6, sent=6)


# ---------------------------------------------------------------------- in time


@BOTH
def test_nothing_leaves_once_the_time_is_over(kind: Any, world: World, path: Path) -> None:
    chatbot = kind(world, seconds=1.0)
    with world.ledger(path, Limits(seconds=9.5)) as ledger:
        with pytest.raises(BudgetError, match=r"wall-time \(seconds\) budget of 9.5"):
            ask(ledger, chatbot, names(1000), batch_size=4)
        assert max(chatbot.times) == 1009.0
        assert world.now == 1010.0
        assert len(chatbot.received) == 40 == ledger.total().unique


@BOTH
def test_a_wait_that_would_outlast_the_time_is_not_begun(
    kind: Any, world: World, path: Path
) -> None:
    busy = failing(1, "HTTP 429", retry="busy", after=50.0)
    chatbot = kind(world, busy, seconds=1.0)
    with (
        world.ledger(path, Limits(seconds=40.0, max_wait=60.0)) as ledger,
        pytest.raises(BudgetError, match="wall-time"),
    ):
        ask(ledger, chatbot, ["q"])
    assert (world.now, len(chatbot.received)) == (1001.0, 1)


def test_a_slow_rate_does_not_outlast_the_time_either(world: World, path: Path) -> None:
    chatbot = Concurrent(world, seconds=1.0)
    with (
        world.ledger(path, Limits(seconds=60.0, rate=0.01)) as ledger,
        pytest.raises(BudgetError, match="wall-time"),
    ):
        ask(ledger, chatbot, ["a", "b"])
    assert (chatbot.received, world.now) == (["a"], 1001.0)


# ---------------------------------------------------------------------- in speed


def most_within(times: Sequence[float], seconds: float) -> int:
    """Give the most departures in any stretch of time of a length."""
    return max(sum(start <= time < start + seconds for time in times) for start in times)


@pytest.mark.parametrize("rate", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("concurrency", [1, 50])
def test_the_rate_is_kept_and_reached(
    rate: float, concurrency: int, world: World, path: Path
) -> None:
    seconds = 0.9 / rate if concurrency == 1 else 1.0
    chatbot = Concurrent(world, concurrency=concurrency, seconds=seconds)
    with world.ledger(path, Limits(rate=rate)) as ledger:
        assert replied(ask(ledger, chatbot, names(300)))
        taken = chatbot.times[-1] - chatbot.times[0]
    burst = max(1.0, rate / 4)
    for stretch in (0.01, 1.0, 10.0):
        assert most_within(chatbot.times, stretch) <= burst + rate * stretch + 1e-2
    assert 299 / taken >= 0.97 * rate
    assert world.waits < 4 * 300


def test_batches_shrink_to_the_rate(world: World, path: Path) -> None:
    chatbot = Batching(world, seconds=0.2)
    with world.ledger(path, Limits(rate=20.0)) as ledger:
        assert replied(ask(ledger, chatbot, names(100)))
    assert len(chatbot.batches[0]) == 5
    assert max(map(len, chatbot.batches)) == 5
    assert most_within(chatbot.times, 1.0) <= 5 + 20
    assert 95 / (chatbot.times[-1] - chatbot.times[0]) >= 0.95 * 20


def test_the_rate_holds_across_calls_phases_and_retries(world: World, path: Path) -> None:
    times: list[float] = []
    with world.ledger(path, Limits(rate=10.0, breaker=1000)) as ledger:
        for number, phase in enumerate(["reference", "search", "verify"] * 4):
            chatbot = Concurrent(world, failing(1, retry="now"), seconds=0.001)
            queries = [f"{number}-{n}" for n in range(5)]
            ledger.chatbot(chatbot, phase=phase, attempts=2).reply(queries)
            times += chatbot.times
    assert len(times) == 120
    assert most_within(times, 1.0) <= 2.5 + 10
    assert 119 / (times[-1] - times[0]) >= 0.95 * 10
