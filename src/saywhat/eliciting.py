"""One sentence: what an audit does for a list, for a single target."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from saywhat.audit import audit
from saywhat.config import AuditSettings
from saywhat.errors import SetupError
from saywhat.inputs import ONE_SENTENCE
from saywhat.interfaces import Chatbot
from saywhat.records import Finding
from saywhat.registry import open_chatbot


def elicit(
    chatbot: str | Chatbot | Callable[..., Any],
    sentence: str,
    *,
    settings: AuditSettings | None = None,
    budget: int | None = None,
    method: str | None = None,
    out: Path | None = None,
) -> Finding:
    """Find the query that makes a chatbot say a sentence, or come nearest to it.

    Everything asked is kept in a run folder; the same call goes on after an interruption.

    Args:
        chatbot: a spec, a chatbot, or a function ``str -> str`` or ``list[str] -> list[str]``.
        sentence: what it should say.
        settings: of the search; its chatbot and targets do not count.
        budget: queries at most, instead of the settings'.
        method: the search, instead of the settings'.
        out: the run folder; a new one in ``runs`` by default.

    Raises:
        SetupError: something named cannot be used; nothing was asked.
        UnreachableError: the chatbot kept failing.
        InconclusiveError: the chatbot answered nothing, or the sentence cannot be measured.

    Example:
        >>> found = elicit("known:echo", "see you", method="sampling")  # doctest: +SKIP
        >>> found.outcome, found.query  # doctest: +SKIP
        ('elicited', 'see you')
    """
    settings = settings or AuditSettings()
    changes = {"budget": budget, "method": method}
    search = {**settings.search.model_dump(), **{k: v for k, v in changes.items() if v is not None}}
    asked = for_sentence(settings, sentence).model_dump() | {"search": search}
    with open_chatbot(chatbot, connection=settings.connection, model=settings.model) as made:
        named = f"object:{made.name}:{made.fingerprint[:16]}"
        asked["chatbot"] = chatbot if isinstance(chatbot, str) else named
        return audit(AuditSettings.model_validate(asked), out=out, chatbot=made).findings[0]


def for_sentence(settings: AuditSettings, sentence: str) -> AuditSettings:
    """Give the settings of an audit of one sentence.

    Raises:
        SetupError: there is no word in it.
    """
    if not sentence.strip():
        raise SetupError("Expected a sentence, got an empty text.")
    return settings.model_copy(update={"targets": f"{ONE_SENTENCE}{sentence.strip()}"})
