"""A chatbot seen through the ledger: the cache first, then what the budget allows."""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, final

from saywhat.errors import ChatbotError
from saywhat.ledger.dispatch import Dispatcher
from saywhat.ledger.store import Bought, Call, Store
from saywhat.ledger.terms import Terms

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
class Identity:
    """Whose replies are bought: the chatbot's name, fingerprint and row in the store."""

    name: str
    fingerprint: str
    row: int


@final
class LedgeredChatbot:
    """A chatbot whose every query passes through a ledger; made by ``Ledger.chatbot``.

    Args:
        identity: whose replies they are.
        terms: how it is asked.
        store: where replies and counts are kept.
        dispatcher: sends.
        parts: how many calls each (phase, scope) has had in this process.
    """

    def __init__(
        self,
        identity: Identity,
        terms: Terms,
        *,
        store: Store,
        dispatcher: Dispatcher,
        parts: Counter[tuple[str, str]],
    ) -> None:
        self._identity, self._terms = identity, terms
        self._store, self._dispatcher, self._parts = store, dispatcher, parts

    @property
    def name(self) -> str:
        """The wrapped chatbot's name."""
        return self._identity.name

    @property
    def fingerprint(self) -> str:
        """The wrapped chatbot's fingerprint."""
        return self._identity.fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch, as any chatbot does.

        Raises:
            ChatbotError: a query was given up on; it names the first. The other replies are in the
                cache.
            BudgetError: a limit was reached.
            UnreachableError: the chatbot keeps failing.
        """
        progress = self._begin(queries, _UNSCOPED, ())
        self._buy(progress)
        for query in queries:
            if query in progress.failures:
                raise progress.failures[query]
        return [progress.replies[query] for query in queries]

    def ask(
        self, queries: Sequence[str], *, scope: str, targets: Sequence[str] = ()
    ) -> list[Answer]:
        """Ask any number of queries; each distinct one that the ledger cannot answer is sent.

        Args:
            queries: the queries; repeated ones are sent once.
            scope: what they are asked for, such as the target. The calls of a scope are numbered in
                this process, and each replaces the calls from that number on by an earlier process
                in the count of *asked*. So a scope must be something that a resumed run does over
                from its start, or not at all.
            targets: the target that each query is asked for; what is sent is charged to the first
                one whose limit allows it.

        Returns:
            Answers aligned with ``queries``.

        Raises:
            BudgetError: a limit was reached. What still fitted was sent, and its replies are in the
                cache.
            UnreachableError: the chatbot keeps failing; what it had replied is in the cache.
        """
        progress = self._begin(queries, scope, targets)
        free = set(progress.replies)
        self._buy(progress)
        answers = []
        for query in queries:
            failure = progress.failures.get(query)
            error = "" if failure is None else str(failure)
            answers.append(Answer(query, progress.replies.get(query), error, query in free))
            if failure is None:
                free.add(query)
        return answers

    def _begin(self, queries: Sequence[str], scope: str, targets: Sequence[str]) -> "_Purchase":
        terms = self._terms
        times = Counter(queries)
        keys = cache_keys(self._identity.fingerprint, times, terms.repeat)
        found = self._store.replies(list(keys.values()))
        replies = {query: found[key] for query, key in keys.items() if key in found}
        number = self._parts[terms.phase, scope]
        call = Call(terms.phase, scope, number)
        progress = _Purchase(call, times, keys, replies, self._identity, terms, self._store)
        progress.charge_to(queries, targets)
        if times:
            self._parts[terms.phase, scope] += 1
            progress.reach(replies)
            progress.record()
        return progress

    def _buy(self, progress: "_Purchase") -> None:
        missing = [query for query in progress.times if query not in progress.replies]
        if missing:
            self._dispatcher.send(missing, progress)


@final
class _Purchase:
    """One call: what it has asked, what came of it, and the writing down of both.

    It is the ``Sink`` of the dispatcher.
    """

    def __init__(
        self,
        call: Call,
        times: Counter[str],
        keys: Mapping[str, bytes],
        replies: dict[str, str],
        identity: Identity,
        terms: Terms,
        store: Store,
    ) -> None:
        self._call, self.times, self._keys, self.replies = call, times, keys, replies
        self._identity, self._terms, self._store = identity, terms, store
        self.failures: dict[str, ChatbotError] = {}
        self._reached: set[str] = set()
        self._asked = 0
        self._written: Call | None = None  # the call as it stands in the store
        self._targets: dict[str, list[str]] = {}
        self._charges: dict[str, int] = {}
        self._places: dict[str, str] = {}  # query -> the target that pays when it leaves

    def charge_to(self, queries: Sequence[str], targets: Sequence[str]) -> None:
        """Note which targets each query is asked for."""
        if not targets:
            return
        for query, target in zip(queries, targets, strict=True):
            if query not in self.replies:
                self._targets.setdefault(query, []).append(target)
        if self._terms.per_target is not None and self._targets:
            wanted = {target for group in self._targets.values() for target in group}
            self._charges = self._store.charges(self._terms.phase, list(wanted))

    def reach(self, queries: Iterable[str]) -> None:
        """Count queries as asked, as often as the caller asked them."""
        for query in queries:
            if query not in self._reached:
                self._reached.add(query)
                self._asked += self.times[query]

    def admit(self, query: str) -> ChatbotError | None:
        """See ``Sink``."""
        limit, targets = self._terms.per_target, self._targets.get(query)
        if targets is None or query in self._places:
            return None
        for target in targets:
            charged = self._charges.get(target, 0)
            if limit is None or charged < limit:
                self._charges[target] = charged + 1
                self._places[query] = target
                return None
        return ChatbotError(
            f"Not sent: the budget of {limit:,} queries for a target is used up",
            query=query,
            kind="budget",
            retry="never",
        )

    def leaving(self, queries: Sequence[str]) -> None:
        """See ``Sink``."""
        self.reach(queries)
        charged = Counter(self._places.pop(query) for query in queries if query in self._places)
        self.record(sent=len(queries), charged=charged)

    def arrived(self, replies: Sequence[tuple[str, str]]) -> None:
        """See ``Sink``."""
        self._store.record_replies(
            [Bought(self._keys[query], query, reply) for query, reply in replies],
            phase=self._terms.phase,
            chatbot=self._identity.row,
            repeat=self._terms.repeat,
        )
        self.replies.update(replies)
        if self._terms.on_reply is not None:
            for query, reply in replies:
                self._terms.on_reply(query, reply)

    def landed(self, number: int) -> None:
        """See ``Sink``."""
        if self._terms.on_sent is not None:
            self._terms.on_sent(number)

    def gave_up(self, query: str, error: ChatbotError) -> None:
        """See ``Sink``."""
        self.reach([query])
        self.failures[query] = error
        self.record()

    def record(self, *, sent: int = 0, charged: Mapping[str, int] | None = None) -> None:
        """Write how far the call is."""
        call = dataclasses.replace(self._call, asked=self._asked, failed=len(self.failures))
        self._store.record_call(call, since=self._written, sent=sent, charged=charged)
        self._written = call


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
