"""Supervised training: it learns, it resumes bit for bit, and it follows its schedules."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.config import SupervisedSettings
from saywhat.errors import CheckpointError, CorpusError, SetupError
from saywhat.nn.seq2seq import Seq2Seq
from saywhat.rng import derive
from saywhat.text.vocabulary import EOS, PAD, Vocabulary
from saywhat.training.examples import Example, batches, encode_examples
from saywhat.training.losses import cross_entropy
from saywhat.training.supervised import Progress, SupervisedTrainer, perplexity

MakeNetwork = Callable[..., Seq2Seq]
TINY = SupervisedSettings(
    epochs=3, batch_size=4, dropout=0.2, context_dropout=0.3, precision="fp32", patience=9
)


def pairs(count: int, seed: int = 0) -> list[Example]:
    """Give random pairs of ids in a vocabulary of 12."""
    rng = derive(seed, "pairs")

    def text() -> list[int]:
        return [rng.randrange(4, 12) for _ in range(rng.randint(1, 5))] + [EOS]

    return [(text(), text()) for _ in range(count)]


def weights(model: Seq2Seq) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def test_it_overfits_twenty_pairs(make_network: MakeNetwork, tmp_path: Path) -> None:
    model = make_network(hidden=48, embedding=32, layers=1, scale=1.0)
    settings = TINY.model_copy(
        update={"epochs": 90, "batch_size": 20, "dropout": 0.0, "context_dropout": 0.0}
        | {"learning_rate": 0.03, "patience": 90, "decay": 1.0}
    )
    data = [
        ([4 + i % 8, 4 + i // 8, *source], label) for i, (source, label) in enumerate(pairs(20))
    ]
    history = SupervisedTrainer(model, settings, seed=1, folder=tmp_path).fit(data, data)
    # a perplexity of 1.05 is 0.05 nats a token; the vocabulary's is 12
    assert min(history) < 1.05
    assert perplexity(model, data) == min(history)
    assert history[0] > 5


class Stopped(Exception):  # noqa: N818
    """Stands for a kill."""


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("after", [1, 4, 6, 7])
def test_an_interrupted_training_ends_with_the_same_bits(
    make_network: MakeNetwork, tmp_path: Path, optimizer: str, after: int
) -> None:
    # 18 pairs in batches of 4: 5 batches an epoch and one report at its end, so that the stops are
    # in the first epoch, at its end (before the state of it is saved) and in the second
    settings = TINY.model_copy(update={"optimizer": optimizer, "checkpoint_seconds": 0.0})
    train, valid = pairs(18), pairs(6, seed=1)

    def fit(folder: Path, stop: int | None = None) -> tuple[Seq2Seq, list[float]]:
        told: list[Progress] = []

        def report(progress: Progress) -> None:
            told.append(progress)
            if len(told) == stop:
                raise Stopped

        model = make_network(dropout=0.2, scale=1.0)
        trainer = SupervisedTrainer(model, settings, seed=1, folder=folder, report=report)
        return model, trainer.fit(train, valid)

    whole, history = fit(tmp_path / "whole")
    with pytest.raises(Stopped):
        fit(tmp_path / "parts", stop=after)
    resumed, again = fit(tmp_path / "parts")
    assert again == history
    assert all(map(torch.equal, weights(resumed), weights(whole)))
    # and once more, when all is done: nothing is trained, the same weights come back
    done, once_more = fit(tmp_path / "parts")
    assert once_more == history
    assert all(map(torch.equal, weights(done), weights(whole)))


def test_training_leaves_the_global_random_source_alone(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    model = make_network(dropout=0.2)
    before = torch.random.get_rng_state()
    SupervisedTrainer(model, TINY, seed=1, folder=tmp_path).fit(pairs(8), pairs(4))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "word"), [("seed", "seed"), ("settings", "settings"), ("data", "data")]
)
def test_the_state_of_another_training_is_refused(
    make_network: MakeNetwork, tmp_path: Path, change: str, word: str
) -> None:
    SupervisedTrainer(make_network(), TINY, seed=1, folder=tmp_path).fit(pairs(8), pairs(4))
    settings = TINY.model_copy(update={"clip": 0.5}) if change == "settings" else TINY
    trainer = SupervisedTrainer(
        make_network(), settings, seed=2 if change == "seed" else 1, folder=tmp_path
    )
    other = pairs(8, seed=5) if change == "data" else pairs(8)
    with pytest.raises(CheckpointError, match=word):
        trainer.fit(other, pairs(4))


def test_another_network_is_refused(make_network: MakeNetwork, tmp_path: Path) -> None:
    SupervisedTrainer(make_network(), TINY, seed=1, folder=tmp_path).fit(pairs(8), pairs(4))
    with pytest.raises(CheckpointError, match="with other network"):
        SupervisedTrainer(make_network(hidden=7), TINY, seed=1, folder=tmp_path).fit(
            pairs(8), pairs(4)
        )


def test_context_dropout_teaches_the_null_context(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    # the reply is one of 8 words, told by the source alone: without a source a language model of
    # replies can only say that each has 1/8, then the end: (ln 8 + 0) / 2 = 1.04 nats a token
    data = [([word, EOS], [word, EOS]) for word in range(4, 12)] * 3
    settings = TINY.model_copy(
        update={"epochs": 25, "learning_rate": 0.03, "dropout": 0.0, "decay": 1.0, "patience": 25}
    )

    def surprise(context_dropout: float) -> float:
        model = make_network(hidden=16, embedding=16, layers=1, scale=1.0)
        stage = settings.model_copy(update={"context_dropout": context_dropout})
        SupervisedTrainer(model, stage, seed=1, folder=tmp_path / str(context_dropout)).fit(
            data, data
        )
        assert perplexity(model, data) < 2, "the source was not learned"
        inputs, labels = torch.tensor([[1, word] for word in range(4, 12)]), data[:8]
        logits, _ = model.decode(inputs, model.null_memory(8))
        wanted = torch.tensor([label for _, label in labels])
        return float(cross_entropy(logits, wanted).detach())

    assert surprise(0.5) == pytest.approx(1.04, abs=0.15)
    assert surprise(0.0) > 1.4


def rates(told: list[Progress]) -> list[float]:
    return [progress.learning_rate for progress in told if progress.valid_perplexity is not None]


def test_sgd_decays_when_validation_stalls(make_network: MakeNetwork, tmp_path: Path) -> None:
    # the steps are too small to change a single-precision weight: the first epoch counts as the
    # best, each later one as a stall, and one stall more than the patience ends it
    told: list[Progress] = []
    settings = TINY.model_copy(
        update={"optimizer": "sgd", "schedule": "stall", "learning_rate": 1e-30}
        | {"decay": 0.25, "epochs": 9, "patience": 2}
    )
    model = make_network()
    trainer = SupervisedTrainer(model, settings, seed=1, folder=tmp_path, report=told.append)
    history = trainer.fit(pairs(8), pairs(4))
    assert len(set(history)) == 1
    assert len(history) == 4
    assert rates(told) == pytest.approx([1e-30, 1e-30 / 4, 1e-30 / 16, 1e-30 / 64])


def test_the_best_epoch_is_kept_not_the_last(make_network: MakeNetwork, tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"learning_rate": 0.2, "epochs": 6, "schedule": "stall"})
    model, valid = make_network(scale=1.0), pairs(6, seed=1)
    trainer = SupervisedTrainer(model, settings, seed=1, folder=tmp_path)
    history = trainer.fit(pairs(18), valid)
    assert history[-1] > min(history), "it did not overfit: the test shows nothing"
    assert perplexity(model, valid) == min(history)
    assert not model.training


def test_the_gradient_is_clipped(make_network: MakeNetwork, tmp_path: Path) -> None:
    # plain SGD with rate 1 and one batch: the step is as long as the clipped gradient
    settings = TINY.model_copy(
        update={"optimizer": "sgd", "schedule": "stall", "learning_rate": 1.0, "clip": 1e-3}
        | {"epochs": 1, "batch_size": 8, "dropout": 0.0, "context_dropout": 0.0}
    )
    model = make_network()
    before = weights(model)
    SupervisedTrainer(model, settings, seed=1, folder=tmp_path).fit(pairs(8), pairs(4))
    length = math.sqrt(
        sum(float((a - b).square().sum()) for a, b in zip(weights(model), before, strict=True))
    )
    assert length == pytest.approx(1e-3, rel=0.01)


def test_a_training_that_diverges_is_told(make_network: MakeNetwork, tmp_path: Path) -> None:
    model = make_network()
    with torch.no_grad():
        model.output_bias.fill_(math.nan)
    with pytest.raises(SetupError, match=r"lower training\.learning_rate"):
        SupervisedTrainer(model, TINY, seed=1, folder=tmp_path).fit(pairs(8), pairs(4))


@pytest.mark.parametrize(("train", "valid"), [(0, 4), (4, 0)])
def test_nothing_to_learn_from_is_told(
    make_network: MakeNetwork, tmp_path: Path, train: int, valid: int
) -> None:
    with pytest.raises(CorpusError, match=f"got {train} to train on and {valid}"):
        SupervisedTrainer(make_network(), TINY, seed=1, folder=tmp_path).fit(
            pairs(train), pairs(valid)
        )


def test_batches_hold_each_example_once_padded_on_the_right_sides() -> None:
    examples = pairs(23)
    seen = []
    for source, labels in batches(examples, 4, derive(1, "batches")):
        assert len(source) <= 4
        for left, right in zip(source.tolist(), labels.tolist(), strict=True):
            text, label = ([i for i in ids if i != PAD] for ids in (left, right))
            assert left == [PAD] * (len(left) - len(text)) + text
            assert right == label + [PAD] * (len(right) - len(label))
            seen.append((text, label))
    assert sorted(seen) == sorted(examples)


def test_perplexity_by_hand(make_network: MakeNetwork) -> None:
    # all logits equal: every token has probability 1/12 whatever the batch
    model = make_network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    for size in (1, 5, 256):
        assert perplexity(model, pairs(9), batch_size=size) == pytest.approx(12.0, rel=1e-5)


def test_examples_without_words_are_left_out() -> None:
    vocabulary = Vocabulary(["hi", "you"])
    texts = [("hi", "you"), ("  ", "you"), ("hi", ""), ("hi what you hi", "you")]
    found = encode_examples(texts, vocabulary, max_tokens=3)
    assert found == [([4, EOS], [5, EOS]), ([4, 3, 5, EOS], [5, EOS])]
