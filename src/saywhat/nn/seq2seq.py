"""Encoder-decoder LSTM: the paper's network for the chatbot (Section 3.1) and generator (3.2).

The decoder starts from the encoder's last state; attention is a switch, and so is the cell: a GRU
(Cho et al., 2014) in place of the LSTM. Departures from the paper:

1. The encoder has no bias terms and its padding is on the left and enters as zeros, so that padded
   steps keep the state at exactly zero. A reply then does not depend on what else is in the batch,
   and the fused kernel can be used.
2. Input and output embeddings are one matrix, reached through a projection (Press and Wolf, 2017):
   it halves the file.
3. ``null_memory`` gives the *null context* (a zero state), for which training with
   ``context_dropout`` makes the decoder a language model of replies. Anti-LM decoding (Li et al.,
   2016) uses it.

Axes: ``batch``, ``source`` (encoder time), ``time`` (decoder time), ``vocab``, ``hidden``,
``layers``.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.encoder_decoder import EncoderDecoder, embed_source, regrouped
from saywhat.nn.padding import left_pad
from saywhat.nn.recurrent import run_gru, run_lstm, uniform_
from saywhat.text.vocabulary import PAD


@dataclasses.dataclass(frozen=True, slots=True)
class Seq2SeqSize:
    """What determines the shapes of a ``Seq2Seq``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of each recurrent layer.
        layers: recurrent layers of the encoder and of the decoder.
        attention: whether the decoder attends to the encoder's outputs.
        cell: of the recurrent layers.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    attention: bool
    cell: Literal["lstm", "gru"] = "lstm"


@dataclasses.dataclass(frozen=True, slots=True)
class RecurrentMemory:
    """What the decoder knows of the source.

    Rows that share a source (samples or hypotheses of one target) stand together, and share its
    encoder outputs: ``batch`` is a multiple of ``sources``.

    Attributes:
        hidden: *Shape:* (layers, batch, hidden).
        cell: of an LSTM; a GRU has none, and 0 units here. *Shape:* (layers, batch, cell).
        outputs: top-layer encoder outputs, *Shape:* (sources, source, hidden).
        mask: true at real source tokens, *Shape:* (sources, source).
    """

    hidden: Float[Tensor, "layers batch hidden"]
    cell: Float[Tensor, "layers batch cell"]
    outputs: Float[Tensor, "sources source hidden"]
    mask: Bool[Tensor, "sources source"]

    @property
    def rows(self) -> int:
        """See ``Memory``."""
        return self.hidden.shape[1]

    def select(self, rows: Int[Tensor, " rows"]) -> "RecurrentMemory":
        """See ``Memory``."""
        outputs, mask = self.outputs, self.mask
        owners = regrouped(rows, batch=self.rows, sources=len(outputs))
        if owners is not None:
            outputs, mask = outputs[owners], mask[owners]
        return RecurrentMemory(self.hidden[:, rows], self.cell[:, rows], outputs, mask)


@final
class Seq2Seq(EncoderDecoder[RecurrentMemory]):
    """The recurrent encoder-decoder network.

    Args:
        size: shapes.
        dropout: between layers and on embeddings and features, in training mode only.
        rng: source of the initial weights (uniform in [-0.08, 0.08], Sutskever et al., 2014).

    Example:
        >>> size = Seq2SeqSize(vocabulary=9, embedding=4, hidden=5, layers=1, attention=False)
        >>> model = Seq2Seq(size, dropout=0.0, rng=torch.Generator())
        >>> logits, _ = model.decode(torch.tensor([[1, 4]]), model.encode(model.pad([[5, 6, 2]])))
        >>> tuple(logits.shape)
        (1, 2, 9)
    """

    size: Seq2SeqSize

    def __init__(self, size: Seq2SeqSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size = size
        between = dropout if size.layers > 1 else 0.0
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        cell = nn.LSTM if size.cell == "lstm" else nn.GRU
        self.encoder = cell(
            size.embedding, size.hidden, size.layers, bias=False, batch_first=True, dropout=between
        )
        self.decoder = cell(
            size.embedding, size.hidden, size.layers, batch_first=True, dropout=between
        )
        self.attend = nn.Linear(size.hidden, size.hidden, bias=False) if size.attention else None
        features = 2 * size.hidden if size.attention else size.hidden
        self.project = nn.Linear(features, size.embedding)
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        self.dropout = nn.Dropout(dropout)
        uniform_(self, rng)

    @property
    @override
    def architecture(self) -> str:
        return self.size.cell

    @override
    def pad(self, sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
        return left_pad(sources, width=width)

    @override
    def encode(self, source: Int[Tensor, "batch source"]) -> RecurrentMemory:
        embedded = self.dropout(embed_source(self.embedding, source))
        outputs, hidden, cell = _split(*self.encoder(embedded))
        return RecurrentMemory(hidden, cell, outputs, source != PAD)

    @override
    def null_memory(self, rows: int) -> RecurrentMemory:
        zeros = self.output_bias.new_zeros
        cell = self.size.hidden if self.size.cell == "lstm" else 0
        return RecurrentMemory(
            zeros(self.size.layers, rows, self.size.hidden),
            zeros(self.size.layers, rows, cell),
            zeros(rows, 1, self.size.hidden),
            torch.ones(rows, 1, dtype=torch.bool, device=self.output_bias.device),
        )

    @override
    def forget(self, memory: RecurrentMemory, rows: Bool[Tensor, " batch"]) -> RecurrentMemory:
        keep = (~rows).to(memory.hidden.dtype)
        return RecurrentMemory(
            memory.hidden * keep[None, :, None],
            memory.cell * keep[None, :, None],
            memory.outputs * keep[:, None, None],
            memory.mask,
        )

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: RecurrentMemory
    ) -> tuple[Float[Tensor, "batch time embedding"], RecurrentMemory]:
        embedded = self.dropout(self.embedding(inputs))
        outputs, hidden, cell = self._run(embedded, memory)
        projected = torch.tanh(self.project(self._with_context(outputs, memory)))
        return self.dropout(projected), RecurrentMemory(hidden, cell, memory.outputs, memory.mask)

    def _run(
        self, inputs: Float[Tensor, "batch time embedding"], memory: RecurrentMemory
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the decoder's layers; gives outputs, hidden and cell."""
        if isinstance(self.decoder, nn.LSTM):
            return run_lstm(self.decoder, inputs, memory.hidden, memory.cell)
        return *run_gru(self.decoder, inputs, memory.hidden), memory.cell

    def _with_context(
        self, outputs: Float[Tensor, "batch time hidden"], memory: RecurrentMemory
    ) -> Float[Tensor, "batch time features"]:
        # "general" attention of Luong et al., 2015, without input feeding: all steps run at once
        if self.attend is None:
            return outputs
        batch, time, hidden = outputs.shape
        sources = len(memory.outputs)
        # (B, T, H) -> (N, B/N * T, H): rows of one source attend to its outputs together
        grouped = outputs.reshape(sources, batch // sources * time, hidden)
        # (N, K, H) x (N, H, S) -> (N, K, S)
        scores = self.attend(grouped) @ memory.outputs.transpose(1, 2)
        scores = scores.masked_fill(~memory.mask[:, None, :], float("-inf"))
        context = torch.softmax(scores, dim=-1) @ memory.outputs
        return torch.cat([outputs, context.reshape(batch, time, hidden)], dim=-1)


def _split(outputs: Tensor, state: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Give outputs, hidden and cell of either kind of layer."""
    return (outputs, state, state[..., :0]) if isinstance(state, Tensor) else (outputs, *state)
