"""The nouns on one page: what a chatbot, a similarity and a search are. Text in, text out.

Every implementation of these is run through one contract suite (``tests/contract``). New behaviour
round a chatbot is a wrapper that is itself a chatbot, never a subclass.
"""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from saywhat.records import Attempt, Target


@runtime_checkable
class Chatbot(Protocol):
    """The black-box dialogue model ``D``.

    ``fingerprint`` changes whenever the replies could: with the weights, URL, prompt or code.
    """

    @property
    def name(self) -> str:
        """A short name for tables."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines the replies."""
        ...

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch: one reply per query, in order; ``[]`` for an empty batch.

        Raises:
            ChatbotError: a query could not be answered; it names the query.
        """
        ...


@runtime_checkable
class ConcurrentChatbot(Chatbot, Protocol):
    """A chatbot that several queries can wait for at once, each reply coming when it is ready.

    How many, how fast and how often is the ledger's business: ``submit`` sends, once, at once.
    """

    @property
    def concurrency(self) -> int:
        """How many queries may be under way together."""
        ...

    def submit(self, query: str) -> Future[str]:
        """Send one query now.

        Returns:
            The future reply; it fails with ``ChatbotError``.
        """
        ...


@runtime_checkable
class BatchingChatbot(Chatbot, Protocol):
    """A chatbot that knows how many queries one call should hold."""

    @property
    def batch_size(self) -> int:
        """More queries at once are no faster, and their replies would only be stored later."""
        ...


@runtime_checkable
class Closable(Protocol):
    """Something that holds connections, threads or processes."""

    def close(self) -> None:
        """Let go of them; closing twice is harmless."""
        ...


@runtime_checkable
class Similarity(Protocol):
    """How close a reply is to a target, ``Sim(O*, O)``. Stateless."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Score replies against targets, pairwise and in order.

        Equal non-empty texts of known words give 1; empty text or text of unknown words only gives
        0.
        """
        ...

    def measurable(self, text: str) -> bool:
        """Whether the text has anything that this similarity can compare (a known word)."""
        ...


@runtime_checkable
class Ask(Protocol):
    """What a search is given to ask with: counted, budgeted, durable."""

    def __call__(self, queries: Sequence[str]) -> list[Attempt]:
        """Ask queries for the current target.

        Returns attempts in order, numbered on from the last one. The list is shorter than
        ``queries`` when the target's budget ends in the middle of it.
        """
        ...


@runtime_checkable
class Search(Protocol):
    """A method that finds queries for one target within a budget."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def run(
        self, target: Target, ask: Ask, *, budget: int, rng: random.Random
    ) -> Iterator[Attempt]:
        """Ask at most ``budget`` queries for ``target`` and yield each attempt as it comes.

        The same ``rng`` state gives the same queries.
        """
        ...


@runtime_checkable
class OneShotSearch(Search, Protocol):
    """A search whose queries do not depend on the replies: many targets can share a batch."""

    def plan(
        self, targets: Sequence[Target], *, budget: int, rngs: Sequence[random.Random]
    ) -> list[list[str]]:
        """Give the queries for each target, best first, at most ``budget`` each.

        ``run`` asks exactly these; ``plan`` over many targets equals ``plan`` over each.
        """
        ...
