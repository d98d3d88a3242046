"""The ledger: nothing can ask a chatbot without being counted, budgeted and written down.

Three counts, by phase: **asked** (cached or not), **unique** (answered for the first time) and
**sent** (left for the chatbot, retries included). Papers quote *asked*; budgets bind *sent*. A
query is on disk as sent before it leaves, and its reply is on disk before it is used: after
``kill -9`` the same calls again give the same answers, and only what was under way is sent twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import final

from saywhat.interfaces import Chatbot
from saywhat.ledger.budget import UNLIMITED, Budget, Limits
from saywhat.ledger.chatbot import Identity, LedgeredChatbot, cache_keys
from saywhat.ledger.dispatch import Dispatcher
from saywhat.ledger.pace import Breaker, TokenBucket
from saywhat.ledger.store import Counts, Store, read_counts, require_phase
from saywhat.ledger.terms import BATCH_SIZE, Terms
from saywhat.records import Pair


@final
class Ledger:
    """The durable record of every query and reply, with counts and budgets.

    Args:
        path: the SQLite file; made if absent, continued if present.
        limits: hard limits on what may be sent, and how fast.
        clock: gives seconds, never going back.
        sleep: waits for seconds.

    Raises:
        SetupError: the file cannot be opened, or another process owns it.
        CheckpointError: the file is not a ledger, is damaged, or was written by another version.

    Example:
        >>> import tempfile
        >>> from saywhat.chatbots.known import EchoChatbot
        >>> folder = tempfile.TemporaryDirectory()
        >>> with folder, Ledger(Path(folder.name, "ledger.sqlite")) as ledger:
        ...     chatbot = ledger.chatbot(EchoChatbot(), phase="search")
        ...     answers = chatbot.ask(["hi", "you", "hi"], scope="target-1")
        ...     [answer.reply for answer in answers], ledger.total()
        (['hi', 'you', 'hi'], Counts(asked=3, unique=2, sent=2, failed=0))
    """

    def __init__(
        self,
        path: Path,
        limits: Limits = UNLIMITED,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path, self._limits = path, limits
        self._store = Store(path)
        self._clock, self._sleep = clock, sleep
        self._budget = Budget(limits, self._store.counts, clock=clock)
        self._bucket = TokenBucket(limits.rate, clock=clock)
        answered = any(count.unique for count in self._store.counts().values())
        self._breaker = Breaker(limits.breaker, max_wait=limits.max_wait, answered=answered)
        self._parts: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; its lock is free afterwards."""
        self._store.close()

    def chatbot(
        self,
        chatbot: Chatbot,
        *,
        phase: str,
        repeat: int = 0,
        attempts: int = 1,
        batch_size: int = BATCH_SIZE,
        on_sent: Callable[[int], None] | None = None,
        on_reply: Callable[[str, str], None] | None = None,
    ) -> LedgeredChatbot:
        """Wrap a chatbot so that everything asked of it passes through this ledger.

        Args:
            chatbot: the chatbot; its fingerprint is read once, here.
            phase: what its queries are counted under: one of ``records.PHASES``.
            repeat: which of several answers to the same query; each has its own place in the cache.
            attempts: how often a failing query is tried before it is given up.
            batch_size: the most queries in one call of a chatbot that answers batches.
            on_sent: called with the number of queries that left, once what came of them is stored.
            on_reply: called with each query and reply that comes, once it is stored.

        Raises:
            UnknownNameError: the phase does not exist.
            SetupError: a number is out of range.
        """
        limits = self._limits
        terms = Terms(
            phase,
            repeat,
            attempts,
            batch_size,
            per_target=limits.per_target,
            max_wait=limits.max_wait,
            on_sent=on_sent,
            on_reply=on_reply,
        )
        name, fingerprint = chatbot.name, chatbot.fingerprint
        identity = Identity(name, fingerprint, self._store.chatbot_id(fingerprint, name))
        dispatcher = Dispatcher(
            chatbot,
            terms,
            budget=self._budget,
            bucket=self._bucket,
            breaker=self._breaker,
            clock=self._clock,
            sleep=self._sleep,
        )
        return LedgeredChatbot(
            identity, terms, store=self._store, dispatcher=dispatcher, parts=self._parts
        )

    def counts(self) -> dict[str, Counts]:
        """Give the counts of every phase."""
        return self._store.counts()

    def total(self) -> Counts:
        """Give the counts over all phases."""
        return sum(self.counts().values(), start=Counts())

    def pairs(self, phase: str, *, fingerprint: str | None = None) -> Iterator[Pair]:
        """Give every (query, reply) bought in a phase, in the order first answered.

        Args:
            phase: the phase.
            fingerprint: of the only chatbot to give pairs of; all chatbots if ``None``.

        Raises:
            UnknownNameError: the phase does not exist.
        """
        require_phase(phase)
        return self._store.pairs(phase, fingerprint)

    def answered(
        self, fingerprint: str, queries: Sequence[str], *, repeat: int = 0
    ) -> dict[str, str]:
        """Give the stored reply of each query that has one; asks, counts and costs nothing."""
        keys = cache_keys(fingerprint, queries, repeat)
        found = self._store.replies(list(keys.values()))
        return {query: found[key] for query, key in keys.items() if key in found}

    @staticmethod
    def counts_of(path: Path) -> dict[str, Counts]:
        """Read the counts of a ledger that another process may be using.

        Raises:
            SetupError: there is no such file, or it cannot be read.
            CheckpointError: the file is not a ledger, is damaged, or was written by another
                version.
        """
        return read_counts(path)
