"""Chatbots small enough that everything they can say is known, and opened."""

import itertools
from collections.abc import Callable, Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.config import DecodingSettings
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import left_pad
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.oracle import WhiteBox
from saywhat.text.vocabulary import BOS, EOS, PAD, Vocabulary

MakeNetwork = Callable[..., Seq2Seq]
WORDS = ("ant", "bee", "cat", "dog", "elk", "fox")
PLAIN = DecodingSettings(anti_lm_weight=0.0, max_source_tokens=3, max_reply_tokens=3)
ANTI = DecodingSettings(
    anti_lm_weight=0.7, anti_lm_steps=2, anti_lm_floor=0.05, max_source_tokens=3, max_reply_tokens=3
)
QUERIES = [" ".join(t) for n in (1, 2, 3) for t in itertools.product(WORDS, repeat=n)]


def opinionated(make_network: MakeNetwork, seed: int) -> Seq2Seq:
    """Make a network that says 8 to 35 things to the 258 queries."""
    network = make_network(
        10, attention=bool(seed % 2), hidden=24, embedding=16, scale=12.0, seed=seed
    )
    return network.requires_grad_(requires_grad=False)


def opened(
    make_network: MakeNetwork, decoding: DecodingSettings, seed: int
) -> tuple[WhiteBox, Seq2SeqChatbot]:
    """Make a chatbot of six words, and the same one opened."""
    vocabulary = Vocabulary(WORDS)
    network = opinionated(make_network, seed)
    chatbot = Seq2SeqChatbot(
        network, vocabulary, name="tiny", decoding=decoding.model_dump(), weights_hash=str(seed)
    )
    return WhiteBox(network, vocabulary, decoding), chatbot


@final
class Sums:
    """The memory of ``Linear``: a score for each word."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    @property
    def rows(self) -> int:
        return len(self.scores)

    def select(self, rows: Int[Tensor, " rows"]) -> "Sums":
        return Sums(self.scores[rows])


@final
class Linear(EncoderDecoder[Sums]):
    """Says "yes" if the sum of ``a . e_w`` over the query's words is positive, else "no"."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.size = Seq2SeqSize(words, 3, 1, 1, attention=False)
        rng = torch.Generator().manual_seed(3)
        self.embedding = nn.Embedding(words, 3, padding_idx=PAD)
        with torch.no_grad():
            self.embedding.weight.normal_(generator=rng)
        self.a = torch.tensor([1.0, -2.0, 0.5])

    @property
    @override
    def architecture(self) -> str:
        return "linear"

    @override
    def pad(self, sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
        return left_pad(sources, width=width)

    @override
    def encode(self, source: Int[Tensor, "batch source"]) -> Sums:
        embedded = self.embedding(source).masked_fill((source < 4)[..., None], 0.0)
        scores = torch.full((len(source), self.size.vocabulary), -1e4)
        scores[:, 5] = 0.0
        scores[:, 4] = (embedded @ self.a).sum(-1)
        return Sums(scores)

    @override
    def null_memory(self, rows: int) -> Sums:
        return Sums(torch.zeros(rows, self.size.vocabulary))

    @override
    def forget(self, memory: Sums, rows: Bool[Tensor, " batch"]) -> Sums:
        return memory

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: Sums
    ) -> tuple[Float[Tensor, "batch time vocab"], Sums]:
        self.embedding(inputs)  # the decoder's words pass through it too
        ends = torch.full_like(memory.scores, -1e4)
        ends[:, EOS] = 0.0
        first = (inputs == BOS)[..., None]
        return torch.where(first, memory.scores[:, None], ends[:, None]), memory

    @override
    def output(self, features: Float[Tensor, "*rows vocab"]) -> Float[Tensor, "*rows vocab"]:
        return features


def linear() -> WhiteBox:
    """Open one of 22 words."""
    vocabulary = Vocabulary(["yes", "no", *(f"w{chr(97 + n)}" for n in range(20))])
    return WhiteBox(Linear(len(vocabulary)), vocabulary, PLAIN)
