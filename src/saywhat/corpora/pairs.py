"""(query, reply) pairs for training a chatbot, and posts for asking one.

What a person says last before the other answers is the query; the first message of the answer is
the reply. Two further views of the same exchange (the whole turn as the query; a long message cut
to its first sentence) teach the chatbot both short and long inputs. Pairs repeat no text and keep
each reply to a bounded number of occurrences, which is data filtering against generic replies
(Csaky et al., 2019, by simpler means).
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator

from saywhat.corpora.conversations import Conversation, sentences
from saywhat.records import Pair
from saywhat.rng import fraction
from saywhat.text.normalise import normalise, word_count


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """A query and its reply, and the turns before them.

    Attributes:
        context: the turns before, the last one last, each as one text.
        query: what is answered.
        reply: the answer.
    """

    context: tuple[str, ...]
    query: str
    reply: str


def exchanges(conversation: Conversation) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Give (turn, next turn) for each change of speaker."""
    yield from itertools.pairwise(conversation.turns)


def first_sentence(messages: tuple[str, ...], max_words: int) -> str:
    """Give the first message, cut to its first sentence when it is longer than ``max_words``."""
    message = messages[0]
    return message if word_count(message) <= max_words else sentences(message)[0]


def training_exchanges(
    conversations: Iterable[Conversation], *, max_words: int, max_per_reply: int, turns: int = 0
) -> list[Exchange]:
    """Make the chatbot's training examples, which are the same pairs whatever ``turns`` is.

    Args:
        conversations: the chatbot's own split.
        max_words: longer replies are left out; queries are cut to their last ``2 * max_words``.
        max_per_reply: the most pairs kept with the same (normalised) reply; the first ones win.
        turns: before the query, at most; see ``context_of``.
    """
    kept: list[Exchange] = []
    seen: set[tuple[str, str]] = set()
    replies: Counter[str] = Counter()
    for conversation in conversations:
        for place, (turn, following) in enumerate(exchanges(conversation)):
            reply = first_sentence(following, max_words)
            key = normalise(reply)
            if not key or word_count(reply) > max_words:
                continue
            for text in dict.fromkeys((turn[-1], " ".join(turn))):
                query = _last_words(text, 2 * max_words)
                identity = (normalise(query), key)
                if identity[0] and identity not in seen and replies[key] < max_per_reply:
                    seen.add(identity)
                    replies[key] += 1
                    context = context_of(conversation, place, turns=turns, max_words=max_words)
                    kept.append(Exchange(context, query, reply))
    return kept


def training_pairs(
    conversations: Iterable[Conversation], *, max_words: int, max_per_reply: int
) -> list[Pair]:
    """Make the chatbot's training pairs: those of ``training_exchanges``."""
    found = training_exchanges(conversations, max_words=max_words, max_per_reply=max_per_reply)
    return [Pair(exchange.query, exchange.reply) for exchange in found]


def held_out_exchanges(
    conversations: Iterable[Conversation], *, max_words: int, turns: int = 0
) -> list[Exchange]:
    """Make examples for validation: last message and first answer, unfiltered but for length."""
    found = []
    for conversation in conversations:
        for place, (turn, following) in enumerate(exchanges(conversation)):
            reply = first_sentence(following, max_words)
            if normalise(reply) and normalise(turn[-1]) and word_count(reply) <= max_words:
                context = context_of(conversation, place, turns=turns, max_words=max_words)
                found.append(Exchange(context, turn[-1], reply))
    return found


def held_out_pairs(conversations: Iterable[Conversation], *, max_words: int) -> list[Pair]:
    """Make pairs for validation: those of ``held_out_exchanges``."""
    found = held_out_exchanges(conversations, max_words=max_words)
    return [Pair(exchange.query, exchange.reply) for exchange in found]


def context_of(
    conversation: Conversation, place: int, *, turns: int, max_words: int
) -> tuple[str, ...]:
    """Give some of the turns before a turn, each as one text of at most ``2 * max_words`` words.

    How many is drawn evenly from 0 to ``turns``, by a hash of the place, as far as there are any: a
    chatbot that always had turns before it in training would not know what to do without.

    Args:
        conversation: the conversation.
        place: of the turn.
        turns: given at most.
        max_words: half of the words kept of each, its last ones.
    """
    wanted = int(fraction("context", conversation.key, place) * (turns + 1))
    before = conversation.turns[max(0, place - wanted) : place]
    return tuple(_last_words(" ".join(turn), 2 * max_words) for turn in before)


def _last_words(text: str, count: int) -> str:
    return " ".join(text.split()[-count:])


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
