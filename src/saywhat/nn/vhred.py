r"""VHRED: HRED with a latent variable for each reply (Serban et al., 2017).

The decoder is told, besides the context, a vector ``z``. Its prior is a Gaussian computed from the
context; in training ``z`` is drawn from a posterior Gaussian that has seen the reply too, and the
KL divergence between the two is part of the loss. When it replies, ``z`` is the mean of the prior,
or a draw from it. Departures from the paper, besides those of ``hred``:

1. One hidden layer before mean and variance, not two, and the logarithm of the variance is what is
   computed.
2. The posterior reads the reply with the network that reads turns.
3. A hidden source (context dropout) hides ``z`` too.
4. The output layer is not told the condition: ``z`` alone makes the decoder heed it.
"""

import dataclasses
import math
from typing import Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.nn.hierarchy import (
    ConditionedDecoder,
    ConditionedMemory,
    Hierarchical,
    TurnEncoder,
    initialise,
)
from saywhat.nn.padding import right_to_left
from saywhat.text.vocabulary import PAD

# beside noise of variance 1 the means would be heeded too late, or never
FIRST_LOG_VARIANCE: Final = math.log(0.1)


@dataclasses.dataclass(frozen=True, slots=True)
class VhredSize:
    """What determines the shapes of a ``Vhred``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of a turn's summary, of the context and of each decoder layer.
        layers: of the network over words and of the decoder.
        latent: units of the latent variable.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int
    latent: int


@dataclasses.dataclass(frozen=True, slots=True)
class Gaussian:
    """Independent normal distributions.

    Attributes:
        mean: *Shape:* (batch, latent).
        log_variance: *Shape:* (batch, latent).
    """

    mean: Float[Tensor, "batch latent"]
    log_variance: Float[Tensor, "batch latent"]

    def at(self, noise: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch latent"]:
        """Give the draw that standard normal noise stands for."""
        return self.mean + (0.5 * self.log_variance).exp() * noise


def kl_divergence(posterior: Gaussian, prior: Gaussian) -> Float[Tensor, " batch"]:
    r"""Give ``KL(q || p) = 1/2 sum(v_q / v_p + (m_q - m_p)^2 / v_p - 1 + log v_p - log v_q)``.

    In nats, with means ``m`` and variances ``v``.

    Example:
        >>> one, zero = torch.ones(1, 1), torch.zeros(1, 1)
        >>> kl_divergence(Gaussian(one, zero), Gaussian(zero, zero))
        tensor([0.5000])
    """
    ratio = posterior.log_variance - prior.log_variance
    distance = (posterior.mean - prior.mean).square() * (-prior.log_variance).exp()
    return 0.5 * (ratio.exp() + distance - 1.0 - ratio).sum(dim=-1)


@final
class GaussianOf(nn.Module):
    """Computes a Gaussian from a vector.

    Args:
        inputs: units of the vector.
        hidden: units of the layer between.
        latent: units of the Gaussian.
    """

    def __init__(self, inputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.inner = nn.Linear(inputs, hidden)
        self.both = nn.Linear(hidden, 2 * latent)

    @override
    def forward(self, vector: Float[Tensor, "batch inputs"]) -> Gaussian:
        """Give the Gaussian, in single precision."""
        mean, log_variance = self.both(torch.tanh(self.inner(vector))).float().chunk(2, dim=-1)
        return Gaussian(mean, log_variance)


@final
class Vhred(Hierarchical):
    """The hierarchical network with a latent variable; it is ``Variational``.

    The condition of its decoder is the context, then ``z``.

    Args:
        size: shapes.
        dropout: between layers, on embeddings, summaries and features, in training mode only.
        rng: source of the initial weights.
    """

    size: VhredSize

    def __init__(self, size: VhredSize, *, dropout: float, rng: torch.Generator) -> None:
        super().__init__()
        self.size, self.latent = size, size.latent
        self.embedding = nn.Embedding(size.vocabulary, size.embedding, padding_idx=PAD)
        self.encoder = TurnEncoder(size.embedding, size.hidden, size.layers, dropout=dropout)
        self.prior = GaussianOf(size.hidden, size.hidden, size.latent)
        self.posterior = GaussianOf(2 * size.hidden, size.hidden, size.latent)
        self.decoder = ConditionedDecoder(
            size.embedding,
            size.hidden,
            size.layers,
            condition=size.hidden + size.latent,
            dropout=dropout,
            at_output=False,
        )
        self.output_bias = nn.Parameter(torch.zeros(size.vocabulary))
        initialise(self, rng)
        with torch.no_grad():
            for part in (self.prior, self.posterior):
                part.both.bias.chunk(2)[1].fill_(FIRST_LOG_VARIANCE)

    @property
    @override
    def architecture(self) -> str:
        return "vhred"

    @override
    def encode(self, source: Int[Tensor, "batch turns source"]) -> ConditionedMemory:
        context = self.encoder(source, self.embedding)
        return self._told(context, self.prior(context).mean)

    def infer(
        self, memory: ConditionedMemory, labels: Int[Tensor, "batch time"], rng: torch.Generator
    ) -> tuple[ConditionedMemory, Float[Tensor, " batch"]]:
        """See ``Variational``."""
        context = self._context(memory)
        reply = self.encoder.summarise(right_to_left(labels), self.embedding)
        posterior = self.posterior(torch.cat([context, reply], dim=-1))
        noise = torch.randn(posterior.mean.shape, generator=rng)
        divergence = kl_divergence(posterior, self.prior(context))
        return self._told(context, posterior.at(noise)), divergence

    def draw(
        self, memory: ConditionedMemory, noise: Float[Tensor, "batch latent"]
    ) -> ConditionedMemory:
        """See ``Variational``."""
        context = self._context(memory)
        return self._told(context, self.prior(context).at(noise))

    def _context(self, memory: ConditionedMemory) -> Float[Tensor, "batch hidden"]:
        return memory.condition[:, : self.size.hidden]

    def _told(
        self, context: Float[Tensor, "batch hidden"], z: Float[Tensor, "batch latent"]
    ) -> ConditionedMemory:
        return self.decoder.start(torch.cat([context, z.to(context.dtype)], dim=-1))
