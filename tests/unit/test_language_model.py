"""The language model of queries: the network, its pre-training, its distribution."""

import itertools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.config import LanguageModelSettings, SupervisedSettings
from saywhat.errors import CheckpointError, CorpusError
from saywhat.generators.language_model import QueryModel
from saywhat.nn.language_model import LanguageModel, LanguageModelSize
from saywhat.nn.padding import right_pad
from saywhat.text.vocabulary import EOS, UNK, Vocabulary
from saywhat.training.language_model import cached_language_model, pretrain_language_model

SETTINGS = LanguageModelSettings(
    embedding=16,
    hidden=24,
    training=SupervisedSettings(
        epochs=20, batch_size=8, learning_rate=0.02, dropout=0.0, max_tokens=4, precision="fp32"
    ),
)
# each place has words of its own
TEXTS = [f"{first} {second} {third}" for first in "ab" for second in "cd" for third in "efghijkl"]


def make(words: str = "a b c", *, max_tokens: int = 3, seed: int = 0) -> QueryModel:
    vocabulary = Vocabulary(words.split())
    size = LanguageModelSize(len(vocabulary), 5, 6, 2)
    network = LanguageModel(size, dropout=0.5, rng=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(8.0)
    network.eval().requires_grad_(requires_grad=False)
    return QueryModel(network, vocabulary, max_tokens=max_tokens)


def everything(model: QueryModel) -> torch.Tensor:
    """Give every query of one to three words out of three, as ids: 3 + 9 + 27."""
    words = range(UNK + 1, len(model.vocabulary))
    return right_pad(
        [[*text, EOS] for n in (1, 2, 3) for text in itertools.product(words, repeat=n)]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_probabilities_of_all_queries_sum_to_one(seed: int) -> None:
    model = make(seed=seed)
    assert float(model.log_prob(everything(model)).exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_samples_come_as_often_as_their_probability_says() -> None:
    model, n = make(), 4000
    labels = everything(model)
    expected = dict(
        zip(
            [model.vocabulary.decode(row) for row in labels.tolist()],
            model.log_prob(labels).exp().tolist(),
            strict=True,
        )
    )
    counts = Counter(model.sample(n, torch.Generator().manual_seed(1))[0])
    for text, p in expected.items():
        # five standard deviations: 39 queries, false alarm below 1e-4
        assert abs(counts[text] / n - p) <= 5 * math.sqrt(p * (1 - p) / n) + 1e-9


def test_one_step_at_a_time_is_all_steps_at_once() -> None:
    network = make().network
    inputs = torch.tensor([[1, 4, 5], [1, 6, 6]])
    logits, _ = network.decode(inputs, network.null_memory(2))
    memory, steps = network.null_memory(2), []
    with torch.no_grad():
        for time in range(3):
            step, memory = network.decode(inputs[:, time : time + 1], memory)
            steps.append(step)
    torch.testing.assert_close(torch.cat(steps, 1), logits, rtol=0, atol=1e-5)


def test_no_source_tells_it_anything() -> None:
    network = make().network
    memory = network.encode(network.pad([[4, EOS], [5, 6, EOS]]))
    assert memory.rows == 2
    assert not memory.hidden.any()
    assert network.forget(memory, torch.tensor([True, False])) is memory


def test_a_copy_is_trained_alone_and_without_dropout() -> None:
    model = make()
    copied = model.copy()
    assert copied.network.dropout.p == 0.0
    assert copied.network.decoder.dropout == 0.0
    assert model.network.dropout.p == 0.5
    with torch.no_grad():
        copied.network.output_bias.add_(1.0)
    assert not torch.equal(copied.network.output_bias, model.network.output_bias)


def test_it_comes_back_from_disk_bit_for_bit(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path, extra={"seed": 1})
    back = QueryModel.load(tmp_path)
    assert back.max_tokens == model.max_tokens
    back.network.requires_grad_(requires_grad=False)  # another kernel computes with gradients
    assert torch.equal(back.log_prob(everything(back)), model.log_prob(everything(model)))


def test_what_is_no_language_model_is_told(tmp_path: Path, make_generator: Callable) -> None:
    make_generator().save(tmp_path / "generator", extra={})
    with pytest.raises(CheckpointError, match="language-model"):
        QueryModel.load(tmp_path / "generator")
    with pytest.raises(CheckpointError, match="7 token ids, the vocabulary 5"):
        QueryModel(make().network, Vocabulary(["a"]), max_tokens=3)


def test_pretraining_learns_what_follows_what(tmp_path: Path) -> None:
    model, history = pretrain_language_model(TEXTS, SETTINGS, seed=1, folder=tmp_path)
    assert min(history) < history[0] / 1.5
    rows = [model.vocabulary.encode(text, max_tokens=4) for text in ("a c e", "e c a")]
    likely, unlikely = (model.log_prob(right_pad(rows)) / len(rows[0])).tolist()
    assert likely > unlikely + 1.0


def test_it_is_trained_once_for_the_same_texts(tmp_path: Path) -> None:
    told: list[float] = []

    def train(texts: list[str], seed: int = 1) -> QueryModel:
        return cached_language_model(
            texts, SETTINGS, seed=seed, folder=tmp_path, report=lambda p: told.append(p.fraction)
        )

    first = train(TEXTS)
    epochs = len(told)
    again = train(TEXTS)
    assert len(told) == epochs > 0
    assert torch.equal(again.network.output_bias.detach(), first.network.output_bias.detach())
    train(TEXTS, seed=2)
    train(TEXTS[:9])
    assert len(told) > epochs
    assert len(list(tmp_path.glob("*/model.json"))) == 3


def test_texts_without_words_are_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="got 2 texts"):
        pretrain_language_model(["?!", ""], SETTINGS, seed=1, folder=tmp_path)
