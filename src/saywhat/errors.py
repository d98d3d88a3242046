"""Every exception that saywhat raises on purpose.

::

    SayWhatError
    ├── SetupError            the user's set-up: one line, no traceback, exit code 2
    │   ├── UnknownNameError  a name or spec that does not resolve; lists what exists
    │   ├── NoReferenceError  a search needs a reference corpus
    │   ├── CorpusError       a text or data file that cannot be used
    │   └── CheckpointError   weights or metadata that do not fit
    ├── ChatbotError          the chatbot failed on a query (carries the query); never a result
    │   └── BatchError        some queries of a batch failed; carries what came of each
    ├── UnreachableError      the chatbot fails again and again: the run stops, exit code 4
    ├── BudgetError           a hard limit was reached; what was bought stays valid
    └── InconclusiveError     nothing or too little could be measured: exit code 4
        └── NothingToLearnError   a chatbot's replies leave a generator nothing to learn

Anything else that escapes is a bug and keeps its traceback (exit code 1).
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Literal

Retry = Literal["now", "later", "busy", "never"]


class SayWhatError(Exception):
    """Base of all errors raised on purpose."""


class SetupError(SayWhatError):
    """The user's set-up needs a change; the message says which."""


class UnknownNameError(SetupError):
    """A name that does not resolve.

    Args:
        kind: what was looked for, for example ``"chatbot"``.
        name: what came.
        known: every name that would have resolved.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listing = ", ".join(self.known) or "none"
        super().__init__(f"Unknown {kind} {name!r}.{hint} Available: {listing}.")


class NoReferenceError(SetupError):
    """A search needs a reference corpus, and there is none."""

    def __init__(self, search: str) -> None:
        super().__init__(
            f"The search {search!r} needs a reference corpus; give one with --reference."
        )


class CorpusError(SetupError):
    """A text or data file is missing, empty, unreadable or malformed."""


class CheckpointError(SetupError):
    """Saved weights or their metadata are missing, damaged or of another kind."""


class ChatbotError(SayWhatError):
    """The chatbot failed on a query.

    Args:
        message: what happened.
        query: the query that failed.
        kind: names the failure without its particulars (``"HTTP 500"``), so that failures can be
            told to be the same.
        retry: whether asking again may help: ``now``; ``later``, after a growing wait; ``busy``,
            also later, since the chatbot only asked for patience (it uses up no try); ``never``.
        after: seconds that the chatbot asked to wait, if it did.
    """

    def __init__(
        self,
        message: str,
        *,
        query: str,
        kind: str = "",
        retry: Retry = "now",
        after: float | None = None,
    ) -> None:
        self.message, self.query, self.kind = message, query, kind or message
        self.retry, self.after = retry, after
        shown = query if len(query) <= 80 else query[:77] + "..."
        super().__init__(f"{message} (query: {shown!r})")


class BatchError(ChatbotError):
    """Some queries of a batch failed; the replies to the others are not lost.

    Args:
        outcomes: aligned with the batch: the reply, or why there is none. At least one failed.
    """

    def __init__(self, outcomes: Sequence[str | ChatbotError]) -> None:
        self.outcomes = tuple(outcomes)
        first = next(outcome for outcome in outcomes if isinstance(outcome, ChatbotError))
        super().__init__(
            first.message, query=first.query, kind=first.kind, retry=first.retry, after=first.after
        )


class UnreachableError(SayWhatError):
    """The chatbot failed in the same way too often in a row; nothing more was sent."""


class BudgetError(SayWhatError):
    """A hard limit was reached before the query was sent.

    Args:
        limit: the limit's name, for example ``"phase search"``.
        allowed: its value.
    """

    def __init__(self, limit: str, allowed: float) -> None:
        self.limit, self.allowed = limit, allowed
        super().__init__(f"The {limit} budget of {allowed:,.10g} is used up.")


class InconclusiveError(SayWhatError):
    """Nothing, or too little, could be measured to give a verdict."""


class NothingToLearnError(InconclusiveError):
    """A chatbot's replies leave a generator nothing to learn; others may do better."""
