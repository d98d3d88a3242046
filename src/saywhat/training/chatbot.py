"""Train the built-in kind of chatbot on conversations: query -> reply, supervised (Section 4.1)."""

from collections.abc import Iterable
from pathlib import Path

import torch

from saywhat.config import ChatbotSettings
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.pairs import held_out_pairs, training_pairs
from saywhat.corpora.splits import split
from saywhat.errors import SetupError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.records import Pair
from saywhat.rng import derive_seed
from saywhat.runs import provenance
from saywhat.text.vocabulary import Vocabulary
from saywhat.training.supervised import Example, Report, SupervisedTrainer, encode_examples


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
        SetupError: there are too few conversations.
    """
    parts = split(conversations)
    pairs = training_pairs(
        parts["chatbot"], max_words=settings.max_words, max_per_reply=settings.max_per_reply
    )
    valid = held_out_pairs(parts["validation"], max_words=settings.max_words)
    if not pairs or not valid:
        raise SetupError("The corpus has too few conversations to train and validate a chatbot on.")
    vocabulary = Vocabulary.build(
        (text for pair in pairs for text in (pair.query, pair.reply)),
        size=settings.network.vocabulary,
    )
    network, training = settings.network, settings.training
    size = Seq2SeqSize(
        len(vocabulary), network.embedding, network.hidden, network.layers, network.attention
    )
    rng = torch.Generator().manual_seed(derive_seed(seed, "chatbot"))
    model = Seq2Seq(size, dropout=training.dropout, rng=rng)
    trainer = SupervisedTrainer(model, training, seed=seed, folder=folder / "state", report=report)

    def examples(side: list[Pair]) -> list[Example]:
        texts = [(pair.query, pair.reply) for pair in side]
        return encode_examples(texts, vocabulary, max_tokens=training.max_tokens)

    history = trainer.fit(examples(pairs), examples(valid))
    extra = {
        "decoding": settings.decoding.model_dump(),
        "settings": settings.model_dump(),
        "seed": seed,
        "validation_perplexity": history,
        "training_pairs": len(pairs),
        "training_turns": sum(len(c.turns) for c in parts["chatbot"]),
        "provenance": provenance(),
    }
    save_model(
        model, vocabulary, folder / "model", kind="chatbot", extra=extra, dtype=torch.float16
    )
    return folder / "model"
