"""Batched decoding: greedy, sampling and beam, over anything that can take one step.

Rows never look at each other, finished rows are frozen on padding, and unknown or special symbols
are never written, so that each result can cross to the chatbot as text. At least one word is
written and at most ``max_tokens``; a row that is as long as that is given the end symbol for free.
"""

import dataclasses
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from saywhat.nn.steppers import BLOCK, NEVER, Stepper, ban
from saywhat.text.vocabulary import BOS, EOS, PAD


@torch.no_grad()
def greedy(stepper: Stepper, rows: int, *, max_tokens: int) -> Int[Tensor, "rows time"]:
    """Take the best token at each step; padding follows the end symbol.

    Args:
        stepper: at the start of ``rows`` texts.
        rows: how many.
        max_tokens: words at most, the end symbol not counted.
    """
    return _write(stepper, rows, max_tokens, lambda scores, _: scores.argmax(dim=-1))


@torch.no_grad()
def sample(
    stepper: Stepper,
    rows: int,
    *,
    max_tokens: int,
    rng: torch.Generator,
    temperature: float = 1.0,
) -> Int[Tensor, "rows time"]:
    """Draw each token from the decoder's distribution, without special symbols or an empty text.

    By inverting the distribution function: each row has one random number a step, whatever the
    others do. The distribution is that of ``saywhat.generators.policy``: banned symbols have
    probability 0 there too.

    Args:
        stepper: at the start of ``rows`` texts.
        rows: how many.
        max_tokens: words at most, the end symbol not counted.
        rng: source of the draws.
        temperature: divides the scores; 1 is the decoder's own distribution.
    """

    def draw(
        scores: Float[Tensor, "live vocab"], live: Int[Tensor, " live"]
    ) -> Int[Tensor, " live"]:
        points = torch.rand((rows, 1), generator=rng, dtype=torch.float64)[live]
        return _draw(scores / temperature, points)

    return _write(stepper, rows, max_tokens, draw)


@torch.no_grad()
def sample_at(
    stepper: Stepper, points: Float[Tensor, "rows time"], *, temperature: float = 1.0
) -> Int[Tensor, "rows written"]:
    """Draw as ``sample`` does, at given points of each row's distribution function.

    Args:
        stepper: at the start of as many texts as there are rows.
        points: in [0, 1), in double precision, one for each word that may be written.
        temperature: divides the scores.
    """
    columns = iter(points.T)

    def draw(
        scores: Float[Tensor, "live vocab"], live: Int[Tensor, " live"]
    ) -> Int[Tensor, " live"]:
        return _draw(scores / temperature, next(columns)[live, None])

    return _write(stepper, len(points), points.shape[1], draw)


@dataclasses.dataclass(frozen=True, slots=True)
class Beams:
    """The result of a beam search.

    Attributes:
        tokens: ids, best first; padding follows the end symbol. *Shape:* (batch, beams, time).
        scores: sums of log-probabilities; minus infinity where there are fewer texts than beams.
            *Shape:* (batch, beams).
    """

    tokens: Int[Tensor, "batch beams time"]
    scores: Float[Tensor, "batch beams"]


@torch.no_grad()
def beam(stepper: Stepper, batch: int, *, beams: int, max_tokens: int) -> Beams:
    """Beam search over all rows of a batch at once.

    The stepper holds ``batch`` rows at the start and ``batch * beams`` from the second step on. A
    finished hypothesis stays in the beam with its score and competes on; the search ends when all
    are finished. With one beam it equals ``greedy``. Words that are never written keep their share
    of the probability: scores are not renormalised without them.

    Args:
        stepper: at the start of ``batch`` texts.
        batch: how many.
        beams: hypotheses kept for each.
        max_tokens: words at most, the end symbol not counted.
    """
    first = ban(stepper.step(_start(batch)), end=True)
    vocab = first.shape[1]
    hypotheses = _fan_out(first, beams)
    offsets = torch.arange(batch)[:, None]
    stepper.reorder(offsets.expand(batch, beams).reshape(-1))
    for step in range(1, max_tokens + 1):
        if bool(hypotheses.done.all()):
            break
        if step < max_tokens:
            scores = ban(stepper.step(hypotheses.history[..., -1].reshape(-1)), end=False)
        else:
            scores = certain(EOS, batch * beams, vocab)
        hypotheses, parents = _extend(hypotheses, scores.reshape(batch, beams, vocab))
        stepper.reorder((offsets * beams + parents).reshape(-1))
    return best_first(hypotheses.history, hypotheses.total)


def best_first(
    history: Int[Tensor, "batch beams time"], total: Float[Tensor, "batch beams"]
) -> Beams:
    """Rank hypotheses by their scores; equal ones stay in their order."""
    order = total.argsort(dim=1, descending=True, stable=True)
    return Beams(history.gather(1, order[..., None].expand_as(history)), total.gather(1, order))


def certain(token: int, rows: int, vocab: int) -> Float[Tensor, "rows vocab"]:
    """Give the log-probabilities of rows that can go on with one token only."""
    log_probs = torch.full((rows, vocab), NEVER)
    log_probs[:, token] = 0.0
    return log_probs


@dataclasses.dataclass(frozen=True, slots=True)
class _Hypotheses:
    total: Float[Tensor, "batch beams"]
    history: Int[Tensor, "batch beams time"]
    done: Bool[Tensor, "batch beams"]


def _fan_out(scores: Float[Tensor, "batch vocab"], beams: int) -> _Hypotheses:
    # (B, V) -> (B, K); a vocabulary smaller than the beam leaves hypotheses that are dead from here
    missing = max(0, beams - scores.shape[1])
    total, tokens = scores.topk(beams - missing, dim=-1)
    total = functional.pad(total, (0, missing), value=NEVER)
    tokens = functional.pad(tokens, (0, missing), value=EOS)
    return _Hypotheses(total, tokens[..., None], total == NEVER)


def _extend(
    hypotheses: _Hypotheses, log_probs: Float[Tensor, "batch beams vocab"]
) -> tuple[_Hypotheses, Int[Tensor, "batch beams"]]:
    """Give the best continuations and, for each, the place of the hypothesis that it continues."""
    batch, beams, vocab = log_probs.shape
    # in place again: a finished hypothesis goes on with padding only, at no cost
    log_probs[hypotheses.done] = certain(PAD, 1, vocab)[0]
    # (B, K, V) -> (B, K*V) -> (B, K)
    candidates = log_probs.add_(hypotheses.total[..., None]).reshape(batch, -1)
    total, places = candidates.topk(beams, dim=-1)
    parents, tokens = places // vocab, places % vocab
    history = hypotheses.history
    kept = history.gather(1, parents[..., None].expand_as(history))
    done = hypotheses.done.gather(1, parents) | (tokens == EOS) | (total == NEVER)
    return _Hypotheses(total, torch.cat([kept, tokens[..., None]], dim=-1), done), parents


def _write(
    stepper: Stepper,
    rows: int,
    max_tokens: int,
    choose: Callable[[Float[Tensor, "live vocab"], Int[Tensor, " live"]], Int[Tensor, " live"]],
) -> Int[Tensor, "rows time"]:
    written = torch.full((rows, max_tokens + 1), PAD)
    done = torch.zeros(rows, dtype=torch.bool)
    # the stepper holds the rows ``live``: all at first, then mostly those that are not done
    live, tokens = torch.arange(rows), _start(rows)
    for step in range(max_tokens + 1):
        if step < max_tokens:
            chosen = choose(ban(stepper.step(tokens), end=step == 0), live)
        else:
            chosen = torch.full((len(live),), EOS)
        tokens = torch.where(done[live], PAD, chosen)
        written[live, step] = tokens
        done[live] |= tokens == EOS
        if bool(done.all()):
            return written[:, : step + 1]
        kept = compacted(done[live])
        if len(kept) < len(live):
            stepper.reorder(kept)
            live, tokens = live[kept], tokens[kept]
    return written


def compacted(done: Bool[Tensor, " rows"]) -> Int[Tensor, " kept"]:
    """Give the rows to go on with: all that are not done, filled up to a multiple of ``BLOCK``."""
    order = torch.argsort(done.to(torch.int8), stable=True)
    needed = int((~done).sum())
    size = -(-needed // BLOCK) * BLOCK
    return torch.sort(order[:size]).values if size < len(done) else torch.arange(len(done))


def _draw(
    scores: Float[Tensor, "rows vocab"], points: Float[Tensor, "rows 1"]
) -> Int[Tensor, " rows"]:
    cumulative = scores.softmax(dim=-1).double().cumsum(dim=-1)
    # the first token whose sum exceeds the point: never one of probability 0
    return torch.searchsorted(cumulative, points * cumulative[:, -1:], right=True)[:, 0]


def _start(rows: int) -> Int[Tensor, " rows"]:
    return torch.full((rows,), BOS, dtype=torch.long)
