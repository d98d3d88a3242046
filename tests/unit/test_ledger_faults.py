"""Chatbots that do what none should, one fault at a time and drawn at random."""

from concurrent.futures import Future
from typing import Any

import pytest

from saywhat.errors import BudgetError, SetupError
from saywhat.ledger import Counts, Ledger
from saywhat.ledger.outcomes import MAX_REPLY
from saywhat.ledger.store import Store
from tests.virtual import (
    CANCELLED,
    Concurrent,
    World,
    ask,
    at_once,
    failure,
    names,
    replied,
    said,
)


@pytest.mark.parametrize(
    ("outcome", "expected", "tries"),
    [
        ("x" * (MAX_REPLY + 1), "at most 100,000 characters, got 100,001", 1),
        (None, "Expected text from the chatbot, got NoneType None", 2),
        (b"bytes", "Expected text from the chatbot, got bytes", 2),
        (ZeroDivisionError("by zero"), "'virtual' raised ZeroDivisionError: by zero", 2),
        (at_once(ZeroDivisionError("by zero")), "raised ZeroDivisionError: by zero", 2),
        (at_once(failure("another", retry="now")), "failed with HTTP 500", 2),
        (failure("another", retry="now"), "failed with HTTP 500", 2),
        (CANCELLED, "raised CancelledError", 2),
        (KeyboardInterrupt(), "raised KeyboardInterrupt", 2),  # on another thread: not the user's
        (RuntimeError("long " * 10**6), "raised RuntimeError: long long", 2),
    ],
)
def test_what_is_no_reply_is_a_failure_of_its_query(
    world: World, ledger: Ledger, outcome: Any, expected: str, tries: int
) -> None:
    chatbot = Concurrent(world, lambda q, n: outcome if q == "bad" else said(q))
    answers = ask(ledger, chatbot, ["a", "bad", "b"], attempts=2)
    assert [answer.reply for answer in answers] == [said("a"), None, said("b")]
    assert expected in answers[1].error
    assert "(query: 'bad')" in answers[1].error
    assert len(answers[1].error) < 1000
    assert chatbot.received.count("bad") == tries
    assert ledger.total() == Counts(asked=3, unique=2, sent=2 + tries, failed=1)


def test_a_reply_of_just_the_longest_length_is_kept(world: World, ledger: Ledger) -> None:
    (answer,) = ask(ledger, Concurrent(world, lambda q, n: "x" * MAX_REPLY), ["q"])
    assert answer.reply == "x" * MAX_REPLY


def test_submit_must_give_a_future(world: World, ledger: Ledger) -> None:
    class NoFuture(Concurrent):
        def submit(self, query: str) -> Future[str]:
            return said(query)  # type: ignore[return-value]

    (answer,) = ask(ledger, NoFuture(world), ["q"])
    assert answer.reply is None
    assert "AttributeError: 'str' object" in answer.error


@pytest.mark.parametrize("way", [at_once, lambda error: error])
@pytest.mark.parametrize("error", [SetupError("no key"), BudgetError("inner", 3.0)])
def test_what_is_no_fault_of_the_query_stops_and_keeps_what_was_under_way(
    world: World, ledger: Ledger, way: Any, error: Exception
) -> None:
    chatbot = Concurrent(world, lambda q, n: way(error) if q == "q1" else said(q))
    with pytest.raises(type(error), match=str(error)):
        ask(ledger, chatbot, names(9))
    kept = ledger.answered(chatbot.fingerprint, names(9))
    assert kept == {query: said(query) for query in chatbot.received if query != "q1"}
    assert "q0" in kept
    assert replied(ask(ledger, Concurrent(world), names(9)))  # and the ledger can go on


def test_a_full_disk_stops_and_the_rest_is_let_go(
    world: World, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    chatbot = Concurrent(world, concurrency=3, seconds=lambda q: 1.0 + int(q[1:]))
    full = SetupError("disk full")

    def fail(*_: Any, **__: Any) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(Store, "record_replies", fail)
        with pytest.raises(SetupError, match="disk full"):
            ask(ledger, chatbot, names(9))
    assert chatbot.received == names(3)
    assert replied(ask(ledger, Concurrent(world), names(9)))
