"""Examples of teacher forcing: ids of a source and of its labels, and batches of them.

A source is one text or several turns; each ends with the end symbol.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from jaxtyping import Int
from torch import Tensor

from saywhat.corpora.pairs import Exchange
from saywhat.nn.padding import left_pad, right_pad
from saywhat.text.vocabulary import EOS, Vocabulary

Example = tuple[list[int], list[int]]

VALIDATION_SHARE: Final = 0.03
"""Share of the texts that a policy is pre-trained on which are held out to validate it."""


def encode_examples(
    texts: Sequence[tuple[str, str]], vocabulary: Vocabulary, *, max_tokens: int
) -> list[Example]:
    """Turn (source text, label text) into ids; texts without any token are left out.

    Example:
        >>> encode_examples([("hi", "you"), ("hi", " ")], Vocabulary(["hi", "you"]), max_tokens=8)
        [([4, 2], [5, 2])]
    """
    exchanges = [Exchange((), source, label) for source, label in texts]
    return encode_exchanges(exchanges, vocabulary, max_tokens=max_tokens)


def encode_exchanges(
    exchanges: Sequence[Exchange], vocabulary: Vocabulary, *, max_tokens: int
) -> list[Example]:
    """Turn exchanges into ids; those without any token in query or reply are left out.

    Args:
        exchanges: of conversations.
        vocabulary: of both sides.
        max_tokens: kept of each turn.

    Example:
        >>> talk = [Exchange(("hi",), "hi", "you")]
        >>> encode_exchanges(talk, Vocabulary(["hi", "you"]), max_tokens=8)
        [([4, 2, 4, 2], [5, 2])]
    """
    examples = []
    for exchange in exchanges:
        query = vocabulary.encode(exchange.query, max_tokens=max_tokens)
        reply = vocabulary.encode(exchange.reply, max_tokens=max_tokens)
        if len(query) > 1 and len(reply) > 1:
            context = [vocabulary.encode(turn, max_tokens=max_tokens) for turn in exchange.context]
            examples.append(([token for turn in [*context, query] for token in turn], reply))
    return examples


def batches(
    examples: Sequence[Example],
    size: int,
    rng: random.Random,
    pad: Callable[[list[list[int]]], Tensor] = left_pad,
) -> Iterator[tuple[Int[Tensor, "batch *turns source"], Int[Tensor, "batch time"]]]:
    """Shuffle, then group examples of like length: little is padding, and batches come at random.

    Args:
        examples: the examples.
        size: of a batch.
        rng: source of the order.
        pad: stacks the sources of a batch.

    Yields:
        Padded sources and right-padded labels.
    """
    order = list(range(len(examples)))
    rng.shuffle(order)
    order.sort(key=lambda i: _shape(examples[i]))
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    rng.shuffle(chunks)
    for chunk in chunks:
        yield pad([examples[i][0] for i in chunk]), right_pad([examples[i][1] for i in chunk])


def _shape(example: Example) -> tuple[int, int, int]:
    """What should be alike in a batch: the number of turns, then the lengths."""
    source, labels = example
    return source.count(EOS), len(source) // 2, len(labels)
