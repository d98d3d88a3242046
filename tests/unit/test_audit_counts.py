"""An audit's totals add up, also when it is interrupted time and again and led astray."""

import dataclasses
import importlib
import json
import os
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saywhat.audit import AuditResult, audit, query_counts
from saywhat.config import AuditSettings, LimitSettings, SearchSettings, SimilaritySettings
from saywhat.errors import ChatbotError, UnreachableError
from saywhat.interfaces import Ask, Similarity
from saywhat.ledger import Counts, Ledger
from saywhat.records import Attempt, Target
from saywhat.runs import folder
from saywhat.runs.provenance import provenance, utc_now
from saywhat.similarity import make_similarity


class Wandering:
    """Asks on from each reply; from a failure, elsewhere."""

    name = "wandering"

    def run(self, target: Target, ask: Ask, *, budget: int, rng: Random) -> Iterator[Attempt]:
        queries = [target.text]
        while attempts := ask(queries):
            yield from attempts
            last = attempts[-1].reply
            queries = ["astray", f"{queries[-1]} ?"] if last is None else [last]


@dataclasses.dataclass
class Unsteady:
    """Fails on chosen arrivals (each in its own way, or in one), and is interrupted on others."""

    fails: Container[int]
    interrupted: set[int]
    kind: str = ""
    name: str = "unsteady"
    fingerprint: str = "unsteady-1"
    received: list[str] = dataclasses.field(default_factory=list)

    def reply(self, queries: Sequence[str]) -> list[str]:
        first = len(self.received) + 1
        self.received += queries
        arrivals = range(first, first + len(queries))
        if self.interrupted.intersection(arrivals):
            raise KeyboardInterrupt
        for arrival, query in zip(arrivals, queries, strict=True):
            if arrival in self.fails:
                raise ChatbotError("failed", query=query, kind=self.kind or f"{arrival}")
        return [f"{query} !" for query in queries]


@pytest.fixture(scope="module", autouse=True)
def _search_that_wanders() -> Iterator[None]:
    auditing = importlib.import_module("saywhat.audit")  # its name in the package is the function's
    similarity: Similarity = make_similarity("exact", vectors="", centre=Path())

    def make(settings: AuditSettings) -> Any:
        targets = [Target(f"target {n}", query=f"human {n}" * (n % 2)) for n in range(5)]
        return auditing._Parts(targets, [], similarity, Wandering(), {})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auditing, "_make", make)
        # what takes long is tested elsewhere
        facts = provenance(device="cpu", clock=utc_now)
        patch.setattr(folder, "provenance", lambda **_: dict(facts))
        patch.setattr(auditing, "report", lambda *_: "")
        patch.setattr(os, "fsync", lambda _: None)
        yield


def run(path: Path, chatbot: Unsteady, **limits: Any) -> AuditResult:
    settings = AuditSettings(
        search=SearchSettings(method="wandering", budget=6, batch_targets=2),
        similarity=SimilaritySettings(name="exact"),
        limits=LimitSettings(attempts=1, **limits),
    )
    return audit(settings, out=path, chatbot=chatbot)


def check(path: Path, chatbot: Unsteady) -> dict[str, Any]:
    """Hold the summary against the attempts, the ledger and what the chatbot received."""
    summary: dict[str, Any] = json.loads((path / "summary.json").read_text())
    attempts = (path / "attempts.jsonl").read_text().splitlines()
    counts = Ledger.counts_of(path / "ledger.sqlite")
    queries = summary["queries"]
    assert queries["sent"] == len(chatbot.received)
    for key in ("asked", "unique", "sent"):
        assert queries[key] == sum(getattr(count, key) for count in counts.values())
        assert queries[key] == sum(phase[key] for phase in queries["detail"].values())
    assert summary["asked"] == len(attempts)
    if summary["status"] == "complete":
        assert counts["search"].asked == len(attempts)
        assert counts["search"].failed == summary["failed"]
        assert counts["verify"].asked == 2
    return summary


def test_a_chatbot_that_dies_after_the_search_ends_no_complete_run(tmp_path: Path) -> None:
    """The real inputs are missing: the run is partial, and the same command asks them."""
    well = Unsteady(fails=(), interrupted=set())
    run(tmp_path / "well", well)
    searched = len(well.received) - 2
    dying = Unsteady(fails=range(searched + 1, 1000), interrupted=set(), kind="dead")
    with pytest.raises(UnreachableError, match="failed 2 times in a row with: dead"):
        run(tmp_path / "run", dying, breaker=2)
    assert check(tmp_path / "run", dying)["status"] == "partial"
    dying.fails = ()
    run(tmp_path / "run", dying)
    summary = check(tmp_path / "run", dying)
    assert summary["status"] == "complete"
    assert summary["real_input"] == check(tmp_path / "well", well)["real_input"]


def test_a_budget_that_ends_before_the_real_inputs_leaves_a_partial_run(tmp_path: Path) -> None:
    well = Unsteady(fails=(), interrupted=set())
    run(tmp_path / "well", well)
    searched = len(well.received) - 2
    short = Unsteady(fails=(), interrupted=set())
    run(tmp_path / "run", short, queries=searched)
    assert check(tmp_path / "run", short)["status"] == "partial"
    run(tmp_path / "run", short, queries=searched + 2)
    assert check(tmp_path / "run", short)["status"] == "complete"


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(fails=st.sets(st.integers(1, 60)), interrupted=st.sets(st.integers(1, 60), max_size=5))
def test_totals_add_up_whatever_interrupts(
    tmp_path_factory: pytest.TempPathFactory, fails: set[int], interrupted: set[int]
) -> None:
    path = tmp_path_factory.mktemp("run") / "run"
    chatbot = Unsteady(fails, interrupted)
    for _ in range(len(interrupted)):
        try:
            run(path, chatbot)
            break
        except KeyboardInterrupt:
            continue
    else:
        run(path, chatbot)
    summary = check(path, chatbot)
    assert summary["status"] == "complete"
    assert summary["asked"] == 5 * 6


def test_a_resumed_search_that_takes_another_path_has_more_unique_queries_than_asked(
    tmp_path: Path,
) -> None:
    # The first query fails: the search goes astray, and is interrupted in its first target.
    # Resumed, the first query is answered, and nothing of what was bought is of use.
    chatbot = Unsteady({1}, {6})
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", chatbot)
    run(tmp_path / "run", chatbot)
    summary = check(tmp_path / "run", chatbot)
    assert summary["queries"]["detail"]["search"]["unique"] > 30
    assert summary["asked"] == 30


def test_a_run_that_is_cut_has_asked_more_than_its_attempts(tmp_path: Path) -> None:
    chatbot = Unsteady(set(), set())
    run(tmp_path / "run", chatbot, queries=15)
    summary = check(tmp_path / "run", chatbot)
    assert summary["status"] == "partial"
    assert (summary["asked"], summary["queries"]["asked"], summary["queries"]["sent"]) == (
        12,
        15,
        15,
    )
    # With the limit raised it is completed, and is what it would have been at once.
    run(tmp_path / "run", chatbot, queries=1000)
    again, whole = check(tmp_path / "run", chatbot), Unsteady(set(), set())
    run(tmp_path / "whole", whole)
    assert again == check(tmp_path / "whole", whole)
    assert Counter(chatbot.received) == Counter(whole.received)


def test_a_chatbot_that_stays_away_leaves_totals_that_add_up(tmp_path: Path) -> None:
    chatbot = Unsteady(range(20, 1000), set(), kind="HTTP 500")
    with pytest.raises(UnreachableError):
        run(tmp_path / "run", chatbot)
    summary = check(tmp_path / "run", chatbot)
    assert summary["status"] == "partial"
    assert 0 < summary["measured"] < 5


def test_a_phase_that_has_sent_counts_though_it_asks_nothing_now() -> None:
    # An interrupted phase that could not begin again, for want of budget.
    counts = {"search": Counts(9, 8, 9, 1), "verify": Counts(0, 2, 3, 0), "reference": Counts()}
    assert query_counts(counts) == {
        "asked": 9,
        "unique": 10,
        "sent": 12,
        "by_phase": {"search": 9, "verify": 0},
        "detail": {
            "search": {"asked": 9, "unique": 8, "sent": 9, "failed": 1},
            "verify": {"asked": 0, "unique": 2, "sent": 3, "failed": 0},
        },
    }


def test_attempts_that_the_ledger_did_not_count_are_our_own_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Ledger.counts
    more = Counts(asked=1)
    monkeypatch.setattr(
        Ledger, "counts", lambda self: (c := counted(self)) | {"search": c["search"] + more}
    )
    with pytest.raises(RuntimeError, match="30 attempts in a complete run, 31 queries asked"):
        run(tmp_path / "run", Unsteady(set(), set()))
