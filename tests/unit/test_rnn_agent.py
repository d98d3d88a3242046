"""The agent that learns anew for each target: when it begins again, from what, and when it ends.

Its language model knows six words and writes two at most: 42 queries.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import pytest
import torch

from saywhat.config import AgentSettings
from saywhat.generators.language_model import QueryModel
from saywhat.nn.language_model import LanguageModel, LanguageModelSize
from saywhat.records import Attempt, Target
from saywhat.rng import derive
from saywhat.search.rnn_agent import RnnAgent
from saywhat.text.vocabulary import Vocabulary

SETTINGS = AgentSettings(samples=8, learning_rate=0.3, patience=2)
BUDGET = 1000


@dataclasses.dataclass
class Draw:
    """A draw of the agent: the network, its weights then, and what was drawn."""

    network: LanguageModel
    weights: torch.Tensor
    queries: list[str]


def weights_of(network: LanguageModel) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.fixture
def pretrained(monkeypatch: pytest.MonkeyPatch) -> QueryModel:
    """Give the model that agents begin from."""
    vocabulary = Vocabulary("a b c d e f".split())
    size = LanguageModelSize(len(vocabulary), 4, 8, 1)
    network = LanguageModel(size, dropout=0.0, rng=torch.Generator().manual_seed(1))
    model = QueryModel(network, vocabulary, max_tokens=2)
    monkeypatch.setattr("saywhat.search.rnn_agent.cached_language_model", lambda *_, **__: model)
    return model


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[Draw]:
    """Give the list of draws that are made from now on."""
    made: list[Draw] = []
    sample = QueryModel.sample

    def watched(
        self: QueryModel, n: int, rng: torch.Generator, *, temperature: float = 1.0
    ) -> tuple[list[str], torch.Tensor]:
        queries, labels = sample(self, n, rng, temperature=temperature)
        made.append(Draw(self.network, weights_of(self.network), queries))
        return queries, labels

    monkeypatch.setattr(QueryModel, "sample", watched)
    return made


def run(settings: AgentSettings = SETTINGS) -> list[Attempt]:
    """Search a chatbot that comes near its target when a query begins with "a"."""
    target, asked = Target("nobody says it"), [0]

    def ask(queries: Sequence[str]) -> list[Attempt]:
        attempts = []
        for query in queries:
            asked[0] += 1
            near = float(query.startswith("a"))
            attempts.append(Attempt(target.text, query, asked[0], "nothing", near))
        return attempts

    agent = RnnAgent([], settings)
    return list(agent.run(target, ask, budget=BUDGET, rng=derive(1, "agent")))


def lives(draws: Sequence[Draw]) -> list[list[Draw]]:
    """Group draws by the network that they are of."""
    grouped: list[list[Draw]] = []
    for draw in draws:
        if not grouped or grouped[-1][-1].network is not draw.network:
            grouped.append([])
        grouped[-1].append(draw)
    return grouped


def test_after_a_collapse_it_begins_again_from_the_pretrained_weights(
    pretrained: QueryModel, draws: list[Draw]
) -> None:
    attempts, start = run(), weights_of(pretrained.network)
    grouped, known = lives(draws), set[str]()
    assert len(grouped) > 2, "it never collapsed"
    for life in grouped:
        assert torch.equal(life[0].weights, start)
        assert life[0].network is not pretrained.network
        new = []
        for draw in life:
            new.append(bool(set(draw.queries) - known))
            known |= set(draw.queries)
        # it goes on until its patience is used up, and no longer
        assert new[-2:] == [False, False]
        assert all(any(pair) for pair in itertools.pairwise(new[:-1]))
    assert (grouped[0][-1].weights - start).abs().max() > 0.1, "it learned nothing"
    # what is asked after a restart is what the pre-trained model draws
    assert {query for draw in draws for query in draw.queries} == {a.query for a in attempts}
    first = {query for draw in grouped[0] for query in draw.queries}
    assert len({attempt.query for attempt in attempts} - first) > 5


def test_it_gives_up_when_a_fresh_start_finds_nothing_new(
    pretrained: QueryModel, draws: list[Draw]
) -> None:
    attempts = run()
    *earlier, last = lives(draws)
    assert len(attempts) <= 42 < BUDGET
    assert len(last) == SETTINGS.patience
    before = {query for life in earlier for draw in life for query in draw.queries}
    assert {query for draw in last for query in draw.queries} <= before


def test_no_step_is_longer_than_its_gradient_may_be(
    pretrained: QueryModel, draws: list[Draw]
) -> None:
    moved = []
    for clip in (1.0, 1e-12):
        draws.clear()
        run(SETTINGS.model_copy(update={"clip": clip}))
        steps = itertools.pairwise(lives(draws)[0])
        moved.append(max(float((b.weights - a.weights).abs().max()) for a, b in steps))
    # Adam's step is about its rate, but for gradients that are small beside its epsilon of 1e-8
    assert moved[0] > SETTINGS.learning_rate / 2
    assert moved[1] < SETTINGS.learning_rate / 1000
