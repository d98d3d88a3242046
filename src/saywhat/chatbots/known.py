"""Chatbots whose every reply is known beforehand: an auditor must be auditable.

With a ``CipherChatbot`` the query for any target can be computed, so that a method can be held
against the truth; a ``DeafChatbot`` can say one thing only, so that any further success is false; a
``LookupChatbot`` says what a table says. ``FailingChatbot`` and ``CountingChatbot`` wrap another
chatbot, to see how failures are treated and what was really sent.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, final

from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot
from saywhat.rng import derive, fraction

# everyday words, so that word vectors know them
_EVERYDAY: Final = """
i you he she we they it this that what who where when why how yes no not is are was were be have
has had do does did can could will would should go going come see know think want like love hate
need say tell ask eat drink sleep work play read write buy give take make help the a an my your
his her our and or but so because with without for from to in on at of good bad big small new
old happy sad red blue hot cold today tomorrow yesterday now never always here there home school
city friend mother father dog cat house car book music food water coffee tea money time day
night morning week year name people man woman child one two three
"""
CIPHER_WORDS: Final = tuple(_EVERYDAY.split())


@final
class CipherChatbot:
    """Rewrites a query word by word with a secret permutation of a closed word list.

    The permutation is a single cycle (Sattolo, 1986), so that no listed word stands for itself and
    an echo is never the right answer. Words are what stands between spaces; unlisted ones are kept.

    Args:
        words: the closed word list.
        seed: which permutation.

    Raises:
        SetupError: the list is empty, repeats a word, or holds an entry that is not one word.

    Example:
        >>> chatbot = CipherChatbot(["a", "b"])
        >>> chatbot.reply(["a b zebra"]), chatbot.invert("b a zebra")
        (['b a zebra'], 'a b zebra')
    """

    def __init__(self, words: Sequence[str], *, seed: int = 0) -> None:
        if not words or len(set(words)) != len(words):
            raise SetupError("A cipher chatbot needs a non-empty list of distinct words.")
        if odd := [word for word in words if word.split() != [word]]:
            raise SetupError(f"A cipher chatbot's words hold no spaces; got {odd[0]!r}.")
        images, rng = list(words), derive(seed, "cipher")
        for last in range(len(images) - 1, 0, -1):
            other = rng.randrange(last)
            images[last], images[other] = images[other], images[last]
        self._images = dict(zip(words, images, strict=True))
        self._originals = {image: word for word, image in self._images.items()}
        self._fingerprint = _digest("cipher-1", self._images)

    @property
    def name(self) -> str:
        """``"cipher"``."""
        return "cipher"

    @property
    def fingerprint(self) -> str:
        """A hash of the permutation."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Rewrite each query."""
        return [_rewrite(query, self._images) for query in queries]

    def invert(self, reply: str) -> str:
        """Give the query that gets ``reply``, with single spaces between words."""
        return _rewrite(reply, self._originals)


@final
class DeafChatbot:
    """Says the same whatever it is asked: the negative control.

    Example:
        >>> DeafChatbot("no").reply(["hi", "you"])
        ['no', 'no']
    """

    def __init__(self, text: str = "i don't know .") -> None:
        self._text = text
        self._fingerprint = _digest("deaf-1", text)

    @property
    def name(self) -> str:
        """``"deaf"``."""
        return "deaf"

    @property
    def fingerprint(self) -> str:
        """A hash of the constant reply."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Give the constant reply to each query."""
        return [self._text] * len(queries)


@final
class EchoChatbot:
    """Says what it is asked.

    Example:
        >>> EchoChatbot().reply(["hi"])
        ['hi']
    """

    @property
    def name(self) -> str:
        """``"echo"``."""
        return "echo"

    @property
    def fingerprint(self) -> str:
        """A constant, as there is nothing to vary."""
        return _digest("echo-1")

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Give the queries back."""
        return list(queries)


@final
class LookupChatbot:
    """Says what a table says.

    Args:
        replies: the reply to each known query, matched exactly.
        default: the reply to any other query.

    Example:
        >>> LookupChatbot({"hi": "hello"}, default="what ?").reply(["hi", "you"])
        ['hello', 'what ?']
    """

    def __init__(self, replies: Mapping[str, str], *, default: str = "") -> None:
        self._replies, self._default = dict(replies), default
        self._fingerprint = _digest("lookup-1", sorted(self._replies.items()), default)

    @property
    def name(self) -> str:
        """``"lookup"``."""
        return "lookup"

    @property
    def fingerprint(self) -> str:
        """A hash of the table and the default."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Look each query up."""
        return [self._replies.get(query, self._default) for query in queries]


@final
class FailingChatbot:
    """Wraps a chatbot and fails on a fixed share of all queries.

    Whether a query is one of them depends on its hash alone. A batch that holds one fails as a
    whole, naming the first.

    Args:
        chatbot: the chatbot to wrap.
        rate: the share of queries that fail, in [0, 1].
        tries: a query fails in the first so many calls that hold it and succeeds afterwards;
            ``None`` is always.
        seed: which queries fail.

    Raises:
        SetupError: the rate is not in [0, 1] or ``tries`` is negative.

    Example:
        >>> FailingChatbot(EchoChatbot(), rate=0.0).reply(["hi"])
        ['hi']
    """

    def __init__(
        self, chatbot: Chatbot, rate: float, *, tries: int | None = None, seed: int = 0
    ) -> None:
        if not 0 <= rate <= 1:
            raise SetupError(f"A failure rate lies in [0, 1]; got {rate}.")
        if tries is not None and tries < 0:
            raise SetupError(f"The number of failing tries is 0 or more; got {tries}.")
        self._chatbot, self._rate, self._tries, self._seed = chatbot, rate, tries, seed
        self._tried: Counter[str] = Counter()
        self._fingerprint = _digest("failing-1", chatbot.fingerprint, rate, tries, seed)

    @property
    def name(self) -> str:
        """``"failing-"`` and the wrapped chatbot's name."""
        return f"failing-{self._chatbot.name}"

    @property
    def fingerprint(self) -> str:
        """A hash of the wrapped chatbot's fingerprint and of which queries fail."""
        return self._fingerprint

    def fails(self, query: str) -> bool:
        """Whether a query is one of those that fail."""
        return fraction("failing", self._seed, ascii(query)) < self._rate

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Fail, or answer as the wrapped chatbot does.

        Raises:
            ChatbotError: a query of the batch is to fail.
        """
        due = []
        for query in dict.fromkeys(queries):
            if self.fails(query) and (self._tries is None or self._tried[query] < self._tries):
                self._tried[query] += 1
                due.append(query)
        if due:
            raise ChatbotError("This chatbot was told to fail", query=due[0])
        return self._chatbot.reply(queries)


@final
class CountingChatbot:
    """Wraps a chatbot and keeps each batch that reached it; otherwise it is the same chatbot.

    Attributes:
        batches: every batch received, also those that the wrapped chatbot failed on.

    Example:
        >>> chatbot = CountingChatbot(EchoChatbot())
        >>> chatbot.reply(["hi", "you"]), chatbot.batches
        (['hi', 'you'], [('hi', 'you')])
    """

    def __init__(self, chatbot: Chatbot) -> None:
        self._chatbot = chatbot
        self.batches: list[tuple[str, ...]] = []

    @property
    def name(self) -> str:
        """The wrapped chatbot's name."""
        return self._chatbot.name

    @property
    def fingerprint(self) -> str:
        """The wrapped chatbot's fingerprint: counting changes no reply."""
        return self._chatbot.fingerprint

    @property
    def received(self) -> list[str]:
        """Every query received, in order."""
        return [query for batch in self.batches for query in batch]

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Keep the batch, then answer as the wrapped chatbot does."""
        self.batches.append(tuple(queries))
        return self._chatbot.reply(queries)


def make(name: str, _: ConnectionSettings, __: ModelSettings) -> Chatbot:
    """Make a chatbot of this module: the factory of ``known:NAME``.

    Args:
        name: ``cipher`` (over ``CIPHER_WORDS``), ``deaf`` or ``echo``.

    Raises:
        UnknownNameError: there is no chatbot of that name.

    Example:
        >>> make("echo", ConnectionSettings(), ModelSettings()).reply(["hi"])
        ['hi']
    """
    if name == "cipher":
        return CipherChatbot(CIPHER_WORDS)
    if name == "deaf":
        return DeafChatbot()
    if name == "echo":
        return EchoChatbot()
    raise UnknownNameError("known chatbot", name, ["cipher", "deaf", "echo"])


def _rewrite(text: str, words: Mapping[str, str]) -> str:
    return " ".join(words.get(word, word) for word in text.split())


def _digest(kind: str, *parts: object) -> str:
    return hashlib.sha256(json.dumps([kind, *parts], sort_keys=True).encode()).hexdigest()
