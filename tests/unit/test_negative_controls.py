"""Controls that must teach nothing, and judges that must not be rewards."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.chatbots.known import CipherChatbot, EchoChatbot, FailingChatbot
from saywhat.config import ReinforceSettings, SearchSettings, SimilaritySettings, TrainSettings
from saywhat.errors import SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.interfaces import Chatbot, OneShotSearch
from saywhat.ledger import Answer, Ledger
from saywhat.pipeline import Training
from saywhat.records import Pair, Target
from saywhat.registry import JUDGES, names
from saywhat.rng import derive
from saywhat.search import SearchParts, make_search
from saywhat.similarity.exact import Exact
from saywhat.training import losses
from saywhat.training.metrics import StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.reinforce import Reinforce
from tests.tiny_encoders import tiny_encoder

MakeGenerator = Callable[..., Seq2SeqGenerator]
WORDS = ("a", "b", "c", "d")
POOL = TargetPool(["a", "b c", "d a b", "c"], ["a b", "d"])
CONSTANT = ReinforceSettings(
    steps=4, targets=4, samples=4, learning_rate=0.01, validate_every=2, precision="fp32",
    reward="constant", kl=0.0,
)  # fmt: skip


def train(
    generator: Seq2SeqGenerator,
    folder: Path,
    settings: ReinforceSettings,
    chatbot: Chatbot | None = None,
) -> tuple[Reinforce, list[StepMetrics]]:
    told: list[StepMetrics] = []
    with Ledger(folder / "ledger.sqlite") as ledger:
        asked = ledger.chatbot(chatbot or CipherChatbot(WORDS), phase="reinforce")
        trainer = Reinforce(
            generator, asked, Exact(), settings, seed=1, folder=folder / "state", report=told.append
        )  # fmt: skip
        trainer.train(POOL, [Target("b"), Target("a c")])
    return trainer, told


@pytest.mark.parametrize("advantage", ["leave_one_out", "best_of_k"])
@pytest.mark.parametrize("failing", [0.0, 0.3])
def test_a_constant_reward_changes_no_bit(
    make_generator: MakeGenerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    advantage: str,
    failing: float,
) -> None:
    seen: list[torch.Tensor] = []
    plain = losses.reinforce

    def watched(log_prob: torch.Tensor, advantages: torch.Tensor) -> torch.Tensor:
        seen.append(advantages)
        return plain(log_prob, advantages)

    monkeypatch.setattr(losses, "reinforce", watched)
    generator = make_generator(WORDS, seed=1, scale=5.0)
    settings = CONSTANT.model_copy(update={"advantage": advantage})
    chatbot = FailingChatbot(EchoChatbot(), failing, seed=2)
    trainer, told = train(generator, tmp_path, settings, chatbot)
    assert len(seen) == 4
    assert all((advantages == 0).all() for advantages in seen)
    assert [m.reward for m in told] == [1.0] * 4
    assert [m.gradient_norm for m in told] == [0.0] * 4
    start = make_generator(WORDS, seed=1, scale=5.0).state_dict()
    assert all(torch.equal(v, start[k]) for k, v in trainer._generator.state_dict().items())
    assert any(m.failed for m in told) == (failing > 0)


def test_the_same_training_with_rewards_does_change_it(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    # what the control is compared with: the test above can fail
    settings = CONSTANT.model_copy(update={"reward": "similarity", "reward_cut": 0.0})
    generator = make_generator(WORDS, seed=1, scale=5.0)
    _, told = train(generator, tmp_path, settings, EchoChatbot())
    assert max(m.gradient_norm for m in told) > 0


def test_a_shuffled_reward_is_the_similarity_to_the_next_target(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    settings = CONSTANT.model_copy(update={"reward": "shuffled"})
    trainer, told = train(make_generator(WORDS, seed=1, scale=5.0), tmp_path, settings)
    targets = ["a", "b", "c"]
    replies = ["a", "b", None, "c", "a", "z"]  # two a target
    answers = [Answer("", reply, "", False) for reply in replies]
    similarity = trainer._score(targets, answers)
    nan = math.nan
    expected = torch.tensor([[1.0, 0.0], [nan, 0.0], [0.0, 0.0]])
    assert torch.equal(similarity.nan_to_num(9.0), expected.nan_to_num(9.0))
    # against b, c, a instead; 0 where there is no reply
    rewards = trainer._rewards(targets, answers, similarity)
    assert rewards.tolist() == [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    assert all(math.isfinite(m.similarity) for m in told)


def test_a_shuffle_needs_two_targets(make_generator: MakeGenerator, tmp_path: Path) -> None:
    settings = CONSTANT.model_copy(update={"reward": "shuffled", "targets": 1})
    with pytest.raises(SetupError, match=r"reinforce\.targets must be at least 2; got 1"):
        train(make_generator(WORDS), tmp_path, settings)


@pytest.mark.parametrize(("change", "expected"), [({}, 1.0), ({"temperature": 0.3}, 0.3)])
def test_sampling_has_the_temperature_of_the_settings(
    make_generator: MakeGenerator, change: dict[str, float], expected: float
) -> None:
    generator = make_generator(WORDS, seed=1, scale=5.0)
    parts = SearchParts(Exact(), generator=generator)
    search = make_search("sampling", parts, SearchSettings(**change))
    assert isinstance(search, OneShotSearch)
    planned = search.plan([Target("a")], budget=6, rngs=[derive(1, "test")])[0]
    source = torch.Generator().manual_seed(derive(1, "test").getrandbits(63))
    first = generator.sample(["a"], 6, source, temperature=expected).queries[0]
    distinct = list(dict.fromkeys(query for query in first if query))
    assert planned[: len(distinct)] == distinct


def test_a_sharper_sampling_repeats_itself_more(make_generator: MakeGenerator) -> None:
    parts = SearchParts(Exact(), generator=make_generator(WORDS, seed=1, scale=5.0))
    plans = []
    for temperature in (1.0, 0.01):
        search = make_search("sampling", parts, SearchSettings(temperature=temperature))
        assert isinstance(search, OneShotSearch)
        plans.append(search.plan([Target("a")], budget=60, rngs=[derive(1, "test")])[0])
    assert len(plans[1]) < len(plans[0])


def test_a_judge_is_no_reward(tmp_path: Path) -> None:
    assert set(names("similarities")) >= JUDGES == {"sentence-encoder"}
    settings = TrainSettings(similarity=SimilaritySettings(name="sentence-encoder"))
    with (
        Training(settings, tmp_path) as training,
        pytest.raises(SetupError, match="judge_as_reward: true"),
    ):
        training.similarity()


def test_unless_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhat.inputs.make_similarity", lambda *_, **__: tiny_encoder())
    settings = TrainSettings(
        similarity=SimilaritySettings(name="sentence-encoder"),
        reinforce=ReinforceSettings(judge_as_reward=True),
    )
    with Training(settings, tmp_path) as training:
        assert training.similarity().name == "sentence-encoder"


def test_an_agent_does_not_learn_from_a_judge() -> None:
    parts = SearchParts(tiny_encoder(), reference=[Pair("hi", "hello")])
    with pytest.raises(SetupError, match="is a judge, which is no reward"):
        make_search("rnn-agent", parts)
    assert make_search("random", parts).name == "random"
