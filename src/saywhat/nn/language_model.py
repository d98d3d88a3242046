"""A recurrent language model: a decoder that is told nothing.

It is an encoder-decoder whose every source is the null context, so that what trains and decodes
those trains and decodes it too.
"""

import dataclasses
from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import left_pad
from saywhat.nn.recurrent import run_lstm, uniform_
from saywhat.text.vocabulary import PAD


@dataclasses.dataclass(frozen=True, slots=True)
class LanguageModelSize:
    """What determines the shapes of a ``LanguageModel``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of each LSTM layer.
        layers: how many.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int


@dataclasses.dataclass(frozen=True, slots=True)
class TextState:
    """What the model knows: the text so far.

    Attributes:
        hidden: *Shape:* (layers, batch, hidden).
        cell: *Shape:* (layers, batch, hidden).
    """

    hidden: Float[Tensor, "layers batch hidden"]
    cell: Float[Tensor, "layers batch hidden"]

    @property
    def rows(self) -> int:
        """See ``Memory``."""
        return self.hidden.shape[1]

    def select(self, rows: Int[Tensor, " rows"]) -> "TextState":
        """See ``Memory``."""
        return TextState(self.hidden[:, rows], self.cell[:, rows])


@final
class LanguageModel(EncoderDecoder[TextState]):
    """An LSTM over words; input and output embeddings are one matrix.

    Args:
        size: shapes.
        dropout: between layers and on embeddings and features, in training mode only.
        rng: source of the initial weights.

    Example:
        >>> size = LanguageModelSize(vocabulary=9, embedding=4, hidden=5, layers=1)
        >>> model = LanguageModel(size, dropout=0.0, rng=torch.Generator())
        >>> logits, _ = model.decode(torch.tensor([[1, 4]]), model.null_memory(1))
        >>> tuple(logits.shape)
        (1, 2, 9)
    """

    def __init__(self, size: LanguageModelSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size = size
        between = dropout if size.layers > 1 else 0.0
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        self.decoder = nn.LSTM(
            size.embedding, size.hidden, size.layers, batch_first=True, dropout=between
        )
        self.project = nn.Linear(size.hidden, size.embedding)
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        self.dropout = nn.Dropout(dropout)
        uniform_(self, rng)

    @property
    @override
    def architecture(self) -> str:
        return "language-model"

    @override
    def pad(self, sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
        return left_pad(sources, width=width)

    @override
    def encode(self, source: Int[Tensor, "batch source"]) -> TextState:
        return self.null_memory(len(source))

    @override
    def null_memory(self, rows: int) -> TextState:
        layers, hidden = self.decoder.num_layers, self.decoder.hidden_size
        zeros = self.output_bias.new_zeros(layers, rows, hidden)
        return TextState(zeros, zeros)

    @override
    def forget(self, memory: TextState, rows: Bool[Tensor, " batch"]) -> TextState:
        return memory

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: TextState
    ) -> tuple[Float[Tensor, "batch time embedding"], TextState]:
        embedded = self.dropout(self.embedding(inputs))
        outputs, hidden, cell = run_lstm(self.decoder, embedded, memory.hidden, memory.cell)
        return self.dropout(torch.tanh(self.project(outputs))), TextState(hidden, cell)
