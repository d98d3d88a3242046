r"""Losses and advantages as pure functions: tensors in, tensors out.

Axes: ``batch``, ``time``, ``vocab``; ``targets`` and ``samples`` for grouped rewards.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from saywhat.text.vocabulary import PAD


def cross_entropy(
    logits: Float[Tensor, "batch time vocab"], labels: Int[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of the labels over positions that are no padding (Section 4.1).

    Not a number if all is padding.
    """
    return functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=PAD, reduction="mean"
    )


def threshold_rewards(
    similarities: Float[Tensor, "targets samples"], cut: float
) -> Float[Tensor, "targets samples"]:
    """Set rewards below ``cut`` to 0 and leave the others (Section 5.1.2, "less than 0.5")."""
    return torch.where(similarities < cut, torch.zeros_like(similarities), similarities)


def leave_one_out(
    rewards: Float[Tensor, "targets samples"], answered: Bool[Tensor, "targets samples"]
) -> Float[Tensor, "targets samples"]:
    r"""Give ``A_i = R_i - mean_{j != i} R_j`` (RLOO: Kool et al., 2019; Ahmadian et al., 2024).

    The baseline of a sample does not depend on it, so the gradient stays unbiased. Samples without
    an answer count nowhere and have advantage 0, and so has an answer without any other.

    Example:
        >>> leave_one_out(torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([[True, True, False]]))
        tensor([[ 1., -1.,  0.]])
    """
    # (T, K) -> (T, K, K): differences first, so that equal rewards give exactly 0; an optimizer
    # that scales its steps would make much of the rounding of a mean
    both = answered[:, :, None] & answered[:, None, :]
    differences = rewards[:, :, None] - rewards[:, None, :]
    total = torch.where(both, differences, torch.zeros_like(differences)).sum(dim=2)
    return total / (answered.sum(dim=1, keepdim=True) - 1).clamp(min=1)


def best_of_k(
    rewards: Float[Tensor, "targets samples"], answered: Bool[Tensor, "targets samples"]
) -> Float[Tensor, "targets samples"]:
    r"""Give ``A_i = max_j R_j - max_{j != i} R_j``: what sample i adds to the best of its group.

    It is the leave-one-out advantage of the objective ``E[max_k R]``, which is what a search that
    keeps the best of N spends the policy on. It is 0 for all but the best sample, and everywhere
    when two are best. Samples without an answer count nowhere.

    Example:
        >>> best_of_k(torch.tensor([[0.2, 0.9, 0.5]]), torch.tensor([[True, True, False]]))
        tensor([[0.0000, 0.7000, 0.0000]])
    """
    known = torch.where(answered, rewards, torch.full_like(rewards, float("-inf")))
    best = known.topk(2, dim=1)
    lead = best.values[:, :1] - best.values[:, 1:]
    lead = torch.where(lead.isfinite(), lead, torch.zeros_like(lead))
    return torch.zeros_like(rewards).scatter(1, best.indices[:, :1], lead)


def reinforce(
    log_prob: Float[Tensor, " batch"], advantage: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    r"""The corrected estimator: its gradient is ``-mean_i A_i grad log pi(I_i | O*)``.

    With ``A = R`` or ``R`` less a baseline that does not depend on the sample, that is an unbiased
    estimate of ``-grad E[R]``, the gradient of the paper's equation (3) (Williams, 1992).
    """
    return -(advantage.detach() * log_prob).mean()


def paper_reinforce(
    log_prob: Float[Tensor, " batch"], rewards: Float[Tensor, " batch"]
) -> Float[Tensor, ""]:
    r"""The paper's estimator, equations (4) and (5), as printed.

    Its gradient is ``-mean_i R_i pi(I_i | O*) grad log pi(I_i | O*)``, computed as that of
    ``-mean_i R_i pi(I_i | O*)`` since ``grad pi = pi grad log pi``. The factor ``pi`` belongs to a
    sum over *all* queries; sampling already supplies it, so on samples this is an estimate of the
    gradient of ``-1/2 sum_I pi(I)^2 R(I)``.
    """
    return -(rewards.detach() * log_prob.exp()).mean()


def kl_to_reference(
    log_probs: Float[Tensor, "batch time vocab"],
    reference: Float[Tensor, "batch time vocab"],
    mask: Bool[Tensor, "batch time"],
) -> Float[Tensor, ""]:
    r"""Mean over queries of ``sum_t KL(pi(. | w_<t) || pi_0(. | w_<t))`` along sampled prefixes.

    In nats. The full distribution at each step is summed, not only the sampled token, which removes
    most of the variance. The value is unbiased for the KL divergence of whole queries; its gradient
    takes the prefixes as given, so it leaves out that a choice changes the later steps.
    """
    possible = log_probs.isfinite()
    ratio = torch.where(possible, log_probs - reference, torch.zeros_like(log_probs))
    per_step = (log_probs.exp() * ratio).sum(dim=-1)
    return torch.where(mask, per_step, torch.zeros_like(per_step)).sum(dim=-1).mean()


def entropy(
    log_probs: Float[Tensor, "batch time vocab"], mask: Bool[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """Mean entropy of the policy's next token over the unmasked steps, in nats."""
    possible = torch.where(log_probs.isfinite(), log_probs, torch.zeros_like(log_probs))
    per_step = -(log_probs.exp() * possible).sum(dim=-1)
    return torch.where(mask, per_step, torch.zeros_like(per_step)).sum() / mask.sum().clamp(min=1)
