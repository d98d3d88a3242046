"""Chatbots that ask for patience, and chatbots that keep failing: in virtual time."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import UnreachableError
from saywhat.ledger import Counts, Ledger, Limits
from tests.virtual import (
    PATIENT,
    Batching,
    Concurrent,
    World,
    ask,
    failing,
    failure,
    names,
    replied,
    said,
)

# ---------------------------------------------------------------------- patience


@pytest.mark.parametrize("kind", [Concurrent, Batching])
def test_busy_obeys_retry_after_and_uses_up_no_try(kind: Any, world: World, ledger: Ledger) -> None:
    chatbot = kind(world, failing(5, "HTTP 429", retry="busy", after=20.0))
    answers = ask(ledger, chatbot, ["q"], attempts=1)
    assert replied(answers)
    assert len(chatbot.times) == 6
    for before, after in itertools.pairwise(chatbot.times):
        assert after - before >= 1.0 + 20.0
    assert ledger.total() == Counts(asked=1, unique=1, sent=6)


def test_nothing_at_all_leaves_before_retry_after_is_over(world: World, ledger: Ledger) -> None:
    def script(query: str, before: int) -> Any:
        asks = query == "q2" and before == 0
        return failure(query, "HTTP 429", retry="busy", after=20.0) if asks else said(query)

    chatbot = Concurrent(world, script, concurrency=3, seconds=lambda q: 1.0 + (q == "q0"))
    assert replied(ask(ledger, chatbot, names(12)))
    told = 1001.0  # when q2 came back; q1, that came with it, is not followed at once
    assert not [time for time in chatbot.times if told < time < told + 20.0]


def test_retry_after_holds_for_the_next_phase_too(world: World, ledger: Ledger) -> None:
    gives_up = Concurrent(world, failing(9, retry="later", after=20.0))
    ask(ledger, gives_up, ["q"], attempts=1)
    assert world.now == 1001.0
    next_one = Concurrent(world)
    ledger.chatbot(next_one, phase="verify").reply(["q"])
    assert next_one.times == [1021.0]


def test_busy_halves_what_is_under_way_and_replies_raise_it_again(
    world: World, ledger: Ledger
) -> None:
    """The chatbot asks for patience, without saying how long, whenever over 4 are under way."""
    chatbot: Concurrent
    refused = []

    def script(query: str, before: int) -> Any:
        if chatbot.under_way >= 4:
            refused.append(query)
            return failure(query, "HTTP 429", retry="busy")
        return said(query)

    chatbot = Concurrent(world, script, concurrency=16)
    assert replied(ask(ledger, chatbot, names(400)))
    assert chatbot.most == 16  # at the very start
    started = chatbot.times[0]
    counts = Counter(time for time in chatbot.times if time > started + 10)
    assert max(counts.values()) <= 8
    # It finds its way: four places are used most of the time, though a refusal takes as long.
    assert len(refused) < 200
    assert world.now - started < 400 / 4 * 2
    assert ledger.total() == Counts(asked=400, unique=400, sent=400 + len(refused))


def test_refusals_that_were_under_way_together_halve_once(world: World, ledger: Ledger) -> None:
    """Eight are refused together; then four leave together, not one."""
    chatbot = Concurrent(world, failing(1, "HTTP 429", retry="busy", after=5.0), concurrency=8)
    assert replied(ask(ledger, chatbot, names(8)))
    again = Counter(time for time in chatbot.times if time > chatbot.times[0])
    assert again[min(again)] == 4


def test_a_chatbot_that_is_no_longer_busy_gets_all_again(world: World, ledger: Ledger) -> None:
    """It is busy, whenever over one is under way, for a hundred seconds."""
    chatbot: Concurrent
    under_way = []

    def script(query: str, before: int) -> Any:
        under_way.append((world.now - 1000.0, chatbot.under_way + 1))
        busy = world.now < 1100.0 and chatbot.under_way >= 1
        return failure(query, "HTTP 429", retry="busy") if busy else said(query)

    chatbot = Concurrent(world, script, concurrency=16)
    assert replied(ask(ledger, chatbot, names(800)))
    assert max(number for time, number in under_way if 20.0 < time < 100.0) <= 3
    assert max(number for time, number in under_way if 100.0 < time < 110.0) < 16
    assert max(number for time, number in under_way if 100.0 < time < 125.0) == 16


def test_a_chatbot_that_is_always_busy_is_given_up(world: World, path: Path) -> None:
    busy = failing(10**6, "HTTP 429", retry="busy")
    with world.ledger(path, PATIENT) as ledger:
        chatbot = Concurrent(world, busy)
        (answer,) = ask(ledger, chatbot, ["q"], attempts=3)
        assert (answer.reply, len(chatbot.received)) == (None, 21)
    with world.ledger(path) as ledger:
        chatbot = Concurrent(world, busy)
        with pytest.raises(UnreachableError, match="10 times in a row with: HTTP 429"):
            ask(ledger, chatbot, names(100), attempts=3)


@pytest.mark.parametrize("retry", ["busy", "later"])
def test_more_patience_than_allowed_stops_and_keeps_what_was_under_way(
    world: World, path: Path, retry: Any
) -> None:
    def script(query: str, before: int) -> Any:
        return (
            failure(query, "HTTP 429", retry=retry, after=3600.0) if query == "q1" else said(query)
        )

    chatbot = Concurrent(world, script, concurrency=3, seconds=lambda q: 1.0 if q == "q1" else 5.0)
    with (
        world.ledger(path, Limits(max_wait=60.0)) as ledger,
        pytest.raises(
            UnreachableError, match=r"3,600 seconds \(HTTP 429\).*max_wait allows \(60\)"
        ),
    ):
        ask(ledger, chatbot, names(9))
    assert chatbot.received == ["q0", "q1", "q2"]
    assert world.now == 1005.0
    assert Ledger.counts_of(path)["search"] == Counts(asked=3, unique=2, sent=3)


# ---------------------------------------------------------------------- the breaker


def test_the_breaker_counts_queries_under_way_together_once(world: World, path: Path) -> None:
    chatbot = Concurrent(world, failing(10**6), concurrency=8)
    with world.ledger(path, Limits(breaker=4)) as ledger:
        with pytest.raises(UnreachableError, match="4 times in a row with: HTTP 500"):
            ask(ledger, chatbot, names(1000), attempts=3)
        # Eight together, eight together, one probe and one more.
        assert len(chatbot.received) == 8 + 8 + 1 + 1 == ledger.total().sent


def test_one_probe_at_a_time_until_there_is_a_reply(world: World, path: Path) -> None:
    """The chatbot is down from second 1 to 20."""
    chatbot: Concurrent

    def script(query: str, before: int) -> Any:
        return failure(query) if 1001.0 <= world.now < 1020.0 else said(query)

    under_way = []

    def seconds(query: str) -> float:
        if 1003.0 < world.now < 1020.0:
            under_way.append(chatbot.under_way)
        return 0.5

    chatbot = Concurrent(world, script, concurrency=8, seconds=seconds)
    with world.ledger(path) as ledger:
        assert replied(ask(ledger, chatbot, names(200), attempts=20))
    assert set(under_way) == {1}
    assert 3 <= len(under_way) <= 8
    assert chatbot.most == 8
    # All eight places are used again at once.
    last = sum(time >= 1020.0 for time in chatbot.times)
    assert world.now - 1020.0 < 0.5 * last / 8 + 12.0


def test_a_reply_resets_the_breaker(world: World, path: Path) -> None:
    order = itertools.count()

    def script(query: str, before: int) -> Any:
        return said(query) if next(order) % 3 == 2 else failure(query)

    chatbot = Concurrent(world, script, concurrency=1, seconds=0.1)
    with world.ledger(path, Limits(breaker=3)) as ledger:
        assert replied(ask(ledger, chatbot, names(40), attempts=99))
    assert len(chatbot.received) == 120


def test_a_chatbot_that_is_not_there_is_left_soon(world: World, path: Path) -> None:
    chatbot = Concurrent(world, failing(10**6, "no connection"), concurrency=8, seconds=0.01)
    with world.ledger(path) as ledger:
        with pytest.raises(UnreachableError, match="10 times"):
            ask(ledger, chatbot, names(10**4), attempts=3)
        assert world.now - 1000.0 < 10.0
        assert len(chatbot.received) == 24
        # A further call finds out with one probe.
        with pytest.raises(UnreachableError, match="11 times"):
            ask(ledger, chatbot, names(50))
        assert len(chatbot.received) == 25


def test_a_chatbot_that_has_answered_is_waited_for_longer(world: World, path: Path) -> None:
    chatbot = Concurrent(world, lambda q, n: said(q) if q == "q0" else failure(q), seconds=0.01)
    with world.ledger(path) as ledger:
        ask(ledger, chatbot, ["q0"])
    with world.ledger(path) as ledger, pytest.raises(UnreachableError):  # remembered on disk
        ask(ledger, chatbot, names(50), attempts=99)
    assert 30.0 < world.now - 1000.0 < 150.0
