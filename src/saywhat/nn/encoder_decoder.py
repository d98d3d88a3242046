"""What a network is to training, to decoding and to the chatbots: an encoder and a decoder.

A *source* is a list of ids; each turn in it ends with the end symbol. Networks that read one turn
see a source of one turn. What the decoder knows of the sources, and of what it has written, is a
*memory*; its form is the network's own business.

Axes: ``batch``, ``source`` (encoder time), ``turns``, ``time`` (decoder time), ``vocab``,
``hidden``, ``layers``, ``latent``.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from saywhat.text.vocabulary import PAD


class Size(Protocol):
    """What determines the shapes of a network: a dataclass that a checkpoint can hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def vocabulary(self) -> int:
        """Token ids, special symbols included."""
        ...

    @property
    def embedding(self) -> int:
        """Units of a word embedding."""
        ...


@runtime_checkable
class Memory(Protocol):
    """What the decoder knows, row by row."""

    @property
    def rows(self) -> int:
        """How many texts are being written."""
        ...

    def select(self, rows: Int[Tensor, " new_rows"]) -> "Memory":
        """Give the memory of some rows, in that order; rows may repeat."""
        ...


M = TypeVar("M", bound=Memory)


class EncoderDecoder(nn.Module, abc.ABC, Generic[M]):
    """A network from source ids to the logits of a text.

    Attributes:
        size: shapes.
        embedding: of the words that are read, of those that are written, and of the output layer.
        output_bias: of the output layer. *Shape:* (vocab,).
        multi_turn: whether it reads the turns before the last one.
    """

    size: Size
    embedding: nn.Embedding
    output_bias: nn.Parameter
    multi_turn: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def architecture(self) -> str:
        """Its name in the settings and in checkpoints."""

    @abc.abstractmethod
    def pad(
        self, sources: Sequence[list[int]], *, width: int = 0
    ) -> Int[Tensor, "batch *turns source"]:
        """Stack sources as ``encode`` takes them, each turn padded to ``width`` at least."""

    @abc.abstractmethod
    def encode(self, source: Int[Tensor, "batch *turns source"]) -> M:
        """Read padded sources; padding leaves no trace in the memory."""

    @abc.abstractmethod
    def null_memory(self, rows: int) -> M:
        """Give the null context, which tells the decoder nothing of a source."""

    @abc.abstractmethod
    def forget(self, memory: M, rows: Bool[Tensor, " batch"]) -> M:
        """Replace the context of the chosen rows by the null context (context dropout)."""

    @abc.abstractmethod
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: M
    ) -> tuple[Float[Tensor, "batch time embedding"], M]:
        """Run the decoder up to the output layer, which costs more than all the rest."""

    def output(self, features: Float[Tensor, "*rows embedding"]) -> Float[Tensor, "*rows vocab"]:
        """Give the logits of features."""
        return functional.linear(features, self.embedding.weight, self.output_bias)

    def decode(
        self, inputs: Int[Tensor, "batch time"], memory: M
    ) -> tuple[Float[Tensor, "batch time vocab"], M]:
        """Run the decoder over given tokens; gives logits and the memory to go on from."""
        features, memory = self.features(inputs, memory)
        # (B, T, E) -> (B, T, V)
        return self.output(features), memory

    def set_dropout(self, dropout: float) -> None:
        """Change the dropout everywhere, between recurrent layers too."""
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout
            elif isinstance(module, nn.RNNBase):
                module.dropout = dropout if module.num_layers > 1 else 0.0


@runtime_checkable
class Variational(Protocol):
    """A network with a latent variable ``z`` (Kingma and Welling, 2014).

    Its ``encode`` leaves in the memory the mean of the prior, ``p(z | source)``.
    """

    @property
    def latent(self) -> int:
        """Units of the latent variable."""
        ...

    def infer(
        self, memory: Any, labels: Int[Tensor, "batch time"], rng: torch.Generator
    ) -> tuple[Any, Float[Tensor, " batch"]]:
        """Draw from the posterior, which has seen the labels: for training.

        Returns:
            The memory with that draw, and the KL divergence of posterior from prior in nats.
        """
        ...

    def draw(self, memory: Any, noise: Float[Tensor, "batch latent"]) -> Any:
        """Give the memory with the draw from the prior that standard normal noise stands for."""
        ...


def regrouped(
    rows: Int[Tensor, " new_rows"], *, batch: int, sources: int
) -> Int[Tensor, " new_rows"] | None:
    """Say which source each selected row has, or ``None`` if rows still share them in order.

    Rows that share a source (samples or hypotheses of one target) stand together and share what
    was made of it, as long as they can.

    Example:
        >>> regrouped(torch.tensor([1, 1, 2, 3]), batch=4, sources=2) is None
        True
        >>> regrouped(torch.tensor([0, 2, 3]), batch=4, sources=2).tolist()
        [0, 1, 1]
    """
    owners = rows // (batch // sources)
    grouped = torch.arange(sources).repeat_interleave(len(rows) // sources)
    return None if torch.equal(owners, grouped) else owners


def embed_source(
    embedding: nn.Embedding, source: Int[Tensor, "*batch source"]
) -> Float[Tensor, "*batch source embedding"]:
    """Embed padded source ids; padding enters as zeros.

    The padding row of a matrix that is shared with the output layer is trained as an output.
    """
    embedded: Tensor = embedding(source)
    return embedded.masked_fill((source == PAD)[..., None], 0.0)
