"""Copy rate: how much of the target stands in the query already.

A chatbot that repeats what it is told can be made to say anything by saying it first. Such a query
is a success by the letter, and tells its reader nothing. A report says of each query what share of
the target's words it holds (``echo``), and how many successes hold half or more; the rates of this
module are in no report. Compare them with those of human queries and the replies to them, which are
not 0.
"""

import dataclasses
from collections.abc import Sequence
from typing import final

from saywhat.records import Finding
from saywhat.text.normalise import normalise, share_of_words
from saywhat.text.stopwords import content_words


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Copying:
    """What a query shares with its target.

    Attributes:
        words: share of the target's distinct words that the query holds, in [0, 1].
        content: the same of its content words; ``None`` if it has none.
        contained: whether the whole target stands in the query, word for word.
    """

    words: float
    content: float | None
    contained: bool


@final
@dataclasses.dataclass(frozen=True, slots=True)
class CopyRates:
    """Means over queries; ``None`` where there was nothing to measure.

    Attributes:
        queries: how many.
        words: mean share of the target's words.
        content: mean share of its content words, over the targets that have any.
        contained: share of queries that hold the whole target.
    """

    queries: int
    words: float | None
    content: float | None
    contained: float | None


def copying(query: str, target: str) -> Copying:
    """Compare a query with its target, as ``saywhat.text.normalise`` spells them.

    Example:
        >>> copying("Do you say 'I love tea'?", "I love tea!")
        Copying(words=1.0, content=1.0, contained=True)
        >>> copying("tea or coffee", "i love tea")
        Copying(words=0.3333333333333333, content=0.5, contained=False)
    """
    wanted = content_words([target])
    held = set(normalise(query).split())
    return Copying(
        words=share_of_words(target, query),
        content=sum(word in held for word in wanted) / len(wanted) if wanted else None,
        contained=_contains(normalise(query), normalise(target)),
    )


def copy_rates(pairs: Sequence[tuple[str, str]]) -> CopyRates:
    """Give the means over (query, target) pairs.

    Example:
        >>> copy_rates([("i love tea", "i love tea"), ("why", "because")])
        CopyRates(queries=2, words=0.5, content=1.0, contained=0.5)
    """
    each = [copying(query, target) for query, target in pairs]
    content = [one.content for one in each if one.content is not None]
    return CopyRates(
        queries=len(each),
        words=sum(one.words for one in each) / len(each) if each else None,
        content=sum(content) / len(content) if content else None,
        contained=sum(one.contained for one in each) / len(each) if each else None,
    )


def found_pairs(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Give the (query, target) pairs of the targets that were elicited."""
    return [(f.query, f.target) for f in findings if f.outcome == "elicited"]


def _contains(query: str, target: str) -> bool:
    return bool(target) and f" {target} " in f" {query} "
