"""Every exception that saywhat raises on purpose.

::

    SayWhatError
    ├── SetupError            the user's set-up: one line, no traceback, exit code 2
    │   ├── UnknownNameError  a name or spec that does not resolve; lists what exists
    │   ├── CorpusError       a text or data file that cannot be used
    │   └── CheckpointError   weights or metadata that do not fit
    ├── ChatbotError          the chatbot failed on a query (carries the query); never a result
    ├── BudgetError           a hard limit was reached; what was bought stays valid
    └── InconclusiveError     nothing or too little could be measured: exit code 4

Anything else that escapes is a bug and keeps its traceback (exit code 1).
"""

import difflib
from collections.abc import Iterable


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


class CorpusError(SetupError):
    """A text or data file is missing, empty, unreadable or malformed."""


class CheckpointError(SetupError):
    """Saved weights or their metadata are missing, damaged or of another kind."""


class ChatbotError(SayWhatError):
    """The chatbot failed on a query.

    Args:
        message: what happened.
        query: the query that failed.
    """

    def __init__(self, message: str, *, query: str) -> None:
        self.query = query
        shown = query if len(query) <= 80 else query[:77] + "..."
        super().__init__(f"{message} (query: {shown!r})")


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
