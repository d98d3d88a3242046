"""Training finds what there is to find, and nothing where there is nothing.

A cipher is inverted for targets that were never seen; a chatbot that always says the same teaches
nothing; rewards for other targets unlearn what was known. All sources of chance are seeded.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from saywhat.chatbots.known import CipherChatbot, DeafChatbot
from saywhat.config import NetworkSettings, PretrainSettings, ReinforceSettings, SupervisedSettings
from saywhat.generators import Seq2SeqGenerator
from saywhat.interfaces import Chatbot, Similarity
from saywhat.ledger import Ledger
from saywhat.records import Pair, Target
from saywhat.rng import derive
from saywhat.similarity.embedding_average import EmbeddingAverage
from saywhat.similarity.exact import Exact
from saywhat.text.vectors import WordVectors
from saywhat.training.metrics import StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.pretrain import pretrain
from saywhat.training.reinforce import Reinforce
from saywhat.training.state import without_prefix

pytestmark = pytest.mark.timeout(600)  # each trains, on what may be a busy machine

WORDS: Final = ("apple", "bird", "cloud", "door", "earth", "fire", "glass", "house")
CIPHER: Final = CipherChatbot(WORDS, seed=3)
PRETRAIN: Final = PretrainSettings(
    network=NetworkSettings(vocabulary=20, embedding=32, hidden=64, layers=1, attention=True),
    training=SupervisedSettings(
        epochs=16, batch_size=16, learning_rate=0.005, dropout=0.0, max_tokens=4, precision="fp32"
    ),
)
REINFORCE: Final = ReinforceSettings(
    steps=400,
    targets=16,
    samples=8,
    learning_rate=0.003,
    human_share=0.0,
    kl=0.0,
    validate_every=50,
    validation_targets=60,
    patience=9,
    precision="fp32",
    checkpoint_seconds=1000,
)


def sentences() -> list[str]:
    """Give all 584 sentences of one to three words, shuffled."""
    texts = [" ".join(t) for n in (1, 2, 3) for t in itertools.product(WORDS, repeat=n)]
    derive(1, "sentences").shuffle(texts)
    return texts


HELD_OUT, KNOWN = sentences()[:80], sentences()[80:]


def success(generator: Seq2SeqGenerator, chatbot: Chatbot) -> float:
    """Give the share of held-out targets that the greedy query elicits word for word."""
    queries = [proposal[0] for proposal in generator.propose(HELD_OUT, 1)]
    hits = [r == t for r, t in zip(chatbot.reply(queries), HELD_OUT, strict=True)]
    return sum(hits) / len(hits)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pre-train on some of the cipher's pairs, too briefly to know it."""
    folder = tmp_path_factory.mktemp("pretrained")
    pairs = [Pair(query, CIPHER.reply([query])[0]) for query in KNOWN[:300]]
    generator, _ = pretrain(pairs, PRETRAIN, seed=1, folder=folder / "state")
    generator.save(folder / "generator", extra={})
    return folder / "generator"


@dataclasses.dataclass
class Trained:
    """A training's end: the weights of the last step, not of the best one."""

    generator: Seq2SeqGenerator
    told: list[StepMetrics]


def train(
    pretrained: Path, folder: Path, chatbot: Chatbot, similarity: Similarity, **change: object
) -> Trained:
    generator, told = Seq2SeqGenerator.load(pretrained), list[StepMetrics]()
    with Ledger(folder / "ledger.sqlite") as ledger:
        trainer = Reinforce(
            generator,
            ledger.chatbot(chatbot, phase="reinforce"),
            similarity,
            REINFORCE.model_copy(update=change),
            seed=1,
            folder=folder / "state",
            report=told.append,
        )
        replies = CIPHER.reply(KNOWN)
        trainer.train(TargetPool(replies), [Target(text) for text in KNOWN[-60:]])
    (last,) = (folder / "state").glob("state-*.safetensors")
    generator.load_state_dict(without_prefix("model.", load_file(last)))
    return Trained(generator, told)


def random_vectors() -> EmbeddingAverage:
    vectors = np.random.default_rng(1).normal(size=(len(WORDS), 16)).astype(np.float32)
    return EmbeddingAverage(WordVectors(WORDS, vectors))


class Shuffled:
    """A similarity to other targets than the ones that were asked for."""

    def __init__(self, inner: Similarity) -> None:
        self._inner, self._calls = inner, 0
        self.name, self.measurable = f"shuffled-{inner.name}", inner.measurable

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        self._calls += 1
        distinct = list(dict.fromkeys(targets))
        others = [*distinct]
        derive(self._calls, "shuffled").shuffle(others)
        stands_for = dict(zip(distinct, others, strict=True))
        return self._inner.score(replies, [stands_for[target] for target in targets])


def test_a_cipher_is_inverted_for_targets_never_seen(pretrained: Path, tmp_path: Path) -> None:
    before = success(Seq2SeqGenerator.load(pretrained), CIPHER)
    assert 0.1 < before < 0.9, "pre-training left too little, or nothing, to find"
    trained = train(pretrained, tmp_path, CIPHER, Exact())
    assert success(trained.generator, CIPHER) >= 0.95
    assert trained.told[-1].similarity > trained.told[0].similarity + 0.2


@pytest.mark.parametrize("similarity", [Exact(), random_vectors()], ids=["exact", "embedding"])
def test_a_deaf_chatbot_teaches_nothing(
    pretrained: Path, tmp_path: Path, similarity: Similarity
) -> None:
    # whatever is asked, a target's reward is the same: no sample is better than another
    chatbot = DeafChatbot("apple bird")
    trained = train(pretrained, tmp_path, chatbot, similarity, steps=40)
    null = sum(target == "apple bird" for target in HELD_OUT) / len(HELD_OUT)
    assert success(trained.generator, chatbot) == null
    untrained = Seq2SeqGenerator.load(pretrained).state_dict()
    for name, weight in trained.generator.state_dict().items():
        assert torch.equal(weight, untrained[name])
    assert all(metrics.distinct_replies <= 1 / 128 for metrics in trained.told)


def test_rewards_for_other_targets_unlearn_what_was_known(pretrained: Path, tmp_path: Path) -> None:
    before = success(Seq2SeqGenerator.load(pretrained), CIPHER)
    similarity = Shuffled(random_vectors())
    shuffled = train(pretrained, tmp_path, CIPHER, similarity, reward_cut=0.0, steps=150)
    # chance is one in 584
    assert success(shuffled.generator, CIPHER) < 0.1 < before
