"""What every search promises, run over all that ``make_search`` makes; and the driver."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from saywhat.chatbots.known import CipherChatbot, CountingChatbot, EchoChatbot, FailingChatbot
from saywhat.config import SearchSettings
from saywhat.errors import SetupError, UnknownNameError
from saywhat.generators import Generator, Seq2SeqGenerator
from saywhat.generators.base import Samples
from saywhat.interfaces import Ask, Chatbot, OneShotSearch, Search
from saywhat.ledger import Ledger, Limits
from saywhat.records import Attempt, Pair, Target
from saywhat.rng import derive
from saywhat.search import SearchParts, make_search, run_search
from saywhat.search.asking import TargetAsk
from saywhat.search.retrieval import Retrieval
from saywhat.similarity.exact import Exact

MakeGenerator = Callable[..., Seq2SeqGenerator]
NAMES = (
    "greedy", "beam", "sampling", "diverse-beam", "random", "real-input", "retrieval", "rnn-agent",
)  # fmt: skip
ADAPTIVE = {"retrieval", "rnn-agent"}  # their queries depend on what is known of the replies
WORDS = ("a", "b", "c", "d", "e")
REFERENCE = [Pair(f"{x} {y}", f"{y} {x}") for x in WORDS for y in WORDS] + [Pair("a b", "b a")]
TARGETS = [
    Target("a b", query="what comes before it"),
    Target("c"),
    Target("e d c", query="e"),
    Target("unheard of"),
    Target("d a", query="e d"),
]


@pytest.fixture(scope="session", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def parts(make_generator: MakeGenerator) -> SearchParts:
    return SearchParts(Exact(), make_generator(WORDS, max_tokens=3, scale=6.0), REFERENCE)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> SearchSettings:
    """Settings under which the agent's language model is trained in a moment, and once."""
    training = {"epochs": 2, "dropout": 0.0, "max_tokens": 3, "precision": "fp32"}
    model = {"embedding": 8, "hidden": 8, "training": training}
    folder = str(tmp_path_factory.mktemp("rnn-agent"))
    return SearchSettings.model_validate(
        {"diversity_groups": 3, "agent": {"model": model, "folder": folder, "samples": 16}}
    )


@pytest.fixture
def search(name: str, parts: SearchParts, tiny: SearchSettings) -> Search:
    return make_search(name, parts, tiny)


@pytest.fixture
def open_ledger(tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    opened: list[Ledger] = []

    def make() -> Ledger:
        # a search is to be seen through every failure
        opened.append(Ledger(tmp_path / f"{len(opened)}.sqlite", Limits(breaker=10_000)))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


class Asker:
    """Asks an echo and keeps the queries; stops at the budget as ``interfaces.Ask`` says."""

    def __init__(self, target: Target, budget: int) -> None:
        self._target, self._left = target, budget
        self.wanted: list[str] = []
        self._asked = 0

    def __call__(self, queries: Sequence[str]) -> list[Attempt]:
        self.wanted += queries
        allowed = list(queries)[: self._left]
        self._left -= len(allowed)
        attempts = []
        for query in allowed:
            self._asked += 1
            attempts.append(Attempt(self._target.text, query, self._asked, query, 0.0))
        return attempts


def attempts_of(
    search: Search, target: Target, budget: int, seed: int = 1
) -> tuple[list[Attempt], Asker]:
    ask: Ask = (asker := Asker(target, budget))
    return list(search.run(target, ask, budget=budget, rng=derive(seed, "test"))), asker


@pytest.mark.parametrize("budget", [1, 2, 7, 60])
def test_it_never_wants_more_than_the_budget(search: Search, budget: int) -> None:
    for target in TARGETS:
        attempts, asker = attempts_of(search, target, budget)
        assert len(asker.wanted) <= budget
        asked = [attempt for attempt in attempts if attempt.nth > 0]
        assert [attempt.query for attempt in asked] == asker.wanted


def test_attempts_are_numbered_as_asked(search: Search, name: str) -> None:
    for target in TARGETS:
        attempts, _ = attempts_of(search, target, 9)
        numbers = [attempt.nth for attempt in attempts]
        expected = [0] if name == "retrieval" else list(range(1, len(attempts) + 1))
        assert numbers == expected
        assert {attempt.target for attempt in attempts} <= {target.text}


def test_the_same_rng_gives_the_same_queries(search: Search, name: str) -> None:
    first, again, other = (
        [[a.query for a in attempts_of(search, target, 9, seed)[0]] for target in TARGETS]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert (first != other) == (name in {"sampling", "random", "rnn-agent"})


def test_no_query_repeats_or_is_empty(search: Search) -> None:
    for target in TARGETS:
        queries = [attempt.query for attempt in attempts_of(search, target, 60)[0]]
        assert len(set(queries)) == len(queries)
        assert all(queries)


def test_a_plan_for_many_is_that_for_each_and_what_run_asks(search: Search) -> None:
    if not isinstance(search, OneShotSearch):
        assert search.name in ADAPTIVE
        return
    rngs = [derive(1, "test", target.text) for target in TARGETS]
    together = search.plan(TARGETS, budget=6, rngs=rngs)
    assert len(together) == len(TARGETS)
    for target, plan in zip(TARGETS, together, strict=True):
        (alone,) = search.plan([target], budget=6, rngs=[derive(1, "test", target.text)])
        asker = Asker(target, 6)
        rng = derive(1, "test", target.text)
        asked = [a.query for a in search.run(target, asker, budget=6, rng=rng)]
        assert plan == alone == asked


def test_it_has_its_name(search: Search, name: str) -> None:
    assert search.name == name


# --------------------------------------------------------------------------------- the driver


def run(
    search: Search,
    ledger: Ledger,
    *,
    chatbot: Chatbot | None = None,
    batch_targets: int = 2,
    first: int = 0,
    budget: int = 5,
    targets: Sequence[Target] = TARGETS,
) -> list[tuple[Target, list[Attempt]]]:
    asked = ledger.chatbot(chatbot or CipherChatbot(WORDS), phase="search")
    return list(
        run_search(
            search,
            targets,
            asked,
            Exact(),
            budget=budget,
            seed=1,
            batch_targets=batch_targets,
            first=first,
        )
    )


def test_the_block_size_does_not_matter(search: Search, open_ledger: Callable[[], Ledger]) -> None:
    results = [run(search, open_ledger(), batch_targets=size) for size in (1, 2, 3, 50)]
    assert [target for target, _ in results[0]] == TARGETS
    assert all(result == results[0] for result in results)


def test_the_order_of_targets_does_not_matter(
    search: Search, open_ledger: Callable[[], Ledger]
) -> None:
    turned = run(search, open_ledger(), targets=TARGETS[::-1])
    assert turned[::-1] == run(search, open_ledger())


def test_a_run_goes_on_at_first(search: Search, open_ledger: Callable[[], Ledger]) -> None:
    whole = run(search, open_ledger())
    assert run(search, open_ledger(), first=2) == whole[2:]
    assert run(search, open_ledger(), first=4) == whole[4:]
    assert run(search, open_ledger(), first=6) == []


def test_the_ledger_counts_what_was_asked(
    search: Search, open_ledger: Callable[[], Ledger]
) -> None:
    ledger, chatbot = open_ledger(), CountingChatbot(CipherChatbot(WORDS))
    results = run(search, ledger, chatbot=chatbot)
    asked = [a for _, attempts in results for a in attempts if a.nth > 0]
    assert ledger.total().asked == len(asked)
    assert set(chatbot.received) == {attempt.query for attempt in asked}
    assert all(len([a for a in attempts if a.nth]) <= 5 for _, attempts in results)


def test_attempts_say_what_came_back(search: Search, open_ledger: Callable[[], Ledger]) -> None:
    chatbot = CipherChatbot(WORDS)
    for target, attempts in run(search, open_ledger(), chatbot=chatbot):
        for attempt in attempts:
            assert attempt.target == target.text
            if attempt.nth > 0:
                assert attempt.reply == chatbot.reply([attempt.query])[0]
            assert attempt.similarity == float(attempt.reply == target.text)
            assert attempt.error == ""


def test_a_failed_query_has_no_similarity(
    search: Search, name: str, open_ledger: Callable[[], Ledger]
) -> None:
    chatbot = FailingChatbot(EchoChatbot(), 1.0)
    attempts = [a for _, found in run(search, open_ledger(), chatbot=chatbot) for a in found]
    assert attempts
    for attempt in attempts:
        if name == "retrieval":
            assert attempt.reply is not None
            continue
        assert (attempt.reply, attempt.similarity) == (None, None)
        assert "told to fail" in attempt.error


@final
class Silent(Generator):
    """A generator with nothing to propose."""

    @override
    def sample(
        self, targets: Sequence[str], n: int, rng: torch.Generator, *, temperature: float = 1.0
    ) -> Samples:
        return Samples(
            [[""] * n for _ in targets], torch.zeros(len(targets) * n, 1, dtype=torch.long)
        )

    @override
    def propose(self, targets: Sequence[str], n: int) -> list[list[str]]:
        return [[] for _ in targets]

    def propose_diversely(
        self, targets: Sequence[str], n: int, *, groups: int, strength: float
    ) -> list[list[str]]:
        return self.propose(targets, n)

    @override
    def log_prob(
        self, targets: Sequence[str], labels: Int[Tensor, "batch time"]
    ) -> Float[Tensor, " batch"]:
        raise NotImplementedError

    @override
    def encode_queries(self, queries: Sequence[str]) -> Int[Tensor, "batch time"]:
        raise NotImplementedError


@pytest.mark.parametrize("name", ["greedy", "beam", "sampling", "diverse-beam"], scope="session")
def test_nothing_proposed_is_nothing_asked(name: str, open_ledger: Callable[[], Ledger]) -> None:
    search = make_search(name, SearchParts(Exact(), Silent()))
    assert run(search, open_ledger()) == [(target, []) for target in TARGETS]


# ------------------------------------------------------------------------------- one by one


def test_greedy_and_beam_are_the_generators_proposals(parts: SearchParts) -> None:
    assert parts.generator is not None
    texts, rngs = [target.text for target in TARGETS], [derive(1, "test")] * len(TARGETS)
    plans = {}
    for name in ("greedy", "beam"):
        search = make_search(name, parts)
        assert isinstance(search, OneShotSearch)
        plans[name] = search.plan(TARGETS, budget=8, rngs=rngs)
    assert plans["greedy"] == parts.generator.propose(texts, 1)
    assert plans["beam"] == parts.generator.propose(texts, 8)


def test_real_input_asks_the_human_query_if_there_is_one(
    parts: SearchParts, open_ledger: Callable[[], Ledger]
) -> None:
    results = run(make_search("real-input", parts), open_ledger())
    queries = [[attempt.query for attempt in attempts] for _, attempts in results]
    assert queries == [[target.query] if target.query else [] for target in TARGETS]


def test_random_posts_are_distinct_reference_queries(parts: SearchParts) -> None:
    attempts, _ = attempts_of(make_search("random", parts), TARGETS[0], 60)
    assert sorted(a.query for a in attempts) == sorted({pair.query for pair in REFERENCE})


def test_retrieval_gives_the_pair_of_the_nearest_reply(parts: SearchParts) -> None:
    search = make_search("retrieval", parts)
    (found,) = search.run(TARGETS[0], Asker(TARGETS[0], 5), budget=5, rng=derive(1, "test"))
    assert found == Attempt("a b", query="b a", nth=0, reply="a b", similarity=1.0)
    # ties go to the pair that comes first
    (nothing,) = search.run(TARGETS[3], Asker(TARGETS[3], 5), budget=5, rng=derive(1, "test"))
    assert (nothing.query, nothing.reply, nothing.similarity) == ("a a", "a a", 0.0)


class Letters:
    """A similarity of vectors: the cosine of letter counts."""

    name = "letters"

    def embed(self, texts: Sequence[str]):
        import numpy as np

        counts = np.array([[float(text.count(x)) for x in "abcdeghf"] for text in texts])
        return counts / np.maximum(1e-12, np.linalg.norm(counts, axis=1, keepdims=True))

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        pairs = zip(self.embed(replies), self.embed(targets), strict=True)
        return [round(float(a @ b), 9) for a, b in pairs]

    def measurable(self, text: str) -> bool:
        return bool(self.embed([text]).any())


class Slow:
    """The same, without vectors."""

    def __init__(self) -> None:
        self._inner = Letters()
        self.name, self.score = "slow", self._inner.score
        self.measurable = self._inner.measurable


def test_retrieval_by_vectors_is_retrieval_by_scores() -> None:
    fast, slow = Retrieval(REFERENCE, Letters()), Retrieval(REFERENCE, Slow())
    for target in ("a b", "e", "c d d", "zzz", "b b a"):
        assert fast.nearest(target, 7) == slow.nearest(target, 7)


def test_asking_counts_on_and_stops_in_the_middle(open_ledger: Callable[[], Ledger]) -> None:
    ledger, chatbot = open_ledger(), CountingChatbot(EchoChatbot())
    asked = ledger.chatbot(chatbot, phase="search")
    ask = TargetAsk(Target("b"), asked, Exact(), budget=3, scope="target 0")
    first, second, third = ask(["a", "b"]), ask(["c", "d"]), ask(["e"])
    assert [a.nth for a in [*first, *second]] == [1, 2, 3]
    assert [a.similarity for a in first] == [0.0, 1.0]
    assert (len(second), third) == (1, [])
    assert chatbot.received == ["a", "b", "c"]


def test_what_cannot_be_made_is_told() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'beam'\?"):
        make_search("beem", SearchParts(Exact()))
    with pytest.raises(SetupError, match="--generator"):
        make_search("beam", SearchParts(Exact()))
    with pytest.raises(SetupError, match="--reference"):
        make_search("random", SearchParts(Exact()))


def test_diverse_beam_takes_its_groups_from_the_settings(parts: SearchParts) -> None:
    generator, texts = parts.generator, [target.text for target in TARGETS]
    assert isinstance(generator, Seq2SeqGenerator)
    rngs = [derive(1, "test")] * len(TARGETS)
    for groups, strength in ((1, 0.0), (4, 2.0), (None, 2.0)):
        settings = SearchSettings(diversity_groups=groups, diversity_strength=strength)
        search = make_search("diverse-beam", parts, settings)
        assert isinstance(search, OneShotSearch)
        plan = search.plan(TARGETS, budget=8, rngs=rngs)
        every = groups or 8
        assert plan == generator.propose_diversely(texts, 8, groups=every, strength=strength)
        assert (plan == generator.propose(texts, 8)) == (groups == 1)


@final
class Plain(Generator):
    """A generator without groups."""

    sample = Silent.sample
    propose = Silent.propose
    log_prob = Silent.log_prob
    encode_queries = Silent.encode_queries


def test_a_generator_without_groups_is_told() -> None:
    with pytest.raises(SetupError, match="cannot search in groups"):
        make_search("diverse-beam", SearchParts(Exact(), Plain()))


def test_the_agent_asks_only_what_its_draws_have_new(
    parts: SearchParts, tiny: SearchSettings
) -> None:
    # five words and at most three of them: 155 queries, and a target that none of them gets
    search = make_search("rnn-agent", parts, tiny)
    attempts, asker = attempts_of(search, Target("zebra"), 1000)
    assert len(asker.wanted) == len(set(asker.wanted)) <= 155
    assert len(attempts) == len(asker.wanted) > 16


def test_the_agent_stops_at_the_target_itself(parts: SearchParts, tiny: SearchSettings) -> None:
    search = make_search("rnn-agent", parts, tiny)
    target = Target("b")
    attempts, _ = attempts_of(search, target, 1000)  # the asker echoes
    hits = [attempt.nth for attempt in attempts if attempt.reply == target.text]
    assert len(hits) == 1
    assert hits[0] > len(attempts) - 16, "it went on after the draw that had it"
