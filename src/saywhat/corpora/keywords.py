"""Keyword targets: one to three words that a reply shall hold, whatever else it says.

The second goal beside the paper's whole sentences, after the targeted keyword attack of Cheng et
al. (2020), "Seq2Sick". The words come from replies that the chatbot really gave to held-out posts,
so that some reply is known to hold them all; stop words are no keywords.

The similarity for them is ``contains``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from saywhat.errors import CorpusError
from saywhat.records import Target
from saywhat.rng import fraction
from saywhat.text.stopwords import content_words

COUNTS: Final = (1, 2, 3)


def keyword_targets(
    replies: Iterable[str],
    *,
    per_count: int,
    seed: int,
    counts: Sequence[int] = COUNTS,
    short: Callable[[str], None] | None = None,
) -> list[Target]:
    """Pick ``per_count`` distinct sets of keywords of each size.

    A reply gives one set of each size that it has content words for, drawn by hash. Neither the
    order of the replies nor how often each was given matters: a generic reply is one reply. Sets
    that hold the same words are one target.

    Args:
        replies: of the chatbot, to posts that no training saw.
        per_count: targets of each size.
        seed: which ones.
        counts: how many keywords a target has.
        short: is told of a size with too few sets, all of which are then taken. ``None``: that is
            an error.

    Returns:
        Targets of the list ``keywords``, whose length group is the number of keywords and whose
        text is the keywords in the order of the reply; of replies that give the same ones, of the
        first by spelling.

    Raises:
        CorpusError: a size has too few sets, and ``short`` is ``None``.

    Example:
        >>> keyword_targets(["I like strong coffee!"], per_count=1, seed=1, counts=[2])
        [Target(text='strong coffee', list='keywords', length='2', query='', seen=False)]
    """
    words = [content_words([reply]) for reply in sorted(set(replies))]
    picked: list[Target] = []
    for count in counts:
        texts = _sets([each for each in words if len(each) >= count], count, seed)
        if len(texts) < per_count:
            shortage = f"Expected {per_count} targets of {count} keywords, found {len(texts)}"
            if short is None:
                raise CorpusError(f"{shortage}; give more replies or ask for fewer targets.")
            short(f"{shortage}; all are taken.")
        picked += [Target(text, list="keywords", length=str(count)) for text in texts[:per_count]]
    return picked


def _sets(replies: Iterable[list[str]], count: int, seed: int) -> list[str]:
    """Give a set of ``count`` words for each reply, distinct, in the order of their hash."""
    distinct: dict[frozenset[str], str] = {}
    for words in replies:
        chosen = sorted(words, key=lambda word: fraction("keyword", seed, count, word, *words))
        kept = frozenset(chosen[:count])
        text = " ".join(word for word in words if word in kept)
        distinct.setdefault(kept, text)
    return sorted(distinct.values(), key=lambda text: fraction("keywords", seed, text))
