"""Against a decoder that ignores its latent variable.

Left alone, the KL divergence goes to zero early in training (posterior collapse), and the latent
variable tells nothing. Serban et al. (2017) train VHRED with two remedies of Bowman et al. (2016):
the weight of the divergence grows slowly, and words are hidden from the decoder. Where that is not
enough there is a third, the free bits of Kingma et al. (2016).
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saywhat.nn.encoder_decoder import EncoderDecoder, Variational
from saywhat.rng import derive
from saywhat.text.vocabulary import UNK
from saywhat.training.examples import Example, batches


def kl_weight(done: float, warmup: float) -> float:
    """Give the weight of the KL divergence: from 0 to 1 over the first ``warmup`` of the training.

    Example:
        >>> [kl_weight(done, 0.5) for done in (0.0, 0.25, 0.5, 1.0)]
        [0.0, 0.5, 1.0, 1.0]
    """
    return min(1.0, done / warmup) if warmup > 0 else 1.0


def beyond_free(divergence: Float[Tensor, " batch"], free: float) -> Float[Tensor, ""]:
    """Give the sum of the divergences, or ``free`` for each if their mean is below (free bits).

    Below it there is no gradient: the posterior may tell that much for nothing.

    Example:
        >>> beyond_free(torch.tensor([1.0, 2.0]), 1.0), beyond_free(torch.tensor([1.0, 2.0]), 4.0)
        (tensor(3.), tensor(8.))
    """
    return divergence.sum().clamp(min=free * len(divergence))


def hide_words(
    inputs: Int[Tensor, "batch time"], share: float, rng: torch.Generator
) -> Int[Tensor, "batch time"]:
    """Replace a share of the decoder's inputs by the unknown symbol; the first one, begin, stays.

    The decoder then cannot tell the next word from the ones before it alone.
    """
    hidden = torch.rand(inputs.shape, generator=rng) < share
    hidden[:, 0] = False
    return inputs.masked_fill(hidden, UNK)


@torch.no_grad()
def mean_kl(
    model: EncoderDecoder[Any], examples: Sequence[Example], *, batch_size: int = 256
) -> float:
    """Give the mean KL divergence of posterior from prior, in nats an example.

    It bounds what the latent variable can tell of the reply; near 0, the posterior has collapsed.

    Raises:
        ValueError: the network has no latent variable, or there is no example.
    """
    if not isinstance(model, Variational) or not examples:
        raise ValueError("A KL divergence needs a network with a latent variable, and examples.")
    was_training = model.training
    model.eval()
    rng, total = torch.Generator(), 0.0
    for source, labels in batches(examples, batch_size, derive(0, "kl"), model.pad):
        total += float(model.infer(model.encode(source), labels, rng)[1].sum())
    model.train(was_training)
    return total / len(examples)
