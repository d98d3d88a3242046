"""REINFORCE: it resumes bit for bit, stops early, counts what it asks, ignores failures."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.chatbots.known import CipherChatbot, DeafChatbot, EchoChatbot, FailingChatbot
from saywhat.config import ReinforceSettings
from saywhat.errors import BudgetError, CheckpointError, InconclusiveError, SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.interfaces import Chatbot
from saywhat.ledger import Counts, Ledger, Limits
from saywhat.records import Target
from saywhat.similarity.exact import Exact
from saywhat.training import losses
from saywhat.training.metrics import StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.reinforce import Reinforce

MakeGenerator = Callable[..., Seq2SeqGenerator]
WORDS = ("a", "b", "c", "d")
POOL = TargetPool(["a", "b c", "d a b", "c"], ["a b", "d"])
VALIDATION = [Target("b"), Target("a c"), Target("d d")]
TINY = ReinforceSettings(
    steps=6,
    targets=4,
    samples=4,
    learning_rate=0.01,
    validate_every=2,
    precision="fp32",
    reward_cut=0.0,
    dropout=0.2,
    entropy=0.01,
    checkpoint_seconds=0.0,
)


START = {"seed": 1, "scale": 5.0}


class Stopped(Exception):  # noqa: N818
    """Stands for a kill."""


class Run:
    """One process that trains in a folder: its own ledger, generator and trainer."""

    def __init__(
        self,
        make: MakeGenerator,
        folder: Path,
        settings: ReinforceSettings = TINY,
        *,
        chatbot: Chatbot | None = None,
        stop: int | None = None,
        limits: Limits | None = None,
        **change: Any,
    ) -> None:
        self.generator = make(WORDS, **START | change)
        self.told: list[StepMetrics] = []
        self.folder = folder
        folder.mkdir(exist_ok=True)

        def report(metrics: StepMetrics) -> None:
            self.told.append(metrics)
            if metrics.step == stop:
                raise Stopped

        with Ledger(folder / "ledger.sqlite", limits or Limits()) as ledger:
            asked = ledger.chatbot(chatbot or CipherChatbot(WORDS), phase="reinforce")
            trainer = Reinforce(
                self.generator,
                asked,
                Exact(),
                settings,
                seed=1,
                folder=folder / "state",
                report=report,
            )
            try:
                self.best = trainer.train(POOL, VALIDATION)
            finally:
                self.counts: Counts = ledger.counts()["reinforce"]

    def weights(self) -> list[torch.Tensor]:
        return list(self.generator.state_dict().values())

    def metrics(self) -> list[dict[str, Any]]:
        lines = (self.folder / "state" / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("estimator", ["reinforce", "paper"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_an_interrupted_training_ends_with_the_same_bits(
    make_generator: MakeGenerator, tmp_path: Path, estimator: str, stop: int
) -> None:
    settings = TINY.model_copy(update={"estimator": estimator})
    whole = Run(make_generator, tmp_path / "whole", settings)
    with pytest.raises(Stopped):
        Run(make_generator, tmp_path / "parts", settings, stop=stop)
    resumed = Run(make_generator, tmp_path / "parts", settings)
    assert resumed.told[0].step == stop, "the step in flight is done over"
    assert resumed.best == whole.best
    assert all(map(torch.equal, resumed.weights(), whole.weights()))
    assert resumed.metrics() == whole.metrics()
    assert [line["step"] for line in resumed.metrics()] == [1, 2, 3, 4, 5, 6]
    assert resumed.counts == whole.counts
    done = Run(make_generator, tmp_path / "parts", settings)
    assert done.told == []
    assert all(map(torch.equal, done.weights(), whole.weights()))


def test_it_trains_and_the_reference_stays(make_generator: MakeGenerator, tmp_path: Path) -> None:
    run = Run(make_generator, tmp_path, TINY.model_copy(update={"validate_every": 1}))
    start = make_generator(WORDS, **START).state_dict()
    assert run.told[0].kl == pytest.approx(0.0, abs=1.0), "dropout only"
    state = json.loads((tmp_path / "state" / "state.json").read_text())
    from safetensors.torch import load_file

    tensors = load_file(tmp_path / "state" / state["tensors"])
    for name, value in start.items():
        assert torch.equal(tensors[f"reference.{name}"], value)
    changed = [name for name in start if not torch.equal(tensors[f"model.{name}"], start[name])]
    assert len(changed) == len(start)


def test_without_dropout_the_first_step_has_no_kl(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    run = Run(make_generator, tmp_path, TINY.model_copy(update={"dropout": 0.0}))
    assert run.told[0].kl == pytest.approx(0.0, abs=1e-5)
    assert run.told[-1].kl > 1e-3


def test_asked_is_what_the_ledger_counts(make_generator: MakeGenerator, tmp_path: Path) -> None:
    run = Run(make_generator, tmp_path)
    # 6 steps of 4 x 4 queries; validations of 3 at the start and after steps 2, 4 and 6
    assert run.told[-1].asked == 6 * 16 + 4 * 3
    assert run.counts.asked == run.told[-1].asked
    assert [m.validation is not None for m in run.told] == [False, True] * 3


def test_it_stops_early_when_validation_stalls(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    settings = TINY.model_copy(update={"steps": 50, "patience": 3})
    run = Run(make_generator, tmp_path, settings, chatbot=DeafChatbot("z"))
    # nothing is ever better than the start, which the weights go back to
    assert run.told[-1].step == 6
    start = make_generator(WORDS, **START)
    assert all(map(torch.equal, run.weights(), start.state_dict().values()))
    assert run.best == 0.0


def test_more_steps_may_be_asked_for_later(make_generator: MakeGenerator, tmp_path: Path) -> None:
    Run(make_generator, tmp_path, TINY.model_copy(update={"steps": 2}))
    assert [m.step for m in Run(make_generator, tmp_path).told] == [3, 4, 5, 6]


@pytest.mark.parametrize("change", ["settings", "chatbot", "generator"])
def test_the_state_of_another_training_is_refused(
    make_generator: MakeGenerator, tmp_path: Path, change: str
) -> None:
    Run(make_generator, tmp_path)
    other: dict[str, dict[str, Any]] = {
        "settings": {"settings": TINY.model_copy(update={"kl": 0.5})},
        "chatbot": {"chatbot": CipherChatbot(WORDS, seed=4)},
        "generator": {"seed": 2},
    }
    with pytest.raises(CheckpointError, match=f"with other {change}"):
        Run(make_generator, tmp_path, **other[change])


def test_a_budget_ends_it_with_what_it_has(make_generator: MakeGenerator, tmp_path: Path) -> None:
    with pytest.raises(BudgetError):
        Run(make_generator, tmp_path, limits=Limits(total=20))
    again = Run(make_generator, tmp_path)
    assert [line["step"] for line in again.metrics()] == [1, 2, 3, 4, 5, 6]


def test_failures_are_counted_and_are_no_result(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    chatbot = FailingChatbot(EchoChatbot(), 0.3, seed=2)
    run = Run(make_generator, tmp_path, chatbot=chatbot)
    assert sum(m.failed for m in run.told) > 0
    assert all(0 <= m.failed < 16 for m in run.told)
    # with an echo every reward is known: of answered queries only, as is the mean
    step = run.told[0]
    pool, generator = POOL.draw(1, TINY, 1), make_generator(WORDS, **START)
    from saywhat.rng import derive_seed

    rng = torch.Generator().manual_seed(derive_seed(1, "reinforce-samples", 1))
    drawn = generator.sample(pool, 4, rng).queries
    scores = [
        float(query == target)
        for target, queries in zip(pool, drawn, strict=True)
        for query in queries
        if not chatbot.fails(query)
    ]
    assert step.failed == 16 - len(scores) > 0
    assert step.similarity == pytest.approx(sum(scores) / len(scores))


def test_a_failed_query_teaches_nothing(make_generator: MakeGenerator) -> None:
    # the gradient with a failure is that without the sample, whatever stands in its place
    rewards = torch.tensor([[0.9, 0.2, 0.7], [0.1, 0.6, 0.0]])
    answered = torch.tensor([[True, True, False], [True, True, True]])
    for advantage in (losses.leave_one_out, losses.best_of_k):
        filled = [
            advantage(torch.where(answered, rewards, stand_in), answered)
            for stand_in in (torch.tensor(0.0), torch.tensor(5.0), torch.tensor(float("nan")))
        ]
        assert all(torch.equal(values, filled[0]) for values in filled)
        assert filled[0][0, 2] == 0


def test_a_chatbot_that_answers_nothing_is_inconclusive(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    with pytest.raises(InconclusiveError, match="none of the 3 queries of validation 0"):
        Run(make_generator, tmp_path, chatbot=FailingChatbot(EchoChatbot(), 1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"samples": 1}, "at least 2"), ({"samples": 1, "advantage": "best_of_k"}, "at least 2")],
)
def test_a_baseline_needs_two_samples(
    make_generator: MakeGenerator, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        Run(make_generator, tmp_path, TINY.model_copy(update=change))


@pytest.mark.parametrize("change", [{"estimator": "paper"}, {"advantage": "reward"}])
def test_without_a_baseline_one_sample_will_do(
    make_generator: MakeGenerator, tmp_path: Path, change: dict[str, Any]
) -> None:
    run = Run(make_generator, tmp_path, TINY.model_copy(update={"samples": 1} | change))
    assert len(run.told) == 6


def test_a_validation_list_is_needed(make_generator: MakeGenerator, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        asked = ledger.chatbot(EchoChatbot(), phase="reinforce")
        trainer = Reinforce(
            make_generator(WORDS), asked, Exact(), TINY, seed=1, folder=tmp_path / "state"
        )
        with pytest.raises(SetupError, match="validation list"):
            trainer.train(POOL, [])


def test_a_pool_draws_by_step_seed_and_share() -> None:
    def draw(step: int, share: float, seed: int = 1) -> Sequence[str]:
        return POOL.draw(step, TINY.model_copy(update={"human_share": share, "targets": 50}), seed)

    assert draw(1, 0.5) == draw(1, 0.5)
    assert draw(1, 0.5) != draw(2, 0.5)
    assert draw(1, 0.5) != draw(1, 0.5, seed=2)
    assert set(draw(1, 0.0)) == set(POOL.replies)  # fifty draws miss one of four: below 3e-6
    assert set(draw(1, 1.0)) == set(POOL.human)
    assert set(TargetPool(["x"]).draw(1, TINY, 1)) == {"x"}
    with pytest.raises(SetupError, match="no reply"):
        TargetPool([], ["human"])
