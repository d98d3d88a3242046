"""Tiny generators with random weights, and a server: the subjects of many a test."""

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.text.vocabulary import Vocabulary
from tests.servers import Server

# a job that a shell began in the background inherits an ignored Ctrl-C, and so would its children
signal.signal(signal.SIGINT, signal.default_int_handler)

MakeNetwork = Callable[..., Seq2Seq]
MakeGenerator = Callable[..., Seq2SeqGenerator]


@pytest.fixture
def make_network() -> MakeNetwork:
    """Give a maker of small networks whose weights are large enough to have opinions."""

    def make(
        vocabulary: int = 12,
        *,
        attention: bool = True,
        layers: int = 2,
        hidden: int = 6,
        embedding: int = 5,
        dropout: float = 0.0,
        scale: float = 8.0,
        seed: int = 0,
    ) -> Seq2Seq:
        size = Seq2SeqSize(vocabulary, embedding, hidden, layers, attention)
        network = Seq2Seq(size, dropout=dropout, rng=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(scale)
        return network.eval()

    return make


@pytest.fixture
def make_generator(make_network: MakeNetwork) -> MakeGenerator:
    """Give a maker of small generators over given words."""

    def make(
        words: Sequence[str] = ("a", "b", "c"), *, max_tokens: int = 3, **network: object
    ) -> Seq2SeqGenerator:
        vocabulary = Vocabulary(words)
        made = make_network(len(vocabulary), **network)
        return Seq2SeqGenerator(made, vocabulary, max_tokens=max_tokens)

    return make


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve echoes; a test that wants other answers sets the handler."""
    with Server() as server:
        yield server
