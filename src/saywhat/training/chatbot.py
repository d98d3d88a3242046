"""Train the built-in kind of chatbot on conversations: query -> reply, supervised (Section 4.1).

Its embeddings may start from word vectors (``embeddings``), as the paper's do from GloVe. The rows
are taken as they are, without scaling, and go on being trained; so does ParlAI, with whose tools
the paper's chatbot was made (``--embedding-type glove``). Special symbols, and words that the file
does not have, keep the random start that they have without it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from saywhat.config import ChatbotSettings
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.pairs import held_out_exchanges, training_exchanges
from saywhat.corpora.splits import split
from saywhat.errors import SetupError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.encoder_decoder import EncoderDecoder, Variational
from saywhat.nn.make import MULTI_TURN, make_network
from saywhat.rng import derive_seed
from saywhat.runs import provenance
from saywhat.text.vectors import WordVectors, check_vectors, load_vectors
from saywhat.text.vocabulary import SPECIALS, Vocabulary
from saywhat.training.examples import encode_exchanges
from saywhat.training.supervised import Report, SupervisedTrainer
from saywhat.training.variational import mean_kl


def train_chatbot(
    settings: ChatbotSettings,
    conversations: Iterable[Conversation],
    *,
    seed: int,
    folder: Path,
    report: Report = lambda _: None,
) -> Path:
    """Train the built-in kind of chatbot (Section 4.1), from the folder's checkpoint if any.

    Args:
        settings: of its network, training and decoding.
        conversations: of people; its own share of them is trained on.
        seed: of everything that draws.
        folder: for checkpoints and the finished model.
        report: told of progress.

    Returns:
        The folder ``model`` in ``folder``: the chatbot's spec is ``seq2seq:`` and this path.

    Raises:
        SetupError: there are too few conversations, the network cannot read a context, or the
            vectors are missing or do not fit it.
    """
    network, training = settings.network, settings.training
    check_embeddings(settings)
    _check_context(settings)
    parts = split(conversations)
    turns = settings.context_turns if network.architecture in MULTI_TURN else 0
    exchanges = training_exchanges(
        parts["chatbot"],
        max_words=settings.max_words,
        max_per_reply=settings.max_per_reply,
        turns=turns,
    )
    valid = held_out_exchanges(parts["validation"], max_words=settings.max_words, turns=turns)
    if not exchanges or not valid:
        raise _too_few(parts, len(exchanges), len(valid))
    vocabulary = Vocabulary.build(
        (text for exchange in exchanges for text in (exchange.query, exchange.reply)),
        size=network.vocabulary,
    )
    rng = torch.Generator().manual_seed(derive_seed(seed, "chatbot"))
    model = make_network(network, len(vocabulary), dropout=training.dropout, rng=rng)
    origin = _start(model, vocabulary, settings.embeddings) if settings.embeddings else {}
    trainer = SupervisedTrainer(
        model,
        training,
        seed=seed,
        folder=folder / "state",
        report=report,
        variational=settings.variational,
        origin=origin,
    )
    examples, held_out = (
        encode_exchanges(side, vocabulary, max_tokens=training.max_tokens)
        for side in (exchanges, valid)
    )
    history = trainer.fit(examples, held_out)
    extra = {
        "decoding": settings.decoding.model_dump(),
        "settings": settings.model_dump(),
        "seed": seed,
        "validation_perplexity": history,
        "training_pairs": len(exchanges),
        "training_turns": sum(len(c.turns) for c in parts["chatbot"]),
        "provenance": provenance(),
        **origin,
    }
    if isinstance(model, Variational):
        extra["validation_kl"] = mean_kl(model, held_out)
    save_model(
        model, vocabulary, folder / "model", kind="chatbot", extra=extra, dtype=torch.float16
    )
    return folder / "model"


def _too_few(parts: Mapping[str, list[Conversation]], train: int, valid: int) -> SetupError:
    conversations = [each for part in parts.values() for each in part]
    turns = sum(len(conversation.turns) for conversation in conversations)
    return SetupError(
        "The corpus has too few conversations to train and validate a chatbot on: "
        f"{len(conversations):,} of {turns:,} turns in all gave {train:,} pairs to train on and "
        f"{valid:,} to validate on. Give more, or see that the file's form is what the end of its "
        "name says."
    )


def check_embeddings(settings: ChatbotSettings) -> None:
    """See that the vectors that the words start from are there, if any are wanted.

    Raises:
        SetupError: they are not.
    """
    if settings.embeddings is not None:
        check_vectors(settings.embeddings, without="--set chatbot_training.embeddings=null")


def _check_context(settings: ChatbotSettings) -> None:
    architecture = settings.network.architecture
    if settings.decoding.context and architecture not in MULTI_TURN:
        raise SetupError(
            f"decoding.context is for the architectures {', '.join(sorted(MULTI_TURN))}; "
            f"{architecture} reads the query alone. Leave it empty."
        )


def _start(model: EncoderDecoder[Any], vocabulary: Vocabulary, spec: str) -> dict[str, str]:
    """Let the words of a vocabulary start from their vectors; give the hash of those.

    Raises:
        SetupError: the vectors cannot be read, or are of another length than the embeddings.
    """
    vectors = load_vectors(spec, only=frozenset(vocabulary.words))
    if vectors.dim != model.size.embedding:
        raise SetupError(
            f"embeddings: {spec} has {vectors.dim} numbers a word, but network.embedding is "
            f"{model.size.embedding}; make them equal, or leave embeddings out."
        )
    set_embeddings(model, vocabulary, vectors)
    return {"embeddings": vectors.fingerprint}


@torch.no_grad()
def set_embeddings(model: EncoderDecoder[Any], vocabulary: Vocabulary, vectors: WordVectors) -> int:
    """Put the vectors of known words in the place of their embeddings; give how many there are.

    Example:
        >>> import numpy as np
        >>> from saywhat.config import NetworkSettings
        >>> words, sizes = Vocabulary(["hi", "you"]), NetworkSettings(embedding=2, hidden=3)
        >>> model = make_network(sizes, len(words), dropout=0.0, rng=torch.Generator())
        >>> set_embeddings(model, words, WordVectors(["you"], np.ones((1, 2), dtype=np.float32)))
        1
        >>> model.embedding.weight[-1].tolist()
        [1.0, 1.0]
    """
    found = torch.from_numpy(vectors.lookup(vocabulary.words))
    known = (found >= 0).nonzero()[:, 0]
    rows = torch.tensor(vectors.rows[found[known].numpy()])
    model.embedding.weight[known + len(SPECIALS)] = rows.to(model.embedding.weight.dtype)
    return len(known)
