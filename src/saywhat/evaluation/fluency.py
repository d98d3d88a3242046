r"""Fluency: how ordinary a query is, by a language model of posts that trained nothing else.

An interpolated Kneser-Ney trigram model (Kneser and Ney, 1995; in the form of Chen and Goodman,
1999, Section 2.7) of tokens, on posts that neither the chatbot nor the generator was trained on.
With the discount ``D``, ``c`` the count of an n-gram and ``N1+(. w)`` the number of distinct words
seen before ``w``::

    P(w | u v) = (max(c(u v w) - D, 0) + D N1+(u v .) P(w | v)) / c(u v .)
    P(w | v)   = the same with N1+(. v w) for c(u v w)
    P(w)       = the same with N1+(. w), interpolated with 1 / |V|

A history that was never seen is shortened. The second line counts ``c(<s> w)`` after the start of a
text, which nothing precedes. Words seen less than ``min_count`` times are one word, ``<unk>``.

Log-probabilities are natural, a mean over the tokens and the end of the text.
"""

import bisect
import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, final

from saywhat.evaluation.statistics import area_under_curve
from saywhat.rng import derive
from saywhat.text.tokenizer import detokenize, tokenize

START: Final = "<s>"
END: Final = "</s>"
UNKNOWN: Final = "<unk>"
_ENOUGH: Final = 200  # human posts that a query is compared with, if there are as many
_History = tuple[str, ...]


@final
class TrigramModel:
    """An interpolated Kneser-Ney trigram model.

    Args:
        texts: what it learns from.
        discount: taken from each count.
        min_count: the fewest times a word of the vocabulary occurs.

    Raises:
        ValueError: the discount is not between 0 and 1.

    Example:
        >>> model = TrigramModel(["a b", "a b", "b a"])
        >>> round(sum(model.probability(word, ("<s>", "a")) for word in model.words), 9)
        1.0
    """

    def __init__(self, texts: Iterable[str], *, discount: float = 0.75, min_count: int = 2) -> None:
        if not 0 < discount < 1:
            raise ValueError(f"Expected a discount between 0 and 1, got {discount}.")
        sentences = [tokenize(text) for text in texts]
        counts = Counter(token for sentence in sentences for token in sentence)
        kept = sorted(token for token, count in counts.items() if count >= min_count)
        self.words: tuple[str, ...] = (*kept, UNKNOWN, END)
        self._known, self._discount = frozenset(kept), discount
        self._counts = _continuations([self._framed(sentence) for sentence in sentences])

    def probability(self, word: str, history: Sequence[str]) -> float:
        """Give the probability of a word (one of ``words``) after a history.

        Args:
            word: one of ``words``; others count as unknown.
            history: the tokens before, of which the last two count; it begins with ``START`` at the
                beginning of a text.
        """
        word = word if word == END else self._fold(word)
        folded = tuple(each if each == START else self._fold(each) for each in history[-2:])
        return self._probability(word, folded)

    def log_prob(self, text: str) -> float:
        """Give the mean log-probability of a text's tokens and its end."""
        total, number = self._total(text)
        return total / number

    def perplexity(self, texts: Iterable[str]) -> float | None:
        """Give the perplexity of texts, each token weighing alike; ``None`` for no texts."""
        totals = [self._total(text) for text in texts]
        if not totals:
            return None
        return math.exp(-sum(t for t, _ in totals) / sum(n for _, n in totals))

    def _total(self, text: str) -> tuple[float, int]:
        framed = self._framed(tokenize(text))
        logs = (
            math.log(self._probability(framed[place], framed[max(0, place - 2) : place]))
            for place in range(1, len(framed))
        )
        return sum(logs), len(framed) - 1

    def _probability(self, word: str, history: _History) -> float:
        lower = self._probability(word, history[1:]) if history else 1 / len(self.words)
        found = self._counts.get(history)
        if found is None:
            return lower
        counts, total = found
        discounted = max(counts.get(word, 0) - self._discount, 0.0)
        return (discounted + self._discount * len(counts) * lower) / total

    def _framed(self, tokens: Iterable[str]) -> _History:
        return (START, *map(self._fold, tokens), END)

    def _fold(self, token: str) -> str:
        return token if token in self._known else UNKNOWN


def _continuations(sentences: Iterable[_History]) -> dict[_History, tuple[dict[str, int], int]]:
    """Give for each history the counts of what follows, as its order needs, and their total."""
    trigrams: Counter[_History] = Counter()
    starts: Counter[_History] = Counter()
    for words in sentences:
        trigrams.update(zip(words, words[1:], words[2:], strict=False))
        starts[words[:2]] += 1
    # a bigram's count is the number of words seen before it, which at the start is none: see above
    bigrams = Counter(trigram[1:] for trigram in trigrams) + starts
    unigrams = Counter(bigram[1:] for bigram in bigrams)
    counts: dict[_History, dict[str, int]] = {}
    for *history, word in (counted := trigrams + bigrams + unigrams):
        counts.setdefault(tuple(history), {})[word] = counted[(*history, word)]
    return {history: (found, sum(found.values())) for history, found in counts.items()}


@final
class Fluency:
    """How queries compare with human posts under a language model.

    Args:
        model: of posts.
        human: posts of other conversations: within one, people repeat each other and themselves,
            which would make them look more ordinary than any query can be.

    Example:
        >>> fluency = Fluency(TrigramModel(["how are you"] * 3), ["how are you", "you you you"])
        >>> fluency.ordinariness("how are you")
        0.75
    """

    def __init__(self, model: TrigramModel, human: Sequence[str]) -> None:
        self.model, self.human = model, tuple(human)
        scored: dict[int, list[float]] = {}
        for text in human:
            scored.setdefault(len(tokenize(text)), []).append(model.log_prob(text))
        self._scores = scored
        self._near = functools.cache(self._scores_near)

    def ordinariness(self, query: str) -> float | None:
        """Give the percentile of a query among human posts of similar length, in [0, 1].

        The share of them that the model finds less likely; one as likely counts half. 0.5 is as
        ordinary as a human post is on average. Of similar length are those with as many tokens, and
        the next ones to either side until there are 200.

        Returns:
            ``None`` for a query without a token, or without human posts.
        """
        length = len(tokenize(query))
        scores = self._near(length)
        if not length or not scores:
            return None
        score = self.model.log_prob(query)
        below, through = bisect.bisect_left(scores, score), bisect.bisect_right(scores, score)
        return (below + through) / 2 / len(scores)

    def _scores_near(self, length: int) -> list[float]:
        found: list[float] = []
        farthest = max((abs(each - length) for each in self._scores), default=-1)
        for distance in range(farthest + 1):
            if len(found) >= _ENOUGH:
                break
            for each in {length - distance, length + distance}:
                found.extend(self._scores.get(each, ()))
        return sorted(found)


def shuffle_auc(model: TrigramModel, posts: Sequence[str], *, seed: int) -> float | None:
    """Give how well the model tells posts from the same posts with their tokens shuffled.

    Args:
        model: of other posts.
        posts: those that a shuffle changes are used, each with one shuffle.
        seed: of the shuffles.

    Returns:
        The probability that a post is likelier than a shuffled one, of two drawn at random; 0.5 is
        chance. ``None`` if no post can be shuffled.
    """
    pairs = [(post, _shuffled(post, seed)) for post in posts]
    used = [(post, mixed) for post, mixed in pairs if tokenize(mixed) != tokenize(post)]
    return area_under_curve(
        [model.log_prob(post) for post, _ in used], [model.log_prob(mixed) for _, mixed in used]
    )


def _shuffled(text: str, seed: int) -> str:
    tokens = tokenize(text)
    derive(seed, "shuffle", text).shuffle(tokens)
    return detokenize(tokens)
