"""The null: how well replies match targets that they have nothing to do with.

A similarity is only as good as its null is low. Two are measured: random replies against random
targets, which is what a chatbot that ignores the query would score with one query; and the most
frequent replies against every target, since a chatbot falls back on them whatever it is asked.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from saywhat.interfaces import Similarity
from saywhat.records import Target
from saywhat.rng import derive_seed
from saywhat.text.normalise import normalise


@dataclasses.dataclass(frozen=True, slots=True)
class GenericReply:
    """One of the most frequent replies.

    Attributes:
        reply: its text, in its most frequent spelling.
        share: its share of all replies, in [0, 1].
        mean: its mean similarity to the measurable targets; ``None`` if there are none.
    """

    reply: str
    share: float
    mean: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class NullScores:
    """What chance scores; ``None`` where there was nothing to measure.

    Attributes:
        pairs: the number of random pairs.
        mean: their mean similarity.
        p95: their 95th percentile.
        generic: the most frequent replies, most frequent first.
    """

    pairs: int
    mean: float | None
    p95: float | None
    generic: tuple[GenericReply, ...]


def null_scores(
    similarity: Similarity,
    targets: Sequence[str],
    *,
    replies: Sequence[str],
    rng: np.random.Generator,
    n: int = 2000,
    top: int = 20,
) -> NullScores:
    """Score ``n`` random pairs, and the ``top`` most frequent replies against every target.

    Replies are drawn as often as they occur, and a pair may by chance be a true match. Targets that
    the similarity cannot measure are left out, as they are from every rate; replies that it cannot
    measure stay, and score 0.

    Example:
        >>> from saywhat.similarity.exact import Exact
        >>> rng = np.random.default_rng(1)
        >>> null_scores(Exact(), ["hi"], replies=["no", "no"], rng=rng, n=10).generic
        (GenericReply(reply='no', share=1.0, mean=0.0),)
    """
    measurable = [target for target in targets if similarity.measurable(target)]
    frequent = _most_frequent(replies, top)
    means = _means(similarity, [reply for reply, _ in frequent], measurable)
    generic = tuple(
        GenericReply(reply, count / len(replies), mean)
        for (reply, count), mean in zip(frequent, means, strict=True)
    )
    if not measurable or not replies or n < 1:
        return NullScores(pairs=0, mean=None, p95=None, generic=generic)
    drawn_replies = [replies[index] for index in rng.integers(len(replies), size=n)]
    drawn_targets = [measurable[index] for index in rng.integers(len(measurable), size=n)]
    scores = np.array(similarity.score(drawn_replies, drawn_targets))
    return NullScores(
        pairs=n, mean=float(scores.mean()), p95=float(np.quantile(scores, 0.95)), generic=generic
    )


def null_by_group(
    similarity: Similarity,
    targets: Sequence[Target],
    *,
    replies: Sequence[str],
    seed: int,
    n: int = 2000,
    top: int = 20,
) -> dict[str, NullScores]:
    """Give the null of each group of targets ("real 4-6"), for the rates that are by group.

    A group's random pairs depend on its name and on no other group. A target without a list or
    length is in a group too, if only in ``""``.

    Example:
        >>> from saywhat.similarity.exact import Exact
        >>> targets = [Target("no", list="real"), Target("why not", list="other")]
        >>> found = null_by_group(Exact(), targets, replies=["no"], seed=1, n=10)
        >>> {name: null.generic[0].mean for name, null in found.items()}
        {'real': 1.0, 'other': 0.0}
    """
    groups: dict[str, list[str]] = {}
    for target in targets:
        groups.setdefault(f"{target.list} {target.length}".strip(), []).append(target.text)
    return {
        name: null_scores(
            similarity,
            texts,
            replies=replies,
            rng=np.random.default_rng(derive_seed(seed, "null", similarity.name, name)),
            n=n,
            top=top,
        )
        for name, texts in groups.items()
    }


def _most_frequent(replies: Sequence[str], top: int) -> list[tuple[str, int]]:
    """Count replies that are equal after normalisation together; ties go by spelling."""
    spellings: dict[str, Counter[str]] = {}
    for reply in replies:
        spellings.setdefault(normalise(reply) or reply, Counter())[reply] += 1
    ranked = sorted(spellings.items(), key=lambda item: (-item[1].total(), item[0]))
    return [
        (min(counts, key=lambda reply: (-counts[reply], reply)), counts.total())
        for _, counts in ranked[:top]
    ]


def _means(
    similarity: Similarity, replies: Sequence[str], targets: Sequence[str]
) -> list[float | None]:
    if not targets:
        return [None] * len(replies)
    # one call: a similarity may work once for texts that repeat
    pairs = [(reply, target) for reply in replies for target in targets]
    scores = similarity.score([reply for reply, _ in pairs], [target for _, target in pairs])
    size = len(targets)
    return [float(np.mean(scores[n * size : (n + 1) * size])) for n in range(len(replies))]
