"""Training with a latent variable: the loss is the sum that it should be, and it resumes."""

from pathlib import Path

import pytest
import torch

from saywhat.config import SupervisedSettings, VariationalSettings
from saywhat.errors import CheckpointError
from saywhat.nn.padding import shift_right
from saywhat.rng import derive
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK
from saywhat.training.examples import Example
from saywhat.training.losses import cross_entropy
from saywhat.training.supervised import Progress, SupervisedTrainer
from saywhat.training.variational import beyond_free, hide_words, kl_weight, mean_kl
from tests.tiny_networks import CONVERSATIONS, tiny_network

LABELS = torch.tensor([[5, 6, EOS, PAD], [7, EOS, PAD, PAD], [8, 9, 10, EOS], [4, EOS, PAD, PAD]])
SETTINGS = SupervisedSettings(
    epochs=2, batch_size=4, dropout=0.2, context_dropout=0.3, precision="fp32", patience=9
)


def examples(count: int, seed: int = 0) -> list[Example]:
    """Give random conversations of ids in a vocabulary of 12."""
    rng = derive(seed, "examples")

    def text() -> list[int]:
        return [rng.randrange(4, 12) for _ in range(rng.randint(1, 5))] + [EOS]

    return [([t for _ in range(rng.randint(1, 3)) for t in text()], text()) for _ in range(count)]


def trainer_of(folder: Path, *, variational: VariationalSettings, **change: float):
    network = tiny_network("vhred", scale=2.0)
    settings = SETTINGS.model_copy(update=change)
    trainer = SupervisedTrainer(network, settings, seed=1, folder=folder, variational=variational)
    return network, trainer


@pytest.mark.parametrize(("done", "weight"), [(0.0, 0.0), (0.2, 0.4), (0.5, 1.0), (0.9, 1.0)])
@pytest.mark.parametrize("free", [0.0, 1000.0])
def test_the_loss_is_cross_entropy_and_weighted_kl(
    tmp_path: Path, done: float, weight: float, free: float
) -> None:
    # one epoch, warm-up over its first half: at 0.2 the weight is 0.4
    variational = VariationalSettings(kl_warmup=0.5, word_dropout=0.0, free_nats=free)
    network, trainer = trainer_of(
        tmp_path, variational=variational, epochs=1, context_dropout=0.0, dropout=0.0
    )
    source = network.pad(CONVERSATIONS)
    loss = trainer._loss(source, LABELS, torch.Generator().manual_seed(5), done)
    rng = torch.Generator().manual_seed(5)
    memory, kl = network.infer(network.encode(source), LABELS, rng)
    expected = cross_entropy(network.decode(shift_right(LABELS), memory)[0], LABELS)
    penalty = kl.sum() if free == 0 else torch.tensor(4 * free)
    expected = expected + weight * penalty / 11  # labels that are no padding
    torch.testing.assert_close(loss, expected)
    assert 0.01 < kl.sum() < 4 * 1000


@pytest.mark.parametrize("free", [1.9, 2.1])
def test_only_what_is_beyond_the_free_nats_is_pressed_down(free: float) -> None:
    # the mean is 2
    divergence = torch.tensor([1.0, 3.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(beyond_free(divergence, free), divergence)
    assert gradient.tolist() == ([1.0, 1.0] if free < 2 else [0.0, 0.0])


def test_a_hidden_source_hides_the_latent_variable_too(tmp_path: Path) -> None:
    variational = VariationalSettings(kl_warmup=0.0, word_dropout=0.0)
    network, trainer = trainer_of(tmp_path, variational=variational, context_dropout=1.0)
    loss = trainer._loss(network.pad(CONVERSATIONS), LABELS, torch.Generator(), 1.0)
    logits, _ = network.decode(shift_right(LABELS), network.null_memory(4))
    torch.testing.assert_close(loss, cross_entropy(logits, LABELS))
    loss.backward()
    learned = [p.grad is not None and bool(p.grad.any()) for p in network.posterior.parameters()]
    assert not any(learned)


def test_words_are_hidden_at_the_share_asked_for() -> None:
    inputs = torch.full((400, 51), 7)
    inputs[:, 0] = BOS
    hidden = hide_words(inputs, 0.25, torch.Generator().manual_seed(1))
    assert (hidden[:, 0] == BOS).all()
    assert set(hidden[:, 1:].unique().tolist()) == {UNK, 7}
    share = float((hidden == UNK).sum()) / (400 * 50)
    # 20,000 draws: the standard error is 0.003, and the seed is fixed; five of them
    assert share == pytest.approx(0.25, abs=0.016)
    assert torch.equal(hide_words(inputs, 0.0, torch.Generator()), inputs)


def test_the_weight_grows_to_one() -> None:
    assert [kl_weight(done, 0.8) for done in (0.0, 0.2, 0.8, 1.0)] == [0.0, 0.25, 1.0, 1.0]
    assert kl_weight(0.0, 0.0) == 1.0


@torch.no_grad()
def test_the_mean_kl_is_that_of_each_example_alone() -> None:
    network, data = tiny_network("vhred"), examples(9)
    alone = []
    for source, labels in data:
        memory = network.encode(network.pad([source]))
        alone.append(float(network.infer(memory, torch.tensor([labels]), torch.Generator())[1]))
    for size in (1, 4, 256):
        assert mean_kl(network, data, batch_size=size) == pytest.approx(sum(alone) / 9, rel=1e-4)
    with pytest.raises(ValueError, match="latent variable"):
        mean_kl(tiny_network("hred"), data)
    with pytest.raises(ValueError, match="and examples"):
        mean_kl(network, [])


class Stopped(Exception):  # noqa: N818
    """Stands for a kill."""


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path: Path) -> None:
    train, valid = examples(18), examples(6, seed=1)

    def fit(folder: Path, stop: int | None = None):
        told: list[Progress] = []

        def report(progress: Progress) -> None:
            told.append(progress)
            if len(told) == stop:
                raise Stopped

        network = tiny_network("vhred", scale=1.0, dropout=0.2)
        settings = SETTINGS.model_copy(update={"checkpoint_seconds": 0.0})
        trainer = SupervisedTrainer(network, settings, seed=1, folder=folder, report=report)
        return network, trainer.fit(train, valid), told

    whole, history, told = fit(tmp_path / "whole")
    # at an epoch's end the divergence is told
    assert [progress.kl is not None for progress in told] == ([False] * 5 + [True]) * 2
    with pytest.raises(Stopped):
        fit(tmp_path / "parts", stop=4)
    resumed, again, _ = fit(tmp_path / "parts")
    assert again == history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_another_way_of_training_is_refused(tmp_path: Path) -> None:
    train, valid = examples(8), examples(4, seed=1)
    for share in (0.25, 0.5):
        _, trainer = trainer_of(tmp_path, variational=VariationalSettings(word_dropout=share))
        if share == 0.25:
            trainer.fit(train, valid)
            continue
        with pytest.raises(CheckpointError, match="with other variational"):
            trainer.fit(train, valid)


def test_other_networks_do_not_look_at_it(tmp_path: Path) -> None:
    train, valid = examples(8), examples(4, seed=1)
    made = []
    for share in (0.0, 0.9):
        network = tiny_network("hred", scale=1.0)
        trainer = SupervisedTrainer(
            network,
            SETTINGS,
            seed=1,
            folder=tmp_path / str(share),
            variational=VariationalSettings(word_dropout=share),
        )
        made.append((trainer.fit(train, valid), list(network.parameters())))
    assert made[0][0] == made[1][0]
    assert all(map(torch.equal, made[0][1], made[1][1]))
