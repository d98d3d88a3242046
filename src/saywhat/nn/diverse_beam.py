r"""Diverse beam search (Vijayakumar et al., 2018): groups of hypotheses that keep apart.

The beam is split into groups. At each step the groups choose in turn, and a token costs
``strength`` for each hypothesis of an earlier group that has just been given it (Hamming
diversity). Group g keeps the set of hypotheses Y that is best by::

    sum_{y in Y} ( log P(y_1 .. y_t) - strength * #{y' in earlier groups : y'_t = y_t} )

What the paper leaves open, decided here:

1. What a token costs counts at its own step only: hypotheses go on, and are ranked at the end, by
   their log-probability. (Some implementations carry the costs along.)
2. A finished hypothesis stays in its group with its score, as in ``decoding.beam``, and costs the
   others nothing.
3. Groups need not be of equal size.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from saywhat.nn.decoding import Beams, best_first, certain
from saywhat.nn.steppers import NEVER, Stepper, ban
from saywhat.text.vocabulary import BOS, EOS, PAD


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    """Hypotheses of one group; ``parents`` are their places in it one step ago."""

    total: Float[Tensor, "batch beams"]
    history: Int[Tensor, "batch beams time"]
    parents: Int[Tensor, "batch beams"]

    @property
    def tokens(self) -> Int[Tensor, "batch beams"]:
        """The last tokens."""
        return self.history[..., -1]

    @property
    def done(self) -> Bool[Tensor, "batch beams"]:
        """Which have ended, or never were."""
        return (self.tokens == EOS) | (self.tokens == PAD) | (self.total == NEVER)


@torch.no_grad()
def diverse_beam(
    stepper: Stepper, batch: int, *, beams: int, groups: int, strength: float, max_tokens: int
) -> Beams:
    """Search in groups over all rows of a batch at once; with one group it is ``decoding.beam``.

    The stepper holds ``batch`` rows at the start and ``batch * beams`` from the second step on.

    Args:
        stepper: at the start of ``batch`` texts.
        batch: how many.
        beams: hypotheses kept for each, over all groups.
        groups: how many; more than ``beams`` are ``beams``.
        strength: what a token costs, in nats, for each earlier choice of it.
        max_tokens: words at most, the end symbol not counted.

    Returns:
        The hypotheses of all groups by log-probability; two groups may hold the same one.
    """
    sizes = group_sizes(beams, groups)
    first = ban(stepper.step(torch.full((batch,), BOS)), end=True)[:, None]
    roots = [_root(batch) for _ in sizes]
    found = _choose(roots, [first] * len(sizes), sizes, strength)
    rows = torch.arange(batch)[:, None]
    stepper.reorder(rows.expand(batch, beams).reshape(-1))
    for step in range(1, max_tokens + 1):
        if all(bool(group.done.all()) for group in found):
            break
        tokens = torch.cat([group.tokens for group in found], dim=1)
        if step < max_tokens:
            scores = ban(stepper.step(tokens.reshape(-1)), end=False)
        else:
            scores = certain(EOS, batch * beams, first.shape[-1])
        # (B * K, V) -> one (B, K_g, V) for each group
        split = list(torch.split(scores.reshape(batch, beams, -1), sizes, dim=1))
        found = _choose(found, split, sizes, strength)
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        places = [start + group.parents for start, group in zip(starts, found, strict=True)]
        stepper.reorder((rows * beams + torch.cat(places, dim=1)).reshape(-1))
    history = torch.cat([group.history for group in found], dim=1)
    return best_first(history, torch.cat([group.total for group in found], dim=1))


def group_sizes(beams: int, groups: int) -> list[int]:
    """Split a beam into groups whose sizes differ by one at most.

    Example:
        >>> group_sizes(7, 3), group_sizes(2, 5)
        ([3, 2, 2], [1, 1])
    """
    groups = min(groups, beams)
    return [beams // groups + (number < beams % groups) for number in range(groups)]


def _root(batch: int) -> _Group:
    return _Group(
        torch.zeros(batch, 1),
        torch.zeros(batch, 1, 0, dtype=torch.long),
        torch.zeros(batch, 1, dtype=torch.long),
    )


def _choose(
    groups: list[_Group], scores: list[Tensor], sizes: list[int], strength: float
) -> list[_Group]:
    """Let the groups choose their continuations in turn."""
    batch, _, vocab = scores[0].shape
    given = torch.zeros(batch, vocab)
    chosen = []
    for group, log_probs, size in zip(groups, scores, sizes, strict=True):
        new = _extend(group, log_probs, strength * given, size)
        counts = (new.tokens != PAD) & (new.total > NEVER)
        given.scatter_add_(1, new.tokens, counts.float())
        chosen.append(new)
    return chosen


def _extend(
    group: _Group,
    log_probs: Float[Tensor, "batch parents vocab"],
    cost: Float[Tensor, "batch vocab"],
    size: int,
) -> _Group:
    vocab = log_probs.shape[-1]
    if group.history.shape[-1] > 0:
        # a finished hypothesis goes on with padding only, at no cost
        log_probs = torch.where(group.done[..., None], certain(PAD, 1, vocab), log_probs)
    candidates = group.total[..., None] + log_probs
    # a vocabulary smaller than the group leaves hypotheses that are dead from here
    missing = max(0, size - candidates[0].numel())
    ranked = (candidates - cost[:, None]).flatten(1)
    # (B, K * V) -> (B, K')
    places = ranked.topk(size - missing, dim=1).indices
    total = functional.pad(candidates.flatten(1).gather(1, places), (0, missing), value=NEVER)
    tokens = functional.pad(places % vocab, (0, missing), value=EOS)
    parents = functional.pad(places // vocab, (0, missing))
    length = group.history.shape[-1]
    kept = group.history.gather(1, parents[..., None].expand(*parents.shape, length))
    return _Group(total, torch.cat([kept, tokens[..., None]], dim=-1), parents)
