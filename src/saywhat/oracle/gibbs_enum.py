"""Gibbs-enum: coordinate ascent on the words of a query, with the chatbot's weights in hand.

He and Glass (2019), "Detecting egregious responses in neural sequence-to-sequence models".

Several queries, the chains, are improved side by side. Place by place, the words that promise most
by the gradient are tried, all of them exactly, and the best one stays. The search ends when the
chatbot says the target, when no place can be improved, or after the last sweep.

A target that is found is reachable. One that is not may be reachable all the same: what is found
bounds reachability from below.

Departures from the paper:

1. The objective is by how much the target's words win or lose in the chatbot's own decoding rule,
   not their likelihood, which is a setting (see ``white_box``).
2. Chains begin at those of many ordinary posts that are best by the objective, not at samples of a
   language model, and have their lengths; no language model keeps them fluent.
3. What the weights say is never believed: a target is reachable when the chatbot, asked, says it.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from jaxtyping import Float
from torch import Tensor

from saywhat.config import OracleSettings
from saywhat.interfaces import Similarity
from saywhat.oracle.white_box import Goal, WhiteBox
from saywhat.text.normalise import same_words
from saywhat.text.vocabulary import SPECIALS, UNK

NAME: Final = "oracle-gibbs-enum"
Replies = Callable[[Sequence[str]], Sequence[str | None]]
"""Asks the chatbot; ``None`` for a query that failed."""


@final
@dataclass(frozen=True, slots=True)
class OracleFinding:
    """What the oracle found for one target.

    Attributes:
        target: the target.
        reachable: whether the chatbot, asked, said it word for word.
        query: the best query asked.
        reply: what the chatbot said to it.
        similarity: of that reply; ``None`` if nothing was answered.
        mean_log_prob: the highest mean log-probability of the target's tokens under any query
            looked at, by the network itself; ``None`` if the decoder can never write the target.
        min_log_prob: the highest log-probability of its least likely token.
        asked: distinct queries asked.
        passes: queries that ran through the network to be assessed.
        gradients: queries that ran through it backwards.
        reason: why nothing was looked for; ``""`` otherwise.
        method: ``NAME``, on every record: no search found this.
    """

    target: str
    reachable: bool
    query: str
    reply: str
    similarity: float | None
    mean_log_prob: float | None
    min_log_prob: float | None
    asked: int
    passes: int
    gradients: int
    reason: str = ""
    method: str = NAME


@dataclass(slots=True)
class _Chain:
    """A query under improvement."""

    words: list[int]
    objective: float
    live: bool = True


def gibbs_enum(
    box: WhiteBox,
    target: str,
    ask: Replies,
    posts: Sequence[str],
    *,
    similarity: Similarity,
    settings: OracleSettings,
    rng: random.Random,
) -> OracleFinding:
    """Look for a query that makes the chatbot say a target, with its weights in hand.

    Args:
        box: the opened chatbot.
        target: what it shall say.
        ask: asks the real one.
        posts: ordinary queries, to begin from; those of unknown words are passed over.
        similarity: of replies to the target.
        settings: of the search.
        rng: draws the posts.

    Raises:
        ValueError: no post can begin a chain.
    """
    goal = box.goal(target, objective=settings.objective)
    if goal is None:
        reason = "its decoder can never write it: an unknown word, or too many"
        return OracleFinding(target, False, "", "", None, None, None, 0, 0, 0, reason)
    search = _GibbsEnum(box, goal, _Asked(target, ask, similarity), settings)
    search.begin(_starts(box, posts, settings, rng))
    for _ in range(settings.sweeps):
        if not search.sweep():
            break
    return search.finding()


@final
class _Asked:
    """What the real chatbot said, each query once."""

    def __init__(self, target: str, ask: Replies, similarity: Similarity) -> None:
        self.target, self._ask, self._similarity = target, ask, similarity
        self._replies: dict[str, str | None] = {}
        self.best: tuple[float, bool, str, str] | None = None

    @property
    def number(self) -> int:
        """How many queries were asked."""
        return len(self._replies)

    def hit(self) -> bool:
        """Whether the target was said, word for word."""
        return self.best is not None and self.best[1]

    def __call__(self, queries: Iterable[str]) -> None:
        """Ask what was not asked yet, and keep the best: an exact one, then the most similar."""
        fresh = [query for query in dict.fromkeys(queries) if query not in self._replies]
        if not fresh:
            return
        replies = list(self._ask(fresh))
        self._replies |= zip(fresh, replies, strict=True)
        known = [(q, r) for q, r in zip(fresh, replies, strict=True) if r is not None]
        scores = self._similarity.score([reply for _, reply in known], [self.target] * len(known))
        for (query, reply), score in zip(known, scores, strict=True):
            exact = same_words(reply, self.target)
            if self.best is None or (exact, score) > (self.best[1], self.best[0]):
                self.best = (score, exact, query, reply)


@final
class _GibbsEnum:
    """The search for one target."""

    def __init__(self, box: WhiteBox, goal: Goal, asked: _Asked, settings: OracleSettings) -> None:
        self._box, self._goal, self._asked, self._settings = box, goal, asked, settings
        self._chains: list[_Chain] = []
        self._passes = self._gradients = 0
        self._mean = self._least = float("-inf")

    def begin(self, starts: Sequence[list[int]]) -> None:
        """Let the best of these begin the chains, and ask them."""
        objective = self._assess(starts)
        best = objective.argsort(descending=True, stable=True)[: self._settings.chains].tolist()
        self._chains = [_Chain(list(starts[i]), float(objective[i])) for i in best]
        self._asked(self._texts(chain.words for chain in self._chains))

    def sweep(self) -> bool:
        """Improve every place of every chain once; gives whether there is more to do."""
        if self._asked.hit():
            return False
        before = [list(chain.words) for chain in self._chains]
        for place in range(max(len(chain.words) for chain in self._chains)):
            chains = [c for c in self._chains if c.live and place < len(c.words)]
            if chains:
                self._improve(chains, place)
            if self._asked.hit():
                return False
        for chain, words in zip(self._chains, before, strict=True):
            chain.live = chain.live and chain.words != words
        self._asked(self._texts(chain.words for chain in self._chains))
        return any(chain.live for chain in self._chains) and not self._asked.hit()

    def finding(self) -> OracleFinding:
        """Say what was found."""
        score, exact, query, reply = self._asked.best or (None, False, "", "")
        return OracleFinding(
            target=self._asked.target,
            reachable=exact,
            query=query,
            reply=reply,
            similarity=score,
            mean_log_prob=self._mean,
            min_log_prob=self._least,
            asked=self._asked.number,
            passes=self._passes,
            gradients=self._gradients,
        )

    def _improve(self, chains: Sequence[_Chain], place: int) -> None:
        """Try words at one place of each chain, exactly, and keep the best."""
        slopes = self._box.gradient([chain.words for chain in chains], self._goal)
        self._gradients += len(chains)
        tried: list[list[int]] = []
        owners: list[_Chain] = []
        for chain, slope in zip(chains, slopes, strict=True):
            promising = promise(slope[place], self._box.embeddings, current=chain.words[place])
            k = min(self._settings.candidates, len(promising) - len(SPECIALS) - 1)
            for word in promising.topk(max(0, k)).indices.tolist():
                words = [*chain.words[:place], word, *chain.words[place + 1 :]]
                if self._box.text_of(words) is not None:
                    tried.append(words)
                    owners.append(chain)
        if not tried:
            return
        for words, chain, value in zip(tried, owners, self._assess(tried).tolist(), strict=True):
            if value > chain.objective:
                chain.words, chain.objective = words, value

    def _assess(self, queries: Sequence[list[int]]) -> Float[Tensor, " rows"]:
        """Give the objective of each; ask those that are hits by the weights, clearest first."""
        found = self._box.assess(queries, self._goal)
        self._passes += len(queries)
        self._mean = max(self._mean, float(found.log_probs.mean(dim=1).max()))
        self._least = max(self._least, float(found.log_probs.amin(dim=1).max()))
        hits = (found.margin > 0).nonzero()[:, 0].tolist()
        for row in sorted(hits, key=lambda row: -float(found.margin[row])):
            if self._asked.hit():
                break
            self._asked(self._texts([queries[row]]))
        return found.objective

    def _texts(self, queries: Iterable[Sequence[int]]) -> list[str]:
        return [text for words in queries if (text := self._box.text_of(words)) is not None]


def promise(
    slope: Float[Tensor, " embedding"],
    embeddings: Float[Tensor, "vocab embedding"],
    *,
    current: int,
) -> Float[Tensor, " vocab"]:
    """Give what each word promises at a place, to first order: the change of the objective.

    Special symbols and the word that is there promise minus infinity.

    Args:
        slope: gradient of the objective with respect to the embedding at the place.
        embeddings: of all words.
        current: the word that is there.

    Example:
        >>> import torch
        >>> slope, embeddings = torch.tensor([1.0]), torch.arange(7.0)[:, None]
        >>> promise(slope, embeddings, current=5).tolist()
        [-inf, -inf, -inf, -inf, -1.0, -inf, 1.0]
    """
    change = (embeddings - embeddings[current]) @ slope
    change[: len(SPECIALS)] = float("-inf")
    change[current] = float("-inf")
    return change


def _starts(
    box: WhiteBox, posts: Sequence[str], settings: OracleSettings, rng: random.Random
) -> list[list[int]]:
    """Draw posts that a chain can begin at: of known words, short, and the same words as text."""
    order = list(dict.fromkeys(posts))
    rng.shuffle(order)
    starts: dict[tuple[int, ...], None] = {}
    for post in order:
        words = box.encode(post)
        fits = 1 <= len(words) <= settings.max_words and UNK not in words
        if fits and box.text_of(words) is not None:
            starts[tuple(words)] = None
        if len(starts) == settings.pool:
            break
    if not starts:
        raise ValueError(
            f"Expected a post of at most {settings.max_words} known words, got {len(posts)} posts."
        )
    return [list(words) for words in starts]
