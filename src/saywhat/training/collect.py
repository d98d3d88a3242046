"""Build the reference corpus: ask the chatbot ordinary posts (Section 5.1.2, "Pre-training")."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from saywhat.errors import NothingToLearnError, SetupError
from saywhat.ledger import LedgeredChatbot
from saywhat.records import Pair
from saywhat.text.normalise import normalise, word_count

_ONE_FOR_ALL: Final = 0.99
"""Share of one reply from which on there is too little else to learn from."""


def collect(
    chatbot: LedgeredChatbot,
    posts: Sequence[str],
    *,
    batch_size: int,
    report: Callable[[int], None] = lambda _: None,
) -> list[Pair]:
    """Ask every post and give the pairs, in the order of the posts.

    Each reply is on disk before the next batch is asked; asking again after a crash answers what is
    known from the ledger. Posts that the chatbot failed on and empty replies give no pair.

    Args:
        chatbot: behind the ledger, in phase ``reference``.
        posts: what to ask.
        batch_size: posts in one call.
        report: told the number of posts done after each batch.

    Raises:
        BudgetError: the ledger's limit was reached; what was bought is kept.
    """
    pairs = []
    for start in range(0, len(posts), batch_size):
        batch = posts[start : start + batch_size]
        answers = chatbot.ask(batch, scope=f"posts {start}")
        pairs += [Pair(a.query, a.reply) for a in answers if a.reply]
        report(start + len(batch))
    return pairs


def check_replies(pairs: Sequence[Pair], *, max_words: int) -> None:
    """See that a generator can learn from a reference corpus, before it takes its time.

    Args:
        pairs: the corpus.
        max_words: of a target of REINFORCE.

    Raises:
        NothingToLearnError: the chatbot gave nearly every post one reply.
        SetupError: every reply is longer than a target may be.
    """
    words = [count for pair in pairs if (count := word_count(pair.reply))]
    if not words or min(words) > max_words:
        shortest = f"; the shortest has {min(words)}" if words else ""
        raise SetupError(
            f"None of the {len(pairs):,} replies of the reference corpus has 1 to {max_words} "
            f"words, so REINFORCE would have no target{shortest}. Set "
            "reinforce.max_target_words higher, or have the chatbot reply more shortly."
        )
    said = Counter(normalise(pair.reply) for pair in pairs)
    usual, times = said.most_common(1)[0]
    if times >= _ONE_FOR_ALL * len(pairs):
        reply = next(pair.reply for pair in pairs if normalise(pair.reply) == usual)
        raise NothingToLearnError(
            f"To {times:,} of {len(pairs):,} posts the chatbot said {reply!r}: what it is asked "
            "decides too little for a generator to learn from. See that it works (saywhat chat) "
            "and, if it was trained, that its training did."
        )
