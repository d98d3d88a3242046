"""The ledger: nothing can ask a chatbot without being counted, budgeted and written down.

Three counts, by phase: **asked** (cached or not), **unique** (answered for the first time) and
**sent** (left for the chatbot, retries included). Papers quote *asked*; budgets bind *sent*. A
batch is on disk as sent before it leaves, and its replies are on disk before they are used: after
``kill -9`` the same calls again give the same answers, and only the batch in flight is sent twice.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import final

from saywhat.interfaces import Chatbot
from saywhat.ledger.budget import UNLIMITED, Budget, Limits
from saywhat.ledger.chatbot import BATCH_SIZE, LedgeredChatbot, Terms, cache_keys
from saywhat.ledger.store import Counts, Store, read_counts, require_phase
from saywhat.records import Pair


@final
class Ledger:
    """The durable record of every query and reply, with counts and budgets.

    Args:
        path: the SQLite file; made if absent, continued if present.
        limits: hard limits on what may be sent.
        clock: gives seconds for the wall-time limit.

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
    ) -> None:
        self.path = path
        self._store = Store(path)
        self._budget = Budget(limits, self._store.counts, clock=clock)
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
    ) -> LedgeredChatbot:
        """Wrap a chatbot so that everything asked of it passes through this ledger.

        Args:
            chatbot: the chatbot; its fingerprint is read once, here.
            phase: what its queries are counted under: one of ``records.PHASES``.
            repeat: which of several answers to the same query; each has its own place in the cache.
            attempts: how often a failing query is tried before it is given up.
            batch_size: the most queries that leave together.
            on_sent: called after each batch or single try, with the number of queries that left.

        Raises:
            UnknownNameError: the phase does not exist.
            SetupError: a number is out of range.
        """
        terms = Terms(phase, repeat, attempts, batch_size, on_sent)
        return LedgeredChatbot(
            chatbot, terms, store=self._store, budget=self._budget, parts=self._parts
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

    def note(self, key: str, value: str) -> None:
        """Keep a small fact about the run, over any earlier value."""
        self._store.note(key, value)

    def noted(self, key: str) -> str | None:
        """Give the fact kept under ``key``, or ``None``."""
        return self._store.noted(key)

    @staticmethod
    def counts_of(path: Path) -> dict[str, Counts]:
        """Read the counts of a ledger that another process may be using.

        Raises:
            SetupError: there is no such file, or it cannot be read.
            CheckpointError: the file is not a ledger, is damaged, or was written by another
                version.
        """
        return read_counts(path)
