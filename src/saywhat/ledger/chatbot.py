"""A chatbot seen through the ledger: the cache first, then what the budget allows."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from saywhat.errors import ChatbotError, SayWhatError, SetupError
from saywhat.interfaces import Chatbot
from saywhat.ledger.budget import Budget
from saywhat.ledger.store import Bought, Call, Store, require_phase

BATCH_SIZE: Final = 256
_UNSCOPED: Final = "reply"  # the scope of LedgeredChatbot.reply, whose interface has none


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What came of one query.

    Attributes:
        query: the query.
        reply: the reply; ``None`` if the query was given up on.
        error: why there is no reply; ``""`` otherwise.
        cached: whether the reply was in the ledger when the query's turn came, so that it cost
            nothing.
    """

    query: str
    reply: str | None
    error: str
    cached: bool


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """How a chatbot is asked; the fields are those of ``Ledger.chatbot``."""

    phase: str
    repeat: int
    attempts: int
    batch_size: int
    on_sent: Callable[[int], None] | None

    def __post_init__(self) -> None:
        require_phase(self.phase)
        for name, low in {"repeat": 0, "attempts": 1, "batch_size": 1}.items():
            if (value := getattr(self, name)) < low:
                raise SetupError(f"{name!r} must be at least {low}, got {value}.")


@final
@dataclasses.dataclass(slots=True)
class _Progress:
    """How far one call is: what it has asked and what came of it."""

    scope: str
    part: int
    times: Counter[str]
    keys: dict[str, bytes]
    replies: dict[str, str]
    failures: dict[str, ChatbotError] = dataclasses.field(default_factory=dict)
    asked: int = 0

    def reach(self, queries: Iterable[str]) -> None:
        """Count queries as asked, as often as the caller asked them."""
        self.asked += sum(self.times[query] for query in queries)


@final
class LedgeredChatbot:
    """A chatbot whose every query passes through a ledger; made by ``Ledger.chatbot``.

    Args:
        chatbot: the chatbot; its name and fingerprint are read once, here.
        terms: how it is asked.
        store: where replies and counts are kept.
        budget: what may be sent.
        parts: how many calls each (phase, scope) has had in this process.
    """

    def __init__(
        self,
        chatbot: Chatbot,
        terms: Terms,
        *,
        store: Store,
        budget: Budget,
        parts: Counter[tuple[str, str]],
    ) -> None:
        self._chatbot, self._terms = chatbot, terms
        self._store, self._budget, self._parts = store, budget, parts
        self._name, self._fingerprint = chatbot.name, chatbot.fingerprint
        self._id = store.chatbot_id(self._fingerprint, self._name)

    @property
    def name(self) -> str:
        """The wrapped chatbot's name."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """The wrapped chatbot's fingerprint."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch, as any chatbot does.

        Raises:
            ChatbotError: a query was given up on; it names the first. The other replies are in the
                cache.
            BudgetError: a limit was reached.
        """
        progress = self._begin(queries, _UNSCOPED)
        self._buy_missing(progress)
        for query in queries:
            if query in progress.failures:
                raise progress.failures[query]
        return [progress.replies[query] for query in queries]

    def ask(self, queries: Sequence[str], *, scope: str) -> list[Answer]:
        """Ask any number of queries; each distinct one that the ledger cannot answer is sent.

        A batch that fails is sent again one query at a time, so that one bad query spoils only
        itself; each then gets ``attempts`` tries, and every try counts as sent.

        Args:
            queries: the queries; repeated ones are sent once.
            scope: what they are asked for, such as the target. The calls of a scope are numbered in
                this process, and each replaces the call of that number by an earlier process in the
                count of *asked*. So a scope must be something that a resumed run does over from its
                start, or not at all.

        Returns:
            Answers aligned with ``queries``.

        Raises:
            BudgetError: a limit was reached. What still fitted was sent, and its replies are in the
                cache.
        """
        progress = self._begin(queries, scope)
        free = set(progress.replies)
        self._buy_missing(progress)
        answers = []
        for query in queries:
            failure = progress.failures.get(query)
            error = "" if failure is None else str(failure)
            answers.append(Answer(query, progress.replies.get(query), error, query in free))
            if failure is None:
                free.add(query)
        return answers

    def _begin(self, queries: Sequence[str], scope: str) -> _Progress:
        times = Counter(queries)
        keys = cache_keys(self._fingerprint, times, self._terms.repeat)
        found = self._store.replies(list(keys.values()))
        replies = {query: found[key] for query, key in keys.items() if key in found}
        call = (self._terms.phase, scope)
        progress = _Progress(scope, self._parts[call], times, keys, replies)
        if times:
            self._parts[call] += 1
            progress.reach(replies)
            self._record(progress)
        return progress

    def _buy_missing(self, progress: _Progress) -> None:
        missing = [query for query in progress.times if query not in progress.replies]
        start = 0
        while start < len(missing):
            wanted = min(self._terms.batch_size, len(missing) - start)
            size = self._budget.allow(self._terms.phase, wanted)
            batch = missing[start : start + size]
            progress.reach(batch)
            try:
                self._send(batch, progress)
            except ChatbotError as error:
                self._buy_singly(batch, progress, error)
            start += size

    def _buy_singly(self, batch: Sequence[str], progress: _Progress, failure: ChatbotError) -> None:
        tried = 1 if len(batch) == 1 else 0  # a batch of one that failed was that query's first try
        for query in batch:
            last = failure
            for _ in range(self._terms.attempts - tried):
                self._budget.allow(self._terms.phase, 1)
                try:
                    self._send([query], progress)
                    break
                except ChatbotError as error:
                    last = error
            else:
                progress.failures[query] = _naming(query, last)
                self._record(progress)

    def _send(self, batch: list[str], progress: _Progress) -> None:
        """Count, ask and store one batch.

        Raises:
            ChatbotError: the chatbot failed; nothing is stored.
        """
        self._record(progress, sent=len(batch))
        try:
            replies = [_clean(reply) for reply in self._replies(batch)]
            self._store.record_replies(
                [Bought(progress.keys[q], q, r) for q, r in zip(batch, replies, strict=True)],
                phase=self._terms.phase,
                chatbot=self._id,
                repeat=self._terms.repeat,
            )
        finally:
            if self._terms.on_sent is not None:
                self._terms.on_sent(len(batch))
        progress.replies.update(zip(batch, replies, strict=True))

    def _replies(self, batch: list[str]) -> list[str]:
        try:
            return _checked(self._chatbot.reply(list(batch)), batch)
        except SayWhatError:
            raise
        except Exception as error:
            raise ChatbotError(
                f"The chatbot {self._name!r} raised {type(error).__name__}: {error}", query=batch[0]
            ) from error

    def _record(self, progress: _Progress, *, sent: int = 0) -> None:
        failed = len(progress.failures)
        call = Call(self._terms.phase, progress.scope, progress.part, progress.asked, failed)
        self._store.record_call(call, sent=sent)


def cache_keys(fingerprint: str, queries: Iterable[str], repeat: int) -> dict[str, bytes]:
    """Give the cache key of each distinct query: a hash of what determines its reply."""
    begun = hashlib.blake2b(_prefixed(fingerprint), digest_size=16)
    keys = {}
    for query in queries:
        digest = begun.copy()
        digest.update(_prefixed(query) + repeat.to_bytes(8, "big"))
        keys[query] = digest.digest()
    return keys


def _prefixed(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(8, "big") + encoded


def _checked(replies: object, batch: Sequence[str]) -> list[str]:
    if not isinstance(replies, list) or not all(isinstance(reply, str) for reply in replies):
        raise ChatbotError(
            f"Expected a list of {len(batch)} texts from the chatbot, got {type(replies).__name__}"
            f" {replies!r:.80}; its reply() must return list[str]",
            query=batch[0],
        )
    if len(replies) != len(batch):
        raise ChatbotError(
            f"Expected one reply per query ({len(batch)}) from the chatbot, got {len(replies)}",
            query=batch[0],
        )
    return replies


def _clean(reply: str) -> str:
    """Replace lone surrogates, which no file could hold, by U+FFFD."""
    try:
        reply.encode()
    except UnicodeEncodeError:
        return reply.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return reply


def _naming(query: str, error: ChatbotError) -> ChatbotError:
    """Give the error itself if it names the query, else one that does."""
    if error.query == query:
        return error
    named = ChatbotError(str(error), query=query)
    named.__cause__ = error
    return named
