"""Pre-training of a language model on ordinary queries, and the cache of what came of it."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from saywhat.config import LanguageModelSettings
from saywhat.errors import CorpusError
from saywhat.generators.language_model import QueryModel
from saywhat.nn.checkpoint import DESCRIPTION
from saywhat.nn.language_model import LanguageModel, LanguageModelSize
from saywhat.rng import derive_seed, fraction
from saywhat.text.normalise import normalise
from saywhat.text.vocabulary import EOS, Vocabulary
from saywhat.training.examples import VALIDATION_SHARE
from saywhat.training.supervised import Report, SupervisedTrainer


def pretrain_language_model(
    texts: Sequence[str],
    settings: LanguageModelSettings,
    *,
    seed: int,
    folder: Path,
    report: Report = lambda _: None,
) -> tuple[QueryModel, list[float]]:
    """Make and train a language model.

    Args:
        texts: ordinary queries; one that repeats counts once.
        settings: of the model and its training.
        seed: of weights, batches and dropout.
        folder: for checkpoints; training goes on from there.
        report: told of progress.

    Returns:
        The model with the best validation perplexity, and that perplexity epoch by epoch. A corpus
        too small to hold any text out is validated on itself.

    Raises:
        CorpusError: no text has a word.
    """
    distinct = list(dict.fromkeys(text for text in texts if normalise(text)))
    if not distinct:
        raise CorpusError(f"A language model needs texts with words; got {len(texts)} texts.")
    held = {t for t in distinct if fraction("language-model", normalise(t)) < VALIDATION_SHARE}
    train = [text for text in distinct if text not in held] or distinct
    valid = [text for text in distinct if text in held] or train
    vocabulary = Vocabulary.build(train, size=settings.vocabulary)
    size = LanguageModelSize(len(vocabulary), settings.embedding, settings.hidden, settings.layers)
    training = settings.training
    rng = torch.Generator().manual_seed(derive_seed(seed, "language-model-weights"))
    network = LanguageModel(size, dropout=training.dropout, rng=rng)
    trainer = SupervisedTrainer(network, training, seed=seed, folder=folder, report=report)
    limit = training.max_tokens
    history = trainer.fit(
        *(
            [([EOS], vocabulary.encode(text, max_tokens=limit)) for text in side]
            for side in (train, valid)
        )
    )
    return QueryModel(network, vocabulary, max_tokens=limit), history


def cached_language_model(
    texts: Sequence[str],
    settings: LanguageModelSettings,
    *,
    seed: int,
    folder: Path,
    report: Report = lambda _: None,
) -> QueryModel:
    """Give the language model of these texts; it is trained the first time only.

    Args:
        texts: ordinary queries.
        settings: of the model and its training.
        seed: of its training.
        folder: holds a folder for each model, named by texts, settings and seed.
        report: told of progress.

    Raises:
        CorpusError: no text has a word.
        CheckpointError: what is in the folder is damaged.
    """
    identity = json.dumps([list(texts), settings.model_dump(), seed])
    home = folder / hashlib.sha256(identity.encode()).hexdigest()[:16]
    if (home / DESCRIPTION).exists():
        return QueryModel.load(home)
    model, history = pretrain_language_model(
        texts, settings, seed=seed, folder=home / "state", report=report
    )
    extra = {"settings": settings.model_dump(), "seed": seed, "validation_perplexity": history}
    model.save(home, extra=extra)
    return model
