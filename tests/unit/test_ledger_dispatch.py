"""What leaves when, and what is sent again: in virtual time, worked out by hand."""

import dataclasses
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import BatchError, ChatbotError, SetupError
from saywhat.ledger import Counts, Ledger
from tests.virtual import (
    PATIENT,
    Batching,
    Concurrent,
    Script,
    World,
    ask,
    failing,
    failure,
    names,
    replied,
    said,
)

# ---------------------------------------------------------------------- concurrency


def test_as_many_are_under_way_as_allowed_and_no_more(world: World, ledger: Ledger) -> None:
    seconds = {query: 1.0 + 0.37 * (n % 5) for n, query in enumerate(names(40))}
    chatbot = Concurrent(world, concurrency=4, seconds=seconds.__getitem__)
    answers = ask(ledger, chatbot, names(40))
    assert replied(answers)
    assert [answer.query for answer in answers] == names(40)
    assert chatbot.most == 4
    # Four servers, and no one ever idle but at the end.
    assert world.now - 1000.0 <= sum(seconds.values()) / 4 + max(seconds.values())
    assert ledger.total() == Counts(asked=40, unique=40, sent=40)
    assert world.waits <= 2 * 40


def test_queries_leave_in_order_and_each_place_is_taken_at_once(
    world: World, ledger: Ledger
) -> None:
    seconds = {"q0": 10.0, "q1": 1.0, "q2": 1.0, "q3": 1.0}
    chatbot = Concurrent(world, concurrency=2, seconds=seconds.__getitem__)
    ask(ledger, chatbot, names(4))
    assert chatbot.received == names(4)
    assert [time - 1000.0 for time in chatbot.times] == [0.0, 0.0, 1.0, 2.0]
    assert world.now == 1010.0


def test_each_reply_is_on_disk_before_it_is_told_and_while_others_are_under_way(
    world: World, ledger: Ledger, path: Path
) -> None:
    chatbot = Concurrent(world, concurrency=3, seconds=lambda query: 1.0 + int(query[1:]))
    seen = []

    def told(query: str, reply: str) -> None:
        # Another connection: what it sees is committed.
        stored = Ledger.counts_of(path)["search"]
        seen.append((query, reply, stored.unique, stored.sent, chatbot.under_way))
        assert ledger.answered(chatbot.fingerprint, [query]) == {query: reply}

    ask(ledger, chatbot, names(5), on_reply=told)
    # The first leaves a place, that its successor takes after this was told.
    expected = [(3, 2), (4, 2), (5, 2), (5, 1), (5, 0)]
    assert seen == [
        (query, said(query), number, sent, under_way)
        for number, (query, (sent, under_way)) in enumerate(
            zip(names(5), expected, strict=True), start=1
        )
    ]


def test_a_query_is_on_disk_as_sent_before_it_leaves(
    world: World, ledger: Ledger, path: Path
) -> None:
    sent = []

    def script(query: str, before: int) -> str:
        sent.append(Ledger.counts_of(path)["search"].sent)
        return said(query)

    ask(ledger, Concurrent(world, script, concurrency=2), names(6))
    assert sent == [2, 2, 3, 4, 5, 6]


def test_listeners_are_told_in_order_and_of_all_that_left(world: World, ledger: Ledger) -> None:
    log: list[str] = []
    chatbot = Concurrent(world, failing(1), concurrency=2, seconds=lambda q: 1 + int(q[1:]) / 10)
    ask(
        ledger,
        chatbot,
        names(3),
        attempts=2,
        on_reply=lambda query, reply: log.append(query),
        on_sent=lambda number: log.extend(["sent"] * number),
    )
    assert log.count("sent") == len(chatbot.received) == ledger.total().sent == 6
    for query in names(3):  # what had left is told once what came of it is
        assert log[log.index(query) + 1] in {"sent", *names(3)}
    assert log[-1] == "sent"


def test_the_same_chatbot_answers_call_after_call(world: World, ledger: Ledger) -> None:
    chatbot = ledger.chatbot(Concurrent(world), phase="search")
    for number in range(5):
        assert chatbot.reply([f"{number}", "shared"]) == [said(f"{number}"), said("shared")]
    assert ledger.total() == Counts(asked=10, unique=6, sent=6)


@pytest.mark.parametrize("number", [0, -1])
def test_a_chatbot_that_takes_no_query_is_refused(
    world: World, ledger: Ledger, number: int
) -> None:
    with pytest.raises(SetupError, match=f"concurrency of at least 1 of 'virtual', got {number}"):
        ask(ledger, Concurrent(world, concurrency=number), ["q"])

    batching = Batching(world)
    batching.batch_size = number  # type: ignore[attr-defined]
    with pytest.raises(SetupError, match="batch_size of at least 1"):
        ask(ledger, batching, ["q"])


# ---------------------------------------------------------------------- failures


def test_waits_between_tries_grow_and_are_bounded(world: World, path: Path) -> None:
    limits = dataclasses.replace(PATIENT, max_wait=5.0)
    with world.ledger(path, limits) as ledger:
        chatbot = Concurrent(world, lambda q, n: said(q) if q == "ok" else failing(9)(q, n))
        ask(ledger, chatbot, ["ok"])
        answers = ask(ledger, chatbot, ["q"], attempts=10)
    assert replied(answers)
    times = [
        time for time, query in zip(chatbot.times, chatbot.received, strict=True) if query == "q"
    ]
    waits = [after - before - 1.0 for before, after in itertools.pairwise(times)]
    assert len(waits) == 9
    for number, wait in enumerate(waits):
        grown = 0.25 * 2**number
        assert min(5.0, 0.5 * grown) <= wait <= min(5.0, 1.5 * grown) + 1e-9
    assert waits[-1] == pytest.approx(5.0)


def test_what_is_put_off_lets_others_go_first(world: World, ledger: Ledger) -> None:
    chatbot = Concurrent(
        world, lambda q, n: failing(2)(q, n) if q == "q0" else said(q), seconds=0.1
    )
    answers = ask(ledger, chatbot, names(30), attempts=3)
    assert replied(answers)
    assert (
        chatbot.received.index("q9") < [i for i, q in enumerate(chatbot.received) if q == "q0"][1]
    )
    assert ledger.total() == Counts(asked=30, unique=30, sent=32)


@pytest.mark.parametrize("kind", [Concurrent, Batching])
def test_tries_are_bounded_and_the_last_failure_is_told(
    kind: Any, world: World, ledger: Ledger
) -> None:
    script: Script = lambda query, before: failure(query, f"HTTP 50{before}")  # noqa: E731
    chatbot = kind(world, script)
    (answer,) = ask(ledger, chatbot, ["q"], attempts=3)
    assert chatbot.received == ["q"] * 3
    assert answer.reply is None
    assert "HTTP 502" in answer.error
    assert ledger.total() == Counts(asked=1, unique=0, sent=3, failed=1)


@pytest.mark.parametrize("kind", [Concurrent, Batching])
def test_what_cannot_be_helped_is_not_tried_again(kind: Any, world: World, ledger: Ledger) -> None:
    chatbot = kind(world, failing(9, "HTTP 400", retry="never"))
    (answer,) = ask(ledger, chatbot, ["q"], attempts=5)
    assert (chatbot.received, answer.reply) == (["q"], None)
    assert ledger.total() == Counts(asked=1, unique=0, sent=1, failed=1)


def test_now_is_now(world: World, ledger: Ledger) -> None:
    chatbot = Concurrent(world, failing(2, retry="now"), concurrency=1)
    assert replied(ask(ledger, chatbot, ["a", "b"], attempts=3))
    assert chatbot.received == ["a"] * 3 + ["b"] * 3
    assert world.now == 1006.0  # six seconds of answering, none of waiting


def test_only_what_failed_of_a_batch_is_sent_again(world: World, ledger: Ledger) -> None:
    class Partly(Batching):
        def reply(self, queries: Any) -> list[str]:
            self.batches.append(list(queries))
            outcomes = [self.heard.came(query) for query in queries]
            if any(isinstance(outcome, ChatbotError) for outcome in outcomes):
                raise BatchError(outcomes)
            return outcomes

    def script(query: str, before: int) -> Any:
        if query in {"b", "d"} and before == 0:
            return failure(query, retry="now")
        return failure(query, retry="never") if query == "c" else said(query)

    chatbot = Partly(world, script)
    answers = ask(ledger, chatbot, list("abcde"), attempts=2)
    assert [sorted(batch) for batch in chatbot.batches] == [list("abcde"), ["b", "d"]]
    assert [answer.reply for answer in answers] == [
        None if query == "c" else said(query) for query in "abcde"
    ]
    assert ledger.total() == Counts(asked=5, unique=4, sent=7, failed=1)


def test_a_batch_that_fails_as_a_whole_is_tried_one_by_one(world: World, ledger: Ledger) -> None:
    def script(query: str, before: int) -> Any:
        return failure(query, retry="now") if query == "b" else said(query)

    chatbot = Batching(world, script)
    answers = ask(ledger, chatbot, list("abcd"), attempts=2, batch_size=3)
    assert chatbot.batches == [["a", "b", "c"], ["a"], ["b"], ["b"], ["c"], ["d"]]
    assert [answer.query for answer in answers if answer.reply is None] == ["b"]


def test_a_busy_batch_is_put_off_whole_and_each_query_is_named(
    world: World, ledger: Ledger
) -> None:
    busy = failing(1, "HTTP 429", retry="busy", after=7.0)
    chatbot = Batching(world, busy, seconds=0.0)
    assert replied(ask(ledger, chatbot, list("abc"), attempts=1))
    assert chatbot.batches == [list("abc")] * 2
    assert chatbot.times[3] - chatbot.times[0] == 7.0

    chatbot = Batching(world, failing(10**6, "HTTP 429", retry="busy"), seconds=0.0)
    answers = ask(ledger, chatbot, list("xyz"))
    assert all(f"(query: {answer.query!r})" in answer.error for answer in answers)
    assert Counter(chatbot.received) == dict.fromkeys("xyz", 21)
