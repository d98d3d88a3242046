"""Encoder-decoder LSTM: the paper's network for the chatbot (Section 3.1) and generator (3.2).

The decoder starts from the encoder's last state; attention is a switch. Departures from the paper:

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
from typing import Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from saywhat.text.vocabulary import BOS, PAD

_INIT_RANGE: Final = 0.08


@dataclasses.dataclass(frozen=True, slots=True)
class Seq2SeqSize:
    """What determines the shapes of a ``Seq2Seq``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of each LSTM layer.
        layers: LSTM layers of the encoder and of the decoder.
        attention: whether the decoder attends to the encoder's outputs.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    attention: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder knows of the source.

    Rows that share a source (samples or hypotheses of one target) stand together, and share its
    encoder outputs: ``batch`` is a multiple of ``sources``.

    Attributes:
        hidden: *Shape:* (layers, batch, hidden).
        cell: *Shape:* (layers, batch, hidden).
        outputs: top-layer encoder outputs, *Shape:* (sources, source, hidden).
        mask: true at real source tokens, *Shape:* (sources, source).
    """

    hidden: Float[Tensor, "layers batch hidden"]
    cell: Float[Tensor, "layers batch hidden"]
    outputs: Float[Tensor, "sources source hidden"]
    mask: Bool[Tensor, "sources source"]

    def select(self, rows: Int[Tensor, " rows"]) -> "Memory":
        """Give the memory of some rows, in that order; rows may repeat."""
        outputs, mask = self.outputs, self.mask
        sources, each = len(outputs), self.hidden.shape[1] // len(outputs)
        owners = rows // each
        grouped = torch.arange(sources).repeat_interleave(len(rows) // sources)
        if not torch.equal(owners, grouped):
            outputs, mask = outputs[owners], mask[owners]
        return Memory(self.hidden[:, rows], self.cell[:, rows], outputs, mask)


@final
class Seq2Seq(nn.Module):
    """The encoder-decoder network.

    Args:
        size: shapes.
        dropout: between layers and on embeddings and features, in training mode only.
        rng: source of the initial weights (uniform in [-0.08, 0.08], Sutskever et al., 2014).

    Example:
        >>> size = Seq2SeqSize(vocabulary=9, embedding=4, hidden=5, layers=1, attention=False)
        >>> model = Seq2Seq(size, dropout=0.0, rng=torch.Generator())
        >>> logits, _ = model.decode(right_pad([[1, 4]]), model.encode(left_pad([[5, 6, 2]])))
        >>> tuple(logits.shape)
        (1, 2, 9)
    """

    def __init__(self, size: Seq2SeqSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size = size
        between = dropout if size.layers > 1 else 0.0
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        self.encoder = nn.LSTM(
            size.embedding, size.hidden, size.layers, bias=False, batch_first=True, dropout=between
        )
        self.decoder = nn.LSTM(
            size.embedding, size.hidden, size.layers, batch_first=True, dropout=between
        )
        self.attend = nn.Linear(size.hidden, size.hidden, bias=False) if size.attention else None
        features = 2 * size.hidden if size.attention else size.hidden
        self.project = nn.Linear(features, size.embedding)
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-_INIT_RANGE, _INIT_RANGE, generator=rng)
            self.embedding.weight[PAD].zero_()
            self.output_bias.zero_()

    def set_dropout(self, dropout: float) -> None:
        """Change the dropout, between layers too."""
        self.dropout.p = dropout
        self.encoder.dropout = self.decoder.dropout = dropout if self.size.layers > 1 else 0.0

    def encode(self, source: Int[Tensor, "batch source"]) -> Memory:
        """Read left-padded source ids; padding leaves no trace in the memory."""
        mask = source != PAD
        # the padding row of the shared matrix is trained as an output: as an input it is zero here
        embedded = self.embedding(source).masked_fill(~mask[..., None], 0.0)
        outputs, (hidden, cell) = self.encoder(self.dropout(embedded))
        return Memory(hidden, cell, outputs, mask)

    def null_memory(self, rows: int) -> Memory:
        """Give the null context: the zero state, which tells the decoder nothing of a source."""
        shape = (self.size.layers, rows, self.size.hidden)
        zeros = self.output_bias.new_zeros
        return Memory(
            zeros(shape),
            zeros(shape),
            zeros(rows, 1, self.size.hidden),
            torch.ones(rows, 1, dtype=torch.bool, device=self.output_bias.device),
        )

    def forget(self, memory: Memory, rows: Bool[Tensor, " batch"]) -> Memory:
        """Replace the context of the chosen rows by the null context (context dropout)."""
        keep = (~rows).to(memory.hidden.dtype)
        return Memory(
            memory.hidden * keep[None, :, None],
            memory.cell * keep[None, :, None],
            memory.outputs * keep[:, None, None],
            memory.mask,
        )

    def decode(
        self, inputs: Int[Tensor, "batch time"], memory: Memory
    ) -> tuple[Float[Tensor, "batch time vocab"], Memory]:
        """Run the decoder over given tokens; gives logits and the memory to go on from."""
        features, memory = self.features(inputs, memory)
        # (B, T, E) -> (B, T, V)
        return self.output(features), memory

    def features(
        self, inputs: Int[Tensor, "batch time"], memory: Memory
    ) -> tuple[Float[Tensor, "batch time embedding"], Memory]:
        """Run the decoder up to the output layer, which costs more than all the rest."""
        embedded = self.dropout(self.embedding(inputs))
        if inputs.shape[1] == 1 and not torch.is_grad_enabled():
            outputs, hidden, cell = self._single_step(embedded[:, 0], memory)
        else:
            outputs, (hidden, cell) = self.decoder(embedded, (memory.hidden, memory.cell))
        projected = torch.tanh(self.project(self._with_context(outputs, memory)))
        return self.dropout(projected), Memory(hidden, cell, memory.outputs, memory.mask)

    def output(self, features: Float[Tensor, "*rows embedding"]) -> Float[Tensor, "*rows vocab"]:
        """Give the logits of features."""
        return functional.linear(features, self.embedding.weight, self.output_bias)

    def _single_step(
        self, inputs: Float[Tensor, "batch embedding"], memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor]:
        # the fused kernel packs its weights anew in each call, which costs more than one step
        hiddens, cells = [], []
        for layer in range(self.size.layers):
            weight_ih, weight_hh, bias_ih, bias_hh = self.decoder.all_weights[layer]
            gates = functional.linear(inputs, weight_ih, bias_ih)
            gates = gates + functional.linear(memory.hidden[layer], weight_hh, bias_hh)
            # (B, 4H) -> 4 x (B, H), in torch's order
            enter, keep, content, leave = gates.chunk(4, dim=-1)
            cell = keep.sigmoid() * memory.cell[layer] + enter.sigmoid() * content.tanh()
            inputs = leave.sigmoid() * cell.tanh()
            hiddens.append(inputs)
            cells.append(cell)
        return inputs[:, None], torch.stack(hiddens), torch.stack(cells)

    def _with_context(
        self, outputs: Float[Tensor, "batch time hidden"], memory: Memory
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


def left_pad(rows: list[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
    """Stack id lists of different length, padding on the left to the longest or to ``width``.

    Example:
        >>> left_pad([[5, 2], [2]]).tolist()
        [[5, 2], [0, 2]]
    """
    longest = max([width, *map(len, rows)])
    padded = [[PAD] * (longest - len(row)) + row for row in rows]
    return torch.tensor(padded, dtype=torch.long).reshape(len(rows), longest)


def right_pad(rows: list[list[int]]) -> Int[Tensor, "batch time"]:
    """Stack id lists of different length, padding on the right.

    Example:
        >>> right_pad([[5, 2], [2]]).tolist()
        [[5, 2], [2, 0]]
    """
    longest = max(map(len, rows), default=0)
    padded = [row + [PAD] * (longest - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.long).reshape(len(rows), longest)


def shift_right(labels: Int[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
    """Give the decoder's inputs: the begin symbol, then the labels but the last.

    Example:
        >>> shift_right(torch.tensor([[5, 6, 2]])).tolist()
        [[1, 5, 6]]
    """
    start = torch.full((labels.shape[0], 1), BOS, dtype=labels.dtype)
    return torch.cat([start, labels[:, :-1]], dim=1)
