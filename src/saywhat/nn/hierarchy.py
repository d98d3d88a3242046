"""What HRED and VHRED share: an encoder over turns, and a decoder under a condition.

All of the encoder is without bias and padded on the left, turns as well as words: a padded step
keeps a state at exactly zero, so padding and absent turns leave no trace.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import ClassVar, Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.encoder_decoder import EncoderDecoder, embed_source
from saywhat.nn.padding import left_pad
from saywhat.nn.recurrent import run_gru
from saywhat.text.vocabulary import EOS, PAD

EMBEDDING_DEVIATION: Final = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class ConditionedMemory:
    """What the decoder knows: its state, and the vector that it is told at each step.

    Attributes:
        hidden: *Shape:* (layers, batch, hidden).
        condition: *Shape:* (batch, condition).
    """

    hidden: Float[Tensor, "layers batch hidden"]
    condition: Float[Tensor, "batch condition"]

    @property
    def rows(self) -> int:
        """See ``Memory``."""
        return len(self.condition)

    def select(self, rows: Int[Tensor, " new_rows"]) -> "ConditionedMemory":
        """See ``Memory``."""
        return ConditionedMemory(self.hidden[:, rows], self.condition[rows])

    def forget(self, rows: Bool[Tensor, " batch"]) -> "ConditionedMemory":
        """Set the chosen rows to zero, which is the null context."""
        keep = (~rows).to(self.condition.dtype)[:, None]
        return ConditionedMemory(self.hidden * keep, self.condition * keep)


@final
class TurnEncoder(nn.Module):
    """Reads each turn to a summary, and the summaries in order to the context.

    Args:
        embedding: units of a word embedding.
        hidden: units of a summary and of the context.
        layers: of the network that reads words; the one that reads turns has one.
        dropout: between layers and on summaries.
    """

    def __init__(self, embedding: int, hidden: int, layers: int, *, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.words = nn.GRU(
            embedding, hidden, layers, bias=False, batch_first=True, dropout=between
        )
        self.turns = nn.GRU(hidden, hidden, bias=False, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def summarise(
        self, source: Int[Tensor, "batch source"], embedding: nn.Embedding
    ) -> Float[Tensor, "batch hidden"]:
        """Read single turns, padded on the left."""
        return self._read(embed_source(embedding, source))

    @override
    def forward(
        self, source: Int[Tensor, "batch turns source"], embedding: nn.Embedding
    ) -> Float[Tensor, "batch hidden"]:
        """Read conversations; absent turns stand first and are all padding."""
        batch, turns, _ = source.shape
        flat = source.flatten(0, 1)
        embedded = embed_source(embedding, flat)
        if turns > 1 and torch.is_grad_enabled():
            summaries = self._read_by_length(flat, embedded, batch)
        else:
            summaries = self._read(embedded)
        # (B * turns, H) -> (B, turns, H) -> (1, B, H)
        _, hidden = self.turns(self.dropout(summaries.reshape(batch, turns, -1)))
        context: Tensor = hidden[0]
        return context

    def _read(
        self, embedded: Float[Tensor, "rows source embedding"]
    ) -> Float[Tensor, "rows hidden"]:
        _, hidden = self.words(self.dropout(embedded))
        summaries: Tensor = hidden[-1]
        return summaries

    def _read_by_length(
        self,
        source: Int[Tensor, "rows source"],
        embedded: Float[Tensor, "rows source embedding"],
        size: int,
    ) -> Float[Tensor, "rows hidden"]:
        # the turns of a conversation differ in length: half of the steps would be padding
        lengths = (source != PAD).sum(dim=1)
        order = lengths.argsort()
        parts = [
            self._read(embedded[rows, -max(1, int(lengths[rows[-1]])) :])
            for rows in torch.split(order, size)
        ]
        return torch.cat(parts)[order.argsort()]


@final
class ConditionedDecoder(nn.Module):
    """A recurrent decoder that a vector starts and that is told it again at each step.

    Args:
        embedding: units of a word embedding.
        hidden: units of each layer.
        layers: how many.
        condition: units of the vector.
        dropout: between layers and on embeddings and features.
        at_output: whether the output layer is told the vector too.
    """

    def __init__(
        self,
        embedding: int,
        hidden: int,
        layers: int,
        *,
        condition: int,
        dropout: float,
        at_output: bool,
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self._layers, self._hidden, self._condition = layers, hidden, condition
        # without bias: the zero condition, which is the null context, gives the zero state
        self.begin = nn.Linear(condition, layers * hidden, bias=False)
        self.cells = nn.GRU(
            embedding + condition, hidden, layers, batch_first=True, dropout=between
        )
        self.project = nn.Linear(hidden, embedding)
        # without bias, as above
        self.tell = nn.Linear(condition, embedding, bias=False) if at_output else None
        self.dropout = nn.Dropout(dropout)

    def start(self, condition: Float[Tensor, "batch condition"]) -> ConditionedMemory:
        """Give the memory before the first word."""
        # (B, L * H) -> (B, L, H) -> (L, B, H)
        hidden = torch.tanh(self.begin(condition))
        hidden = hidden.reshape(-1, self._layers, self._hidden).transpose(0, 1).contiguous()
        return ConditionedMemory(hidden, condition)

    def nothing(self, rows: int) -> ConditionedMemory:
        """Give the null context."""
        zeros = self.project.weight.new_zeros
        return ConditionedMemory(
            zeros(self._layers, rows, self._hidden), zeros(rows, self._condition)
        )

    @override
    def forward(
        self, embedded: Float[Tensor, "batch time embedding"], memory: ConditionedMemory
    ) -> tuple[Float[Tensor, "batch time embedding"], ConditionedMemory]:
        """Run over words; gives features and the memory to go on from."""
        told = memory.condition[:, None].expand(-1, embedded.shape[1], -1)
        inputs = torch.cat([self.dropout(embedded), told], dim=-1)
        outputs, hidden = run_gru(self.cells, inputs, memory.hidden)
        features = self.project(outputs)
        if self.tell is not None:
            features = features + self.tell(memory.condition)[:, None]
        features = self.dropout(torch.tanh(features))
        return features, ConditionedMemory(hidden, memory.condition)


class Hierarchical(EncoderDecoder[ConditionedMemory]):
    """What HRED and VHRED have in common.

    Attributes:
        encoder: over turns.
        decoder: told what the encoder makes of them.
    """

    encoder: TurnEncoder
    decoder: ConditionedDecoder
    multi_turn: ClassVar[bool] = True

    @override
    def pad(
        self, sources: Sequence[list[int]], *, width: int = 0
    ) -> Int[Tensor, "batch turns source"]:
        return pad_turns(sources, width=width)

    @override
    def null_memory(self, rows: int) -> ConditionedMemory:
        return self.decoder.nothing(rows)

    @override
    def forget(self, memory: ConditionedMemory, rows: Bool[Tensor, " batch"]) -> ConditionedMemory:
        return memory.forget(rows)

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: ConditionedMemory
    ) -> tuple[Float[Tensor, "batch time embedding"], ConditionedMemory]:
        features, memory = self.decoder(self.embedding(inputs), memory)
        return features, memory


def split_turns(source: Sequence[int]) -> list[list[int]]:
    """Cut a source after each end symbol.

    Example:
        >>> split_turns([5, 6, EOS, 7, EOS])
        [[5, 6, 2], [7, 2]]
    """
    edges = [0, *(place for place, token in enumerate(source, start=1) if token == EOS)]
    return [list(source[start:end]) for start, end in itertools.pairwise(edges)]


def pad_turns(sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch turns source"]:
    """Stack sources turn by turn: words and turns are padded on the left.

    Example:
        >>> pad_turns([[5, 6, EOS, 7, EOS], [8, EOS]]).tolist()
        [[[5, 6, 2], [0, 7, 2]], [[0, 0, 0], [0, 8, 2]]]
    """
    rows = [split_turns(source) for source in sources]
    most = max(map(len, rows), default=0)
    absent: list[int] = []
    flat = [turn for row in rows for turn in [absent] * (most - len(row)) + row]
    padded = left_pad(flat, width=width)
    return padded.reshape(len(rows), most, padded.shape[1])


def initialise(module: nn.Module, rng: torch.Generator) -> None:
    """Draw weights that keep signals at their size through the levels of the hierarchy.

    Uniform for inputs (Glorot and Bengio, 2010), orthogonal from state to state (Saxe et al.,
    2014), normal for embeddings; biases and the padding's embedding are 0. With the small weights
    of the other recurrent networks a context begins as a thousandth of a word, and is learned very
    late.
    """
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim < 2:
                parameter.zero_()
            elif name.endswith("embedding.weight"):
                parameter.normal_(0.0, EMBEDDING_DEVIATION, generator=rng)
                parameter[PAD].zero_()
            elif "weight_hh" in name:
                for gate in parameter.chunk(3):
                    nn.init.orthogonal_(gate, generator=rng)
            else:
                for gate in parameter.chunk(3) if "weight_ih" in name else [parameter]:
                    nn.init.xavier_uniform_(gate, generator=rng)
