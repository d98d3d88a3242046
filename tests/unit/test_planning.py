"""The bounds of a plan hold for every search, are reached where they can be, and cost nothing."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from saywhat.chatbots.known import CountingChatbot, EchoChatbot, FailingChatbot
from saywhat.config import AuditSettings
from saywhat.errors import BudgetError, ChatbotError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot
from saywhat.ledger import Counts, Ledger, Limits
from saywhat.planning import FROM_REFERENCE, GUIDED, Plan, plan_audit, plan_of
from saywhat.records import Pair, Target
from saywhat.registry import names
from saywhat.search import SearchParts, make_search, run_search
from saywhat.similarity.exact import Exact

TARGETS = [
    Target("a b", list="real", length="1-3", query="what now"),
    Target("b c", list="real", length="1-3", query="and you"),
    Target("c a b a", list="generated", length="4-6"),
    Target("c c", list="generated", length="1-3"),
]
REFERENCE = [Pair(f"query {number}", f"reply {number}") for number in range(30)]
BUDGET = 3
AGENT = {
    "samples": 2,
    "model": {"vocabulary": 40, "embedding": 4, "hidden": 4, "training": {"epochs": 1}},
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder: a search may keep a model there."""
    monkeypatch.chdir(tmp_path)


def _settings(method: str, **sections: object) -> AuditSettings:
    search = {"method": method, "budget": BUDGET, "agent": AGENT}
    return AuditSettings.model_validate({"chatbot": "known:echo", "search": search, **sections})


def _run(
    settings: AuditSettings,
    parts: SearchParts,
    folder: Path,
    chatbot: Chatbot,
    targets: Sequence[Target] = TARGETS,
) -> Counts:
    """Search as an audit does, real inputs included, and give the counts."""
    limits = dataclasses.replace(Limits.of(settings.limits), breaker=10_000)
    with Ledger(folder / "ledger.sqlite", limits) as ledger:
        for name, phase, wanted in (
            (settings.search.method, "search", list(targets)),
            ("real-input", "verify", [target for target in targets if target.query]),
        ):
            if phase == "verify" and name == settings.search.method:
                continue
            asker = ledger.chatbot(chatbot, phase=phase, attempts=settings.limits.attempts)
            try:
                for _ in run_search(
                    make_search(name, parts, settings.search),
                    wanted,
                    asker,
                    Exact(),
                    budget=settings.search.budget if phase == "search" else 1,
                    seed=1,
                    batch_targets=2,
                ):
                    pass
            except BudgetError:
                break
        return ledger.total()


def built_in_searches() -> list[str]:
    """Give the searches that the package itself registers."""
    return [name for name, text in names("searches").items() if not text.startswith("from ")]


@pytest.mark.parametrize("method", built_in_searches())
def test_no_search_asks_or_sends_more_than_the_plan_says(
    method: str, tmp_path: Path, make_generator: Callable[..., object]
) -> None:
    parts = SearchParts(Exact(), make_generator(max_tokens=4), REFERENCE)  # type: ignore[arg-type]
    settings = _settings(method)
    chatbot = CountingChatbot(EchoChatbot())
    plan = plan_of(settings, TARGETS, chatbot=chatbot)
    counts = _run(settings, parts, tmp_path, chatbot)
    assert counts.asked <= plan.asked
    assert len(chatbot.received) == counts.sent <= plan.sent


@pytest.mark.parametrize(
    ("method", "asked"),
    [("greedy", 4 + 2), ("retrieval", 0 + 2), ("real-input", 2), ("random", 14)],
)
def test_bounds_that_are_reached(
    method: str, asked: int, tmp_path: Path, make_generator: Callable[..., object]
) -> None:
    """Greedy asks once a target, retrieval never, random all of its budget; and 2 real inputs."""
    parts = SearchParts(Exact(), make_generator(), REFERENCE)  # type: ignore[arg-type]
    settings = _settings(method)
    assert plan_of(settings, TARGETS).asked == asked
    assert _run(settings, parts, tmp_path, EchoChatbot()).asked == asked


class _Refusing:
    """Fails each query at once, and can be asked several at a time."""

    name, fingerprint, concurrency = "refusing", "1", 2

    def __init__(self) -> None:
        self.received: list[str] = []

    def submit(self, query: str) -> "Future[str]":
        self.received.append(query)
        future: Future[str] = Future()
        future.set_exception(ChatbotError("no", query=query))
        return future

    def reply(self, queries: Sequence[str]) -> list[str]:
        raise NotImplementedError


def _one_by_one(folder: Path, limits: dict[str, object]) -> tuple[Plan, int]:
    settings, chatbot = _settings("real-input", limits=limits), _Refusing()
    plan = plan_of(settings, TARGETS[:2], chatbot=chatbot)
    _run(settings, SearchParts(Exact()), folder, chatbot, TARGETS[:2])
    return plan, len(chatbot.received)


def test_a_failing_chatbot_is_sent_all_tries_and_no_more(tmp_path: Path) -> None:
    """2 queries, 3 tries each; in a batch also the batch that failed as a whole."""
    plan, sent = _one_by_one(tmp_path, {"attempts": 3})
    assert (plan.asked, plan.sent, sent) == (2, 6, 6)
    settings = _settings("real-input", limits={"attempts": 3})
    chatbot = CountingChatbot(FailingChatbot(EchoChatbot(), rate=1.0))
    batched = tmp_path / "batched"
    batched.mkdir()
    _run(settings, SearchParts(Exact()), batched, chatbot, TARGETS[:2])
    assert len(chatbot.received) == plan_of(settings, TARGETS[:2], chatbot=chatbot).sent == 8


@pytest.mark.parametrize(
    ("limits", "bound"),
    [({"queries": 5}, 5), ({"phases": {"search": 4}}, 4), ({"per_target": 1}, 2)],
)
def test_limits_lower_the_bound_to_what_is_sent(
    limits: dict[str, object], bound: int, tmp_path: Path
) -> None:
    plan, sent = _one_by_one(tmp_path, {"attempts": 3, **limits})
    assert plan.sent == bound == sent


def test_the_time_is_the_slower_of_waiting_and_pace() -> None:
    """100 queries of 0.2 s, 4 at once: 5 s; at 10 a second: 10 s; cut by a limit: less."""
    chatbot = _Refusing()
    chatbot.concurrency = 4
    targets = [Target(f"target {number}") for number in range(100)]

    def seconds(**limits: float) -> float:
        settings = _settings("greedy", limits=limits)
        return plan_of(settings, targets, chatbot=chatbot).seconds(0.2)

    assert seconds() == pytest.approx(5.0)
    assert seconds(rate=10.0) == pytest.approx(10.0)
    assert seconds(rate=1000.0) == pytest.approx(5.0)
    assert seconds(rate=10.0, seconds=3.0) == pytest.approx(3.0)
    assert seconds(queries=20) == pytest.approx(1.0)
    alone = plan_of(_settings("greedy"), targets[:1], chatbot=chatbot)
    assert alone.seconds(0.2) == pytest.approx(0.2), "one query is not four times as quick"


def test_no_query_takes_no_time() -> None:
    settings = _settings("retrieval")
    plan = plan_of(settings, [Target("hi")])
    assert (plan.asked, plan.sent, plan.seconds(1.0)) == (0, 0, 0.0)


def test_the_bound_in_words() -> None:
    def said(**limits: int) -> str:
        return plan_of(_settings("beam", limits=limits), TARGETS).at_most

    assert said() == "at most 14 queries"
    assert said(queries=5) == "at most 14 queries, 5 sent"
    assert plan_of(_settings("greedy"), [Target("hi")]).at_most == "at most 1 query"


def test_targets_are_counted_and_those_that_cannot_be_measured_are_not_asked() -> None:
    plan = plan_of(_settings("beam"), TARGETS, without={"a b"})
    assert (plan.targets, plan.unmeasurable, plan.longest) == (4, 1, 4)
    assert plan.groups == {"real 1-3": 2, "generated 4-6": 1, "generated 1-3": 1}
    assert (plan.searching, plan.real_inputs) == (9, 1)
    off = _settings("beam", search={"method": "beam", "budget": 3, "real_input": False})
    assert plan_of(off, TARGETS).real_inputs == 0


def test_a_plan_reads_the_list_and_asks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "targets.txt"
    path.write_text("see you\n" + "word " * 101 + "\n", encoding="utf-8")
    chatbot = CountingChatbot(EchoChatbot())
    settings = _settings("random", targets=str(path), similarity={"name": "exact"})
    plan = plan_audit(settings, chatbot=chatbot)
    assert (plan.targets, plan.unmeasurable, plan.asked, plan.longest) == (2, 1, BUDGET, 101)
    assert (plan.chatbot, chatbot.received) == ("echo", [])


def test_credentials_are_not_in_a_plan() -> None:
    settings = AuditSettings(chatbot="openai:https://me:hunter2@host/v1#m")
    assert "hunter2" not in str(plan_of(settings, TARGETS).to_json())


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"search": {"method": "beem"}}, UnknownNameError, "beam"),
        ({"search": {"method": "random"}, "reference": "none"}, SetupError, "--reference"),
        ({"search": {"method": "random"}, "reference": "gone.tsv"}, SetupError, "gone.tsv"),
        ({"generator": "nowhere"}, SetupError, "nowhere"),
        ({"similarity": {"name": "exakt"}}, UnknownNameError, "exact"),
        ({"targets": "tset"}, UnknownNameError, "test"),
        ({"chatbot": "known:ecco"}, UnknownNameError, "echo"),
        ({"chatbot": "bultin"}, UnknownNameError, "builtin"),
    ],
)
def test_what_cannot_be_used_is_told_by_the_plan(
    changes: dict[str, object], error: type[Exception], said: str
) -> None:
    settings = AuditSettings.model_validate({"chatbot": "known:echo", **changes})
    with pytest.raises(error, match=said):
        plan_audit(settings)


def test_a_model_that_is_not_there_is_told_by_the_plan() -> None:
    with pytest.raises(SetupError, match="nowhere"):
        plan_audit(AuditSettings(chatbot="seq2seq:nowhere"))


def test_the_lists_of_what_searches_need_are_true(make_generator: Callable[..., object]) -> None:
    for method in built_in_searches():
        whole = SearchParts(Exact(), make_generator(), REFERENCE)  # type: ignore[arg-type]
        make_search(method, whole)
        for listed, without in (
            (GUIDED, dataclasses.replace(whole, generator=None)),
            (FROM_REFERENCE, dataclasses.replace(whole, reference=())),
        ):
            if method in listed:
                with pytest.raises(SetupError):
                    make_search(method, without)
            else:
                make_search(method, without)


def test_a_dry_run_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom saywhat.cli import run\n"
        "code = run(['audit', '--dry-run', '-q'])\nsys.exit(f'{code} {\"torch\" in sys.modules}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stderr.strip() == "0 False"
    assert done.stdout.startswith("chatbot           builtin\n")
    assert list(tmp_path.iterdir()) == []
