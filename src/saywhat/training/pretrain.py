"""Pre-train the generator on the reference corpus: reply -> query, supervised (Section 5.1.2)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from saywhat.config import NetworkSettings, PretrainSettings
from saywhat.errors import CorpusError, SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.make import make_network
from saywhat.records import Pair
from saywhat.rng import derive_seed, fraction
from saywhat.text.normalise import normalise
from saywhat.text.vocabulary import Vocabulary
from saywhat.training.examples import VALIDATION_SHARE, Example, encode_examples
from saywhat.training.supervised import Report, SupervisedTrainer


def check_network(network: NetworkSettings) -> None:
    """Make sure that a network can be a generator.

    Raises:
        SetupError: it has a latent variable, whose part of the loss only a chatbot is trained with.
    """
    if network.architecture == "vhred":
        raise SetupError(
            "pretrain.network.architecture: vhred is for chatbots, since a generator is trained "
            "without the loss of its latent variable; choose hred, which is the same without one."
        )


def balance(pairs: Iterable[Pair], max_per_reply: int) -> list[Pair]:
    """Keep ``max_per_reply`` pairs at most of the same (normalised) reply, by the query's hash."""
    ranked = sorted(pairs, key=lambda pair: fraction("balance", pair.query))
    counts: Counter[str] = Counter()
    kept = []
    for pair in ranked:
        key = normalise(pair.reply)
        counts[key] += 1
        if key and counts[key] <= max_per_reply:
            kept.append(pair)
    return kept


def split_by_reply(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Split into training and validation by the normalised *reply*: no reply is on both sides.

    A chatbot with a handful of replies may leave one side empty; then the split is by query, and
    validation can only say how well queries for known replies are learned.
    """
    train, valid = _split(pairs, lambda pair: pair.reply)
    return (train, valid) if train and valid else _split(pairs, lambda pair: pair.query)


def _split(pairs: Sequence[Pair], side: Callable[[Pair], str]) -> tuple[list[Pair], list[Pair]]:
    train: list[Pair] = []
    valid: list[Pair] = []
    for pair in pairs:
        held = fraction("pretrain-validation", normalise(side(pair))) < VALIDATION_SHARE
        (valid if held else train).append(pair)
    return train, valid


def pretrain(
    pairs: Sequence[Pair],
    settings: PretrainSettings,
    *,
    seed: int,
    folder: Path,
    report: Report = lambda _: None,
) -> tuple[Seq2SeqGenerator, list[float]]:
    """Make and train a generator.

    Args:
        pairs: the reference corpus, already without held-out targets.
        settings: of this stage.
        seed: the run's seed.
        folder: for checkpoints; training goes on from there.
        report: told of progress.

    Returns:
        The generator with the best validation perplexity, and that perplexity epoch by epoch.

    Raises:
        CorpusError: there are too few pairs to train and validate on.
        SetupError: the network cannot be a generator.
    """
    check_network(settings.network)
    train, valid = split_by_reply(balance(pairs, settings.max_per_reply)[: settings.max_pairs])
    if not train or not valid:
        raise CorpusError(
            "Pre-training needs pairs with different replies on both sides of its split; got "
            f"{len(pairs)} pairs ({len(train)} for training, {len(valid)} for validation). "
            "Collect more posts."
        )
    texts = (text for pair in train for text in (pair.reply, pair.query))
    vocabulary = Vocabulary.build(texts, size=settings.network.vocabulary)
    rng = torch.Generator().manual_seed(derive_seed(seed, "generator-weights"))
    model = make_network(
        settings.network, len(vocabulary), dropout=settings.training.dropout, rng=rng
    )
    limit = settings.training.max_tokens

    def examples(side: list[Pair]) -> list[Example]:
        texts = [(pair.reply, pair.query) for pair in side]
        return encode_examples(texts, vocabulary, max_tokens=limit)

    trainer = SupervisedTrainer(model, settings.training, seed=seed, folder=folder, report=report)
    history = trainer.fit(examples(train), examples(valid))
    return Seq2SeqGenerator(model, vocabulary, max_tokens=limit), history
