"""Build the reference corpus: ask the chatbot ordinary posts (Section 5.1.2, "Pre-training")."""

from collections.abc import Callable, Sequence

from saywhat.ledger import LedgeredChatbot
from saywhat.records import Pair


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
