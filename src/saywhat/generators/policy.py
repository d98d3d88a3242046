r"""The policy as a distribution over whole queries: the paper's equation (1), as pure functions.

Axes: ``batch``, ``time``, ``actions`` (the marked positions of a batch), ``vocab``.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saywhat.nn.encoder_decoder import EncoderDecoder, Memory
from saywhat.nn.padding import shift_right
from saywhat.text.vocabulary import EOS, NEVER_WRITTEN, PAD


def action_log_softmax(
    logits: Float[Tensor, "actions vocab"], first: Bool[Tensor, " actions"]
) -> Float[Tensor, "actions vocab"]:
    """Give the log-probabilities of the policy that ``nn.decoding.sample`` draws from.

    Padding, begin and unknown have probability 0 everywhere, and the end symbol at the first step.

    Args:
        logits: of single positions.
        first: which of them are the first of their query.
    """
    banned = torch.zeros(logits.shape[1], dtype=torch.bool)
    banned[list(NEVER_WRITTEN)] = True
    at_first = banned.clone()
    at_first[EOS] = True
    masked = logits.float().masked_fill(
        torch.where(first[:, None], at_first, banned), float("-inf")
    )
    return torch.log_softmax(masked, dim=-1)


def action_log_probs(
    network: EncoderDecoder[Any],
    memory: Memory,
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
) -> Float[Tensor, "actions vocab"]:
    """Give the policy's log-probabilities at the marked positions only, row by row.

    Half of a batch of queries is padding, and the output layer is most of the work.

    Args:
        network: the policy's.
        memory: of what the queries are for, one a row.
        labels: the queries.
        mask: their actions.
    """
    features, _ = network.features(shift_right(labels), memory)
    # (B, T, E) -> (A, E) -> (A, V)
    logits = network.output(features[mask])
    first = torch.zeros_like(mask)
    first[:, 0] = True
    return action_log_softmax(logits, first[mask])


def action_mask(labels: Int[Tensor, "batch time"], max_tokens: int) -> Bool[Tensor, "batch time"]:
    """Mark the positions that were chosen by the policy: up to and with the end symbol.

    Padding after the end is not an action, nor is the end symbol that a full-length query is given
    by force.

    Example:
        >>> action_mask(torch.tensor([[5, EOS, PAD], [5, 6, EOS]]), 2).tolist()
        [[True, True, False], [True, True, False]]
    """
    mask = labels != PAD
    mask[:, max_tokens:] = False
    return mask


def query_log_prob(
    log_probs: Float[Tensor, "actions vocab"],
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
) -> Float[Tensor, " batch"]:
    r"""``log pi(I | O*) = sum_t log P(w_t | w_<t, O*)``: the logarithm of the paper's equation (1).

    Args:
        log_probs: at the marked positions, row by row.
        labels: the queries.
        mask: their actions; what is not marked contributes exactly 0.
    """
    # (A, V) -> (A,) -> (B,)
    chosen = log_probs.gather(-1, labels[mask][:, None])[:, 0]
    return chosen.new_zeros(len(labels)).index_add(0, mask.nonzero()[:, 0], chosen)
