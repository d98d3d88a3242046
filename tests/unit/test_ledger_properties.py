"""Random faults, latencies, limits and calls: nothing is lost, nothing is passed, all adds up."""

import dataclasses
import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saywhat.errors import BudgetError, UnreachableError
from saywhat.ledger import Answer, Counts, Ledger, Limits, store
from tests.virtual import Batching, Concurrent, World, ask, failure, names, replied, said

QUERIES = st.sampled_from(names(12))
FAULTS = st.sampled_from(["now", "later", "busy", "never"])
MAYBE = st.none() | st.integers(0, 25)
LIMITS = st.builds(
    lambda total, phase, per_target, rate, breaker: Limits(
        total=total,
        phases={} if phase is None else {"search": phase},
        per_target=per_target,
        rate=rate,
        breaker=breaker,
    ),
    total=MAYBE,
    phase=MAYBE,
    per_target=MAYBE,
    rate=st.none() | st.floats(0.5, 50.0),
    breaker=st.integers(1, 8),
)
CALLS = st.lists(
    st.lists(st.tuples(QUERIES, st.sampled_from(["a", "b"])), max_size=14), min_size=1, max_size=3
)
MakePath = Callable[[], Path]


@dataclasses.dataclass(frozen=True)
class Trouble:
    """How each query fails before it is answered, and how long each reply takes."""

    faults: dict[str, list[tuple[Any, float | None]]]
    seconds: list[float]

    def chatbot(self, world: World, concurrency: int) -> Any:
        """Give a chatbot with this trouble; one that answers batches for a concurrency of 0."""
        if not concurrency:
            return Batching(world, self.script, seconds=self.seconds[0])
        turns = itertools.cycle(self.seconds)
        return Concurrent(
            world, self.script, concurrency=concurrency, seconds=lambda _: next(turns)
        )

    def script(self, query: str, before: int) -> Any:
        due = self.faults.get(query, [])
        if before >= len(due):
            return said(query)
        retry, after = due[before]
        return failure(query, retry=retry, after=after)

    def tries(self, query: str) -> int:
        """How often a query has to be sent to be answered."""
        return len(self.faults.get(query, [])) + 1


TROUBLE = st.builds(
    Trouble,
    faults=st.dictionaries(
        QUERIES, st.lists(st.tuples(FAULTS, st.none() | st.floats(0.0, 9.0)), max_size=4)
    ),
    seconds=st.lists(st.floats(0.0, 4.0), min_size=5, max_size=5),
)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> MakePath:
    """Give the path of a new ledger at each call; made by copying, which need not wait."""
    numbers = itertools.count()
    empty = tmp_path_factory.mktemp("ledgers") / "empty.sqlite"
    Ledger(empty).close()
    return lambda: Path(shutil.copy(empty, empty.with_name(f"{next(numbers)}.sqlite")))


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_the_disk() -> Any:
    connect = store.connect

    def quick(path: Path) -> Any:
        db = connect(path)
        db.execute("PRAGMA synchronous = OFF")
        return db

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "connect", quick)
        yield


slow_is_fine = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@slow_is_fine
@given(
    trouble=TROUBLE,
    limits=LIMITS,
    calls=CALLS,
    concurrency=st.integers(0, 6),
    attempts=st.integers(1, 5),
    batch_size=st.integers(1, 5),
)
def test_no_limit_is_passed_and_all_adds_up(
    monkeypatch: pytest.MonkeyPatch,
    new: MakePath,
    trouble: Trouble,
    limits: Limits,
    calls: list[list[tuple[str, str]]],
    concurrency: int,
    attempts: int,
    batch_size: int,
) -> None:
    world, path = World(monkeypatch), new()
    chatbot = trouble.chatbot(world, concurrency)
    ended: list[list[Answer] | None] = []
    for opened in range(2):  # and opened again
        with world.ledger(path, limits) as ledger:
            asker = ledger.chatbot(
                chatbot, phase="search", attempts=attempts, batch_size=batch_size
            )
            for number, call in enumerate(calls):
                queries, targets = [query for query, _ in call], [target for _, target in call]
                try:
                    answers = asker.ask(queries, scope=f"{opened} {number}", targets=targets)
                except (BudgetError, UnreachableError):
                    ended.append(None)
                else:
                    ended.append(answers)
                    assert [answer.query for answer in answers] == queries
            counts = ledger.total()
            stored = ledger.answered(chatbot.fingerprint, names(12))
            charged = ledger._store.charges("search", ["a", "b"])
    # Two routes to the same numbers: the chatbot's and the ledger's.
    received = Counter(chatbot.received)
    assert received.total() == counts.sent == sum(charged.values())
    for limit, sent in [
        (limits.total, counts.sent),
        (limits.phases.get("search"), counts.sent),
        *((limits.per_target, number) for number in charged.values()),
    ]:
        assert limit is None or sent <= limit
    # Every reply is kept, and no failure is one.
    assert counts.unique == len(stored)
    assert stored == {query: said(query) for query in chatbot.answered}
    if concurrency:
        assert chatbot.most <= concurrency
        assert chatbot.under_way == 0
        assert all(times <= trouble.tries(query) for query, times in received.items())
    assert world.waits <= 3 * len(chatbot.received) + 3  # it never looks again for nothing
    adds_up(counts, ended)


def adds_up(counts: Counts, ended: list[list[Answer] | None]) -> None:
    """See that answers and counts agree."""
    answers = [answer for answers in ended for answer in answers or []]
    for answer in answers:
        assert answer.reply == (None if answer.error else said(answer.query))
    given_up = sum(len({a.query for a in answers or [] if a.reply is None}) for answers in ended)
    if None in ended:  # a call that was cut had asked some, and given up some
        assert counts.asked >= len(answers)
        assert counts.failed >= given_up
    else:
        assert (counts.asked, counts.failed) == (len(answers), given_up)
        assert counts.unique == sum(not a.cached and a.reply is not None for a in answers)


@slow_is_fine
@given(trouble=TROUBLE, concurrency=st.integers(0, 6))
def test_when_tries_suffice_the_answers_are_those_of_a_clean_run(
    monkeypatch: pytest.MonkeyPatch, new: MakePath, trouble: Trouble, concurrency: int
) -> None:
    curable = {
        query: [(retry, after) for retry, after in due if retry != "never"]
        for query, due in trouble.faults.items()
    }
    trouble = dataclasses.replace(trouble, faults=curable)
    world = World(monkeypatch)
    queries = [*names(12), *names(4)]
    with world.ledger(new(), Limits(breaker=1000)) as ledger:
        chatbot = trouble.chatbot(world, concurrency)
        troubled = ask(ledger, chatbot, queries, attempts=5, batch_size=5)
        counts = ledger.total()
    with world.ledger(new()) as ledger:
        clean = ask(ledger, Concurrent(world), queries)
    assert replied(clean)
    assert troubled == clean
    assert counts == Counts(asked=16, unique=12, sent=len(chatbot.received))
    if concurrency:
        assert counts.sent == sum(map(trouble.tries, names(12)))
