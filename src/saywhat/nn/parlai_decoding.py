"""How ParlAI's ``seq2seq`` agents write: greedy and beam search by their rules.

They differ from ``saywhat.nn.decoding``, and replies depend on it:

1. The start, unknown and end symbols may be written, also first.
2. A hypothesis that ends leaves its place in the beam to the others, and is kept aside. The search
   ends when the best place of the beam has ended once and enough hypotheses have.
3. Scores are divided by ``((2 + length) / 6) ** length_penalty`` (Wu et al., 2016), the end symbol
   counted in the length.

Rows never look at each other. Ids are those of the format: padding 0, start 1, end 2, unknown 3.
"""

import dataclasses

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saywhat.nn.decoding import compacted
from saywhat.nn.parlai import NEVER, ParlaiMemory, ParlaiSeq2Seq
from saywhat.text.vocabulary import BOS, EOS, PAD


@dataclasses.dataclass(frozen=True, slots=True)
class BeamRule:
    """The settings of a beam search.

    Attributes:
        beams: hypotheses kept for each row.
        max_tokens: symbols at most, the end symbol counted.
        enough: hypotheses that must have ended.
        min_tokens: symbols at least, the end symbol not counted.
        length_penalty: see the module.
        temperature: divides the logits.
    """

    beams: int
    max_tokens: int
    enough: float
    min_tokens: int = 0
    length_penalty: float = 0.65
    temperature: float = 1.0


@torch.no_grad()
def greedy(model: ParlaiSeq2Seq, memory: ParlaiMemory, *, max_tokens: int) -> list[list[int]]:
    """Take the best symbol but padding at each step.

    Args:
        model: the network.
        memory: of the sources.
        max_tokens: symbols at most, the end symbol counted.

    Returns:
        The ids of each row, without the end symbol.
    """
    rows = memory.state.shape[2]
    written = torch.full((rows, max_tokens), EOS)
    done = torch.zeros(rows, dtype=torch.bool)
    live, tokens = torch.arange(rows), torch.full((rows,), BOS)
    for step in range(max_tokens):
        logits, memory = model.step(tokens, memory)
        logits[:, PAD] = NEVER
        tokens = torch.where(done[live], EOS, logits.argmax(dim=1))
        written[live, step] = tokens
        done[live] |= tokens == EOS
        if bool(done.all()):
            break
        kept = compacted(done[live])
        if len(kept) < len(live):
            memory = memory.select(kept)
            live, tokens = live[kept], tokens[kept]
    return [_until_end(row) for row in written.tolist()]


@dataclasses.dataclass(frozen=True, slots=True)
class _Search:
    """The hypotheses of the rows that are searched on; ``live`` are their places in the batch."""

    live: Int[Tensor, " live"]
    total: Float[Tensor, "live beams"]
    history: Int[Tensor, "live beams time"]
    ended: Int[Tensor, " live"]
    led: Bool[Tensor, " live"]

    def select(self, rows: Int[Tensor, " kept"]) -> "_Search":
        return _Search(
            self.live[rows], self.total[rows], self.history[rows], self.ended[rows], self.led[rows]
        )


@torch.no_grad()
def beam(model: ParlaiSeq2Seq, memory: ParlaiMemory, rule: BeamRule) -> list[list[int]]:
    """Search all rows of a batch at once.

    Args:
        model: the network.
        memory: of the sources.
        rule: settings.

    Returns:
        The ids of each row's best hypothesis, without the end symbol.
    """
    rows = memory.state.shape[2]
    search = _start(rows, rule.beams)
    memory = memory.select(torch.arange(rows).repeat_interleave(rule.beams))
    best = torch.full((rows,), float("-inf"))
    texts: list[list[int]] = [[] for _ in range(rows)]
    done = torch.zeros(rows, dtype=torch.bool)
    for step in range(1, rule.max_tokens + 1):
        logits, memory = model.step(search.history[..., -1].flatten(), memory)
        scores = torch.log_softmax(logits / rule.temperature, dim=1)
        if step <= rule.min_tokens:
            scores[:, EOS] = NEVER
        search, parents = _extend(search, scores)
        _put_aside(search, done, best, texts, length_penalty=rule.length_penalty)
        done = done | (search.led & (search.ended >= rule.enough))
        if bool(done.all()):
            return texts
        kept = compacted(done)
        places = torch.arange(len(done))[:, None] * rule.beams + parents
        memory = memory.select(places[kept].flatten())
        search, done = search.select(kept), done[kept]
    for place, row in enumerate(search.live.tolist()):
        if best[row] == float("-inf"):  # none ended in time: the leader, its last symbol cut
            texts[row] = search.history[place, 0, 1:-1].tolist()
    return texts


def _start(rows: int, beams: int) -> _Search:
    total = torch.full((rows, beams), float("-inf"))
    total[:, 0] = 0.0  # all are equal at first: one is extended
    none = torch.zeros(rows, dtype=torch.long)
    return _Search(
        torch.arange(rows), total, torch.full((rows, beams, 1), BOS), none, none.to(torch.bool)
    )


def _extend(
    search: _Search, scores: Float[Tensor, "flat vocab"]
) -> tuple[_Search, Int[Tensor, "live beams"]]:
    """Give the extended hypotheses and the place of the one that each continues."""
    live, beams = search.total.shape
    vocab = scores.shape[1]
    total = search.total.masked_fill(search.history[..., -1] == EOS, NEVER)
    # (B, K, V) -> (B, K*V) -> (B, K)
    candidates = (scores.view(live, beams, vocab) + total[..., None]).view(live, -1)
    total, places = candidates.topk(beams, dim=1)
    parents, tokens = places // vocab, places % vocab
    history = search.history.gather(1, parents[..., None].expand_as(search.history))
    history = torch.cat([history, tokens[..., None]], dim=2)
    ends = tokens == EOS
    ended, led = search.ended + ends.sum(dim=1), search.led | ends[:, 0]
    return _Search(search.live, total, history, ended, led), parents


def _put_aside(
    search: _Search,
    done: Bool[Tensor, " live"],
    best: Float[Tensor, " batch"],
    texts: list[list[int]],
    *,
    length_penalty: float,
) -> None:
    """Note the hypotheses that have just ended, where they are the best of their row so far."""
    ends = (search.history[..., -1] == EOS) & ~done[:, None]
    # the start symbol is in the history
    penalty = ((1 + search.history.shape[2]) / 6) ** length_penalty
    highest, places = (search.total / penalty).masked_fill(~ends, float("-inf")).max(dim=1)
    for index in torch.nonzero(highest > best[search.live])[:, 0].tolist():
        row = int(search.live[index])
        best[row] = highest[index]
        texts[row] = search.history[index, places[index], 1:-1].tolist()


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(EOS)] if EOS in ids else ids
