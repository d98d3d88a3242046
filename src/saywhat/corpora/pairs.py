"""(query, reply) pairs for training a chatbot, and posts for asking one.

What a person says last before the other answers is the query; the first message of the answer is
the reply. Two further views of the same exchange (the whole turn as the query; a long message cut
to its first sentence) teach the chatbot both short and long inputs. Pairs repeat no text and keep
each reply to a bounded number of occurrences, which is data filtering against generic replies
(Csaky et al., 2019, by simpler means).
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from saywhat.corpora.conversations import Conversation, sentences
from saywhat.records import Pair
from saywhat.text.normalise import normalise, word_count


def exchanges(conversation: Conversation) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give (turn, next turn) for each change of speaker."""
    yield from itertools.pairwise(conversation.turns)


def first_sentence(messages: tuple[str, ...], max_words: int) -> str:
    """Give the first message, cut to its first sentence when it is longer than ``max_words``."""
    message = messages[0]
    return message if word_count(message) <= max_words else sentences(message)[0]


def training_pairs(
    conversations: Iterable[Conversation], *, max_words: int, max_per_reply: int
) -> list[Pair]:
    """Make the chatbot's training pairs.

    Args:
        conversations: the chatbot's own split.
        max_words: longer replies are left out; queries are cut to their last ``2 * max_words``.
        max_per_reply: the most pairs kept with the same (normalised) reply; the first ones win.
    """
    kept: list[Pair] = []
    seen: set[tuple[str, str]] = set()
    replies: Counter[str] = Counter()
    for conversation in conversations:
        for turn, following in exchanges(conversation):
            reply = first_sentence(following, max_words)
            key = normalise(reply)
            if not key or word_count(reply) > max_words:
                continue
            for text in dict.fromkeys((turn[-1], " ".join(turn))):
                query = " ".join(text.split()[-2 * max_words :])
                identity = (normalise(query), key)
                if identity[0] and identity not in seen and replies[key] < max_per_reply:
                    seen.add(identity)
                    replies[key] += 1
                    kept.append(Pair(query, reply))
    return kept


def held_out_pairs(conversations: Iterable[Conversation], *, max_words: int) -> list[Pair]:
    """Make pairs for validation: last message and first answer, unfiltered but for length."""
    pairs = []
    for conversation in conversations:
        for turn, following in exchanges(conversation):
            reply = first_sentence(following, max_words)
            if normalise(reply) and normalise(turn[-1]) and word_count(reply) <= max_words:
                pairs.append(Pair(turn[-1], reply))
    return pairs


def posts(conversations: Iterable[Conversation], *, max_words: int) -> list[str]:
    """Give distinct (after normalisation) ordinary human utterances, in corpus order.

    Messages, their sentences, and turns joined from several messages, of 1 to ``max_words`` words.
    """
    kept: dict[str, str] = {}
    for conversation in conversations:
        for turn in conversation.turns:
            joined = [" ".join(pair) for pair in itertools.pairwise(turn)]
            for text in (*turn, *(s for m in turn for s in sentences(m)), *joined):
                if 1 <= word_count(text) <= max_words:
                    kept.setdefault(normalise(text), text)
    return list(kept.values())
