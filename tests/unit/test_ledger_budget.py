"""Budgets are hard to the query, also across retries, restarts and the clock."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.known import CountingChatbot, EchoChatbot, FailingChatbot
from saywhat.errors import BudgetError, SetupError, UnknownNameError
from saywhat.ledger import Counts, Ledger, Limits


def test_what_fits_is_sent_and_kept(tmp_path: Path) -> None:
    inner = CountingChatbot(EchoChatbot())
    with Ledger(tmp_path / "ledger.sqlite", Limits(total=5)) as ledger:
        chatbot = ledger.chatbot(inner, phase="search", batch_size=3)
        with pytest.raises(BudgetError, match="total budget of 5") as caught:
            chatbot.ask(list("aabcdefg"), scope="t1")

        # 3 and then the 2 that the limit still allows; f and g were never asked.
        assert inner.batches == [("a", "b", "c"), ("d", "e")]
        assert (caught.value.limit, caught.value.allowed) == ("total", 5)
        assert ledger.total() == Counts(asked=6, unique=5, sent=5)
        assert ledger.answered(inner.fingerprint, list("afg")) == {"a": "a"}


def test_cached_answers_are_free_when_nothing_may_be_sent(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite", Limits(total=2)) as ledger:
        chatbot = ledger.chatbot(EchoChatbot(), phase="search")
        chatbot.ask(["a", "b"], scope="t1")
        assert [answer.cached for answer in chatbot.ask(["b", "a"], scope="t2")] == [True, True]
        with pytest.raises(BudgetError):
            chatbot.ask(["a", "c", "a"], scope="t3")
        # 2 + 2 + the two cached ones of the last call; c was not asked.
        assert ledger.total() == Counts(asked=6, unique=2, sent=2)


def test_an_exact_fit_is_no_error(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite", Limits(total=3)) as ledger:
        ledger.chatbot(EchoChatbot(), phase="search").ask(["a", "b", "c"], scope="t1")
        assert ledger.total().sent == 3


def test_a_phase_limit_binds_its_phase_only(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite", Limits(total=10, phases={"search": 2})) as ledger:
        search = ledger.chatbot(EchoChatbot(), phase="search")
        verify = ledger.chatbot(EchoChatbot(), phase="verify")
        with pytest.raises(BudgetError, match="phase search budget of 2"):
            search.ask(["a", "b", "c"], scope="t1")
        assert len(verify.ask(["c", "d", "e"], scope="t1")) == 3
        with pytest.raises(BudgetError, match="total"):
            verify.ask([str(number) for number in range(10)], scope="t2")
        sent = {phase: count.sent for phase, count in ledger.counts().items()}
        assert sent == {"reference": 0, "reinforce": 0, "search": 2, "verify": 8}


def test_a_limit_of_zero_allows_nothing(tmp_path: Path) -> None:
    inner = CountingChatbot(EchoChatbot())
    limits = Limits(phases={"search": 0})
    with Ledger(tmp_path / "ledger.sqlite", limits) as ledger, pytest.raises(BudgetError):
        ledger.chatbot(inner, phase="search").ask(["a"], scope="t1")
    assert inner.batches == []


def test_retries_are_paid_from_the_same_budget(tmp_path: Path) -> None:
    inner = CountingChatbot(FailingChatbot(EchoChatbot(), rate=1.0))
    with Ledger(tmp_path / "ledger.sqlite", Limits(total=6)) as ledger:
        with pytest.raises(BudgetError):
            ledger.chatbot(inner, phase="search", attempts=3).ask(["a", "b"], scope="t1")
        # The batch (2), three tries of a (given up), one of b; then the budget ends.
        assert inner.batches == [("a", "b"), ("a",), ("a",), ("a",), ("b",)]
        assert ledger.total() == Counts(asked=2, unique=0, sent=6, failed=1)


def test_budgets_hold_across_restarts(tmp_path: Path) -> None:
    path, inner = tmp_path / "ledger.sqlite", CountingChatbot(EchoChatbot())
    outcomes = []
    for session in range(3):
        with Ledger(path, Limits(total=10)) as ledger:
            chatbot = ledger.chatbot(inner, phase="search", batch_size=4)
            queries = [f"{session}-{number}" for number in range(6)]
            try:
                outcomes.append(len(chatbot.ask(queries, scope=f"{session}")))
            except BudgetError:
                outcomes.append(-1)
    # 6, then 4 of 6, then none.
    assert outcomes == [6, -1, -1]
    assert Ledger.counts_of(path)["search"].sent == len(inner.received) == 10


def _clock(*times: float) -> Callable[[], float]:
    return itertools.chain(times, itertools.repeat(times[-1])).__next__


def test_wall_time_stops_between_batches(tmp_path: Path) -> None:
    inner = CountingChatbot(EchoChatbot())
    # Opened at 100; each batch of two takes 5 seconds, so that the third would leave at 110.
    with Ledger(
        tmp_path / "ledger.sqlite",
        Limits(seconds=10.0),
        clock=lambda: 100.0 + 2.5 * len(inner.received),
    ) as ledger:
        chatbot = ledger.chatbot(inner, phase="search", batch_size=2)
        with pytest.raises(BudgetError, match="wall-time"):
            chatbot.ask(list("abcdef"), scope="t1")
        assert inner.received == list("abcd")
        assert [answer.reply for answer in chatbot.ask(["d"], scope="t2")] == ["d"]


def test_wall_time_counts_from_each_opening(tmp_path: Path) -> None:
    for start in (0.0, 1000.0):
        clock = _clock(start, start + 1.0)
        with Ledger(tmp_path / "ledger.sqlite", Limits(seconds=10.0), clock=clock) as ledger:
            ledger.chatbot(EchoChatbot(), phase="search").ask([f"{start}"], scope="t1")


@settings(max_examples=40, deadline=None)
@given(
    total=st.integers(0, 12),
    phase=st.integers(0, 12),
    batch_size=st.integers(1, 5),
    calls=st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=6), max_size=5),
    attempts=st.integers(1, 3),
    seed=st.integers(0, 5),
)
def test_no_sequence_of_calls_passes_a_limit(
    tmp_path_factory: pytest.TempPathFactory,
    total: int,
    phase: int,
    batch_size: int,
    calls: list[list[str]],
    attempts: int,
    seed: int,
) -> None:
    failing = FailingChatbot(EchoChatbot(), rate=0.3, seed=seed)
    inner = CountingChatbot(failing)
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with Ledger(path, Limits(total=total, phases={"search": phase})) as ledger:
        chatbot = ledger.chatbot(inner, phase="search", batch_size=batch_size, attempts=attempts)
        for number, queries in enumerate(calls):
            try:
                answers = chatbot.ask(queries, scope=f"{number}")
            except BudgetError:
                continue
            assert [answer.query for answer in answers] == queries
            assert all((a.reply is None) == failing.fails(a.query) for a in answers)
        counts = ledger.total()
    # Two routes to the same number: the chatbot's own count and the ledger's.
    assert len(inner.received) == counts.sent <= min(total, phase)
    assert counts.unique <= counts.sent
    assert counts.asked <= sum(map(len, calls))


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(SetupError, match="'total' must be 0 or more, got -1"):
        Limits(total=-1)
    with pytest.raises(SetupError, match="'seconds'"):
        Limits(seconds=float("nan"))
    with pytest.raises(SetupError, match="'search'"):
        Limits(phases={"search": -2})
    with pytest.raises(UnknownNameError, match="phase 'seek'"):
        Limits(phases={"seek": 1})


def test_limits_cannot_be_changed_from_outside() -> None:
    phases = {"search": 1}
    limits = Limits(phases=phases)
    phases["search"] = 100
    assert limits.phases["search"] == 1
    with pytest.raises(TypeError):
        limits.phases["search"] = 100  # type: ignore[index]
