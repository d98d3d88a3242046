"""HRED, a hierarchical encoder-decoder (Sordoni et al., 2015; Serban et al., 2016).

One recurrent network reads each turn, a second one reads the turns' summaries in order, and the
decoder is told what the second one knows after the last turn: as its first state, with each input
word, and at the output layer. Without the last of these it learns to go without any: a chatbot so
trained gave two replies to 64,000 posts. Departures from the papers:

1. The encoders have no bias and are padded on the left (see ``hierarchy``).
2. The network over words reads in one direction; Serban et al. use two.
3. Input and output embeddings are one matrix; the decoder of a hidden source is a language model of
   replies, as in ``seq2seq``.
"""

import dataclasses
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.hierarchy import (
    ConditionedDecoder,
    ConditionedMemory,
    Hierarchical,
    TurnEncoder,
    initialise,
)
from saywhat.text.vocabulary import PAD


@dataclasses.dataclass(frozen=True, slots=True)
class HredSize:
    """What determines the shapes of an ``Hred``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of a turn's summary, of the context and of each decoder layer.
        layers: of the network over words and of the decoder.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int


@final
class Hred(Hierarchical):
    """The hierarchical network.

    Args:
        size: shapes.
        dropout: between layers, on embeddings, summaries and features, in training mode only.
        rng: source of the initial weights.

    Example:
        >>> model = Hred(HredSize(9, 4, 5, 1), dropout=0.0, rng=torch.Generator())
        >>> two_turns = model.pad([[5, 6, 2, 7, 2]])
        >>> logits, _ = model.decode(torch.tensor([[1, 4]]), model.encode(two_turns))
        >>> tuple(logits.shape)
        (1, 2, 9)
    """

    size: HredSize

    def __init__(self, size: HredSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        self.encoder = TurnEncoder(size.embedding, size.hidden, size.layers, dropout=dropout)
        self.decoder = ConditionedDecoder(
            size.embedding,
            size.hidden,
            size.layers,
            condition=size.hidden,
            dropout=dropout,
            at_output=True,
        )
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        initialise(self, rng)

    @property
    @override
    def architecture(self) -> str:
        return "hred"

    @override
    def encode(self, source: Int[Tensor, "batch turns source"]) -> ConditionedMemory:
        return self.decoder.start(self.encoder(source, self.embedding))
