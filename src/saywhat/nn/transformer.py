"""Encoder-decoder transformer (Vaswani et al., 2017), with cached incremental decoding.

Departures from the paper:

1. Layers are normalised before each part, not after it (Xiong et al., 2020), and once at the end:
   it trains without a careful warm-up.
2. Input and output embeddings are one matrix; it may be narrower than the layers, which are reached
   through projections (Press and Wolf, 2017; Lan et al., 2020).
3. Projections of attention have no bias. So a hidden source (all keys and values zero) tells the
   decoder exactly nothing, which is the *null context* of anti-LM decoding.
4. Dropout is on embeddings, features and the output of each part, not on attention weights.

Padding is on the left of the source; positions are counted from the first real symbol, and padding
is masked, so a text is read alike at any width.

Axes: as in ``encoder_decoder``; ``heads``, ``head`` (units of one).
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import cast, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.attention import Attention, KeysValues, sinusoids
from saywhat.nn.encoder_decoder import EncoderDecoder, embed_source, regrouped
from saywhat.nn.padding import left_pad
from saywhat.text.vocabulary import PAD


@dataclasses.dataclass(frozen=True, slots=True)
class TransformerSize:
    """What determines the shapes of a ``Transformer``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of each layer, a multiple of ``heads``.
        layers: layers of the encoder and of the decoder.
        heads: of each attention.
        feed_forward: units inside the feed-forward part of each layer.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    heads: int
    feed_forward: int

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"{self.heads} heads cannot share {self.hidden} units")


@dataclasses.dataclass(frozen=True, slots=True)
class TransformerMemory:
    """What the decoder knows: each layer's view of the sources, and of what is written so far.

    Rows that share a source stand together, and share its keys and values.

    Attributes:
        given: of the sources, layer by layer; *rows* are the sources.
        mask: true at real source tokens, *Shape:* (sources, source).
        past: of the decoder, layer by layer; *rows* are the batch.
    """

    given: tuple[KeysValues, ...]
    mask: Bool[Tensor, "sources source"]
    past: tuple[KeysValues, ...]

    @property
    def rows(self) -> int:
        """See ``Memory``."""
        return len(self.past[0].k)

    def select(self, rows: Int[Tensor, " new_rows"]) -> "TransformerMemory":
        """See ``Memory``."""
        given, mask = self.given, self.mask
        owners = regrouped(rows, batch=self.rows, sources=len(mask))
        if owners is not None:
            given, mask = tuple(layer.select(owners) for layer in given), mask[owners]
        return TransformerMemory(given, mask, tuple(layer.select(rows) for layer in self.past))


@final
class FeedForward(nn.Module):
    """The part of a layer that works on each position alone, its normalisation included.

    Args:
        size: shapes.
    """

    def __init__(self, size: TransformerSize) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size.hidden)
        self.widen = nn.Linear(size.hidden, size.feed_forward)
        self.narrow = nn.Linear(size.feed_forward, size.hidden)

    @override
    def forward(self, x: Float[Tensor, "rows time hidden"]) -> Float[Tensor, "rows time hidden"]:
        """Give what is to be added to ``x``."""
        narrowed: Tensor = self.narrow(torch.relu(self.widen(self.norm(x))))
        return narrowed


@final
class EncoderLayer(nn.Module):
    """Each position attends to all real ones, then is worked on alone.

    Args:
        size: shapes.
        dropout: on the output of each part.
    """

    def __init__(self, size: TransformerSize, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size.hidden)
        self.own = Attention(size.hidden, size.heads)
        self.feed_forward = FeedForward(size)
        self.dropout = nn.Dropout(dropout)

    @override
    def forward(
        self, x: Float[Tensor, "batch source hidden"], mask: Bool[Tensor, "batch source"]
    ) -> Float[Tensor, "batch source hidden"]:
        """Read; ``mask`` is true at real tokens."""
        normed = self.norm(x)
        own = self.own(normed, self.own.keys_values(normed), mask[:, None, None])
        x = x + self.dropout(own)
        read: Tensor = x + self.dropout(self.feed_forward(x))
        return read


@final
class DecoderLayer(nn.Module):
    """Each position attends to itself and earlier ones, then to the source.

    Args:
        size: shapes.
        dropout: on the output of each part.
    """

    def __init__(self, size: TransformerSize, *, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size.hidden)
        self.own = Attention(size.hidden, size.heads)
        self.cross_norm = nn.LayerNorm(size.hidden)
        self.cross = Attention(size.hidden, size.heads)
        self.feed_forward = FeedForward(size)
        self.dropout = nn.Dropout(dropout)

    @override
    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        past: KeysValues,
        given: KeysValues,
        mask: Bool[Tensor, "sources source"],
    ) -> tuple[Float[Tensor, "batch time hidden"], KeysValues]:
        """Write; gives the outputs, and ``past`` with these positions behind."""
        normed, before, time = self.norm(x), past.k.shape[2], x.shape[1]
        past = past.then(self.own.keys_values(normed))
        # position i may see all that came before these positions, and the first i + 1 of them
        causal = torch.ones(time, before + time, dtype=torch.bool).tril(before)
        x = x + self.dropout(self.own(normed, past, causal if time > 1 else None))
        x = x + self.dropout(self.cross(self.cross_norm(x), given, mask[:, None, None]))
        return x + self.dropout(self.feed_forward(x)), past


@final
class Transformer(EncoderDecoder[TransformerMemory]):
    """The transformer.

    Args:
        size: shapes.
        dropout: in training mode only.
        rng: source of the initial weights (Glorot and Bengio, 2010; embeddings are normal).

    Example:
        >>> size = TransformerSize(9, embedding=4, hidden=6, layers=1, heads=2, feed_forward=8)
        >>> model = Transformer(size, dropout=0.0, rng=torch.Generator())
        >>> logits, _ = model.decode(torch.tensor([[1, 4]]), model.encode(model.pad([[5, 6, 2]])))
        >>> tuple(logits.shape)
        (1, 2, 9)
    """

    size: TransformerSize

    def __init__(self, size: TransformerSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        self.enter = nn.Linear(size.embedding, size.hidden, bias=False)
        self.encoder = nn.ModuleList(
            EncoderLayer(size, dropout=dropout) for _ in range(size.layers)
        )
        self.decoder = nn.ModuleList(
            DecoderLayer(size, dropout=dropout) for _ in range(size.layers)
        )
        self.encoder_norm = nn.LayerNorm(size.hidden)
        self.decoder_norm = nn.LayerNorm(size.hidden)
        self.project = nn.Linear(size.hidden, size.embedding)
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        self.dropout = nn.Dropout(dropout)
        self._initialise(rng)

    def _initialise(self, rng: torch.Generator) -> None:
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight, generator=rng)
                    if module.bias is not None:
                        module.bias.zero_()
            # logits of about unit size, as the features have it
            spread = self.size.embedding**-0.5
            self.embedding.weight.normal_(0.0, spread, generator=rng)
            self.embedding.weight[PAD].zero_()

    @property
    @override
    def architecture(self) -> str:
        return "transformer"

    @override
    def pad(self, sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
        return left_pad(sources, width=width)

    @override
    def encode(self, source: Int[Tensor, "batch source"]) -> TransformerMemory:
        mask = source != PAD
        places = (mask.cumsum(dim=1) - 1).clamp(min=0)
        x = self._enter(embed_source(self.embedding, source), places)
        for layer in self.encoder:
            x = layer(x, mask)
        x = self.encoder_norm(x)
        layers = cast("Iterable[DecoderLayer]", self.decoder)
        given = tuple(layer.cross.keys_values(x) for layer in layers)
        return TransformerMemory(given, mask, self._no_past(len(source)))

    @override
    def null_memory(self, rows: int) -> TransformerMemory:
        size = self.size
        nothing = self.output_bias.new_zeros(rows, size.heads, 1, size.hidden // size.heads)
        mask = torch.ones(rows, 1, dtype=torch.bool)
        given = (KeysValues(nothing, nothing),) * size.layers
        return TransformerMemory(given, mask, self._no_past(rows))

    @override
    def forget(self, memory: TransformerMemory, rows: Bool[Tensor, " batch"]) -> TransformerMemory:
        keep = (~rows).to(memory.given[0].k.dtype)[:, None, None, None]
        given = tuple(KeysValues(layer.k * keep, layer.v * keep) for layer in memory.given)
        return TransformerMemory(given, memory.mask, memory.past)

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: TransformerMemory
    ) -> tuple[Float[Tensor, "batch time embedding"], TransformerMemory]:
        before = memory.past[0].k.shape[2]
        places = torch.arange(before, before + inputs.shape[1]).expand(inputs.shape)
        x, past = self._enter(self.embedding(inputs), places), []
        for layer, own, given in zip(self.decoder, memory.past, memory.given, strict=True):
            x, extended = layer(x, own, given, memory.mask)
            past.append(extended)
        features = self.project(self.decoder_norm(x))
        return self.dropout(features), TransformerMemory(memory.given, memory.mask, tuple(past))

    def _enter(
        self, embedded: Float[Tensor, "batch time embedding"], places: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time hidden"]:
        # the embeddings are small for the output's sake; beside the sinusoids they must not be
        entered = self.enter(embedded * math.sqrt(self.size.embedding))
        placed: Tensor = self.dropout(entered + sinusoids(places, self.size.hidden))
        return placed

    def _no_past(self, rows: int) -> tuple[KeysValues, ...]:
        size = self.size
        nothing = self.output_bias.new_zeros(rows, size.heads, 0, size.hidden // size.heads)
        return (KeysValues(nothing, nothing),) * size.layers
