"""Train the built-in kind of chatbot on conversations: query -> reply, supervised (Section 4.1)."""

from collections.abc import Iterable
from pathlib import Path

import torch

from saywhat.config import ChatbotSettings
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.pairs import held_out_exchanges, training_exchanges
from saywhat.corpora.splits import split
from saywhat.errors import SetupError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.encoder_decoder import Variational
from saywhat.nn.make import MULTI_TURN, make_network
from saywhat.rng import derive_seed
from saywhat.runs import provenance
from saywhat.text.vocabulary import Vocabulary
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
        SetupError: there are too few conversations, or the network cannot read a context.
    """
    network, training = settings.network, settings.training
    if settings.decoding.context and network.architecture not in MULTI_TURN:
        raise SetupError(
            f"decoding.context is for the architectures {', '.join(sorted(MULTI_TURN))}; "
            f"{network.architecture} reads the query alone. Leave it empty."
        )
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
        raise SetupError("The corpus has too few conversations to train and validate a chatbot on.")
    vocabulary = Vocabulary.build(
        (text for exchange in exchanges for text in (exchange.query, exchange.reply)),
        size=network.vocabulary,
    )
    rng = torch.Generator().manual_seed(derive_seed(seed, "chatbot"))
    model = make_network(network, len(vocabulary), dropout=training.dropout, rng=rng)
    trainer = SupervisedTrainer(
        model,
        training,
        seed=seed,
        folder=folder / "state",
        report=report,
        variational=settings.variational,
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
    }
    if isinstance(model, Variational):
        extra["validation_kl"] = mean_kl(model, held_out)
    save_model(
        model, vocabulary, folder / "model", kind="chatbot", extra=extra, dtype=torch.float16
    )
    return folder / "model"
