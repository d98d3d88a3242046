"""The form of an ``http:`` chatbot's file: its keys, and their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from saywhat.config import Section


class ResetSettings(Section):
    """A request that starts a new conversation, sent before every query."""

    url: str
    """Where it goes."""
    method: Literal["DELETE", "GET", "POST", "PUT"] = "POST"
    """Its method."""
    headers: dict[str, Any] = Field(default_factory=dict)
    """Its headers."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Its query string."""
    body: Any = None
    """Its JSON body."""
    form: dict[str, Any] | None = None
    """Its urlencoded body."""


class SessionSettings(Section):
    """``session: {reset: ...}``."""

    reset: ResetSettings
    """The request that starts a new conversation."""


def _one_of(value: object) -> object:
    # a union's own errors would list both of its sides
    if isinstance(value, Mapping) or value in {"fresh", "shared"}:
        return value
    raise ValueError("expected fresh, shared or {reset: {url: ...}}")


def _as_text(value: object) -> object:
    return value if value is None or isinstance(value, bool | dict | list) else str(value)


class HttpFile(Section):
    """The form of the file."""

    version: Literal[1] = 1
    """Version of this format."""
    name: str | None = None
    """For tables; the host by default."""
    url: str
    """Where every query goes."""
    method: Literal["GET", "POST", "PUT"] = "POST"
    """The method."""
    authorised: bool = False
    """That you own this chatbot or may test it: needed for every address but loopback."""
    headers: dict[str, Any] = Field(default_factory=dict)
    """Headers."""
    params: dict[str, Any] = Field(default_factory=dict)
    """The query string."""
    body: Any = None
    """The JSON body."""
    form: dict[str, Any] | None = None
    """The urlencoded body, instead of a JSON body."""
    reply: str
    """The reply's JSONPath, or ``text`` if the whole body is the reply."""
    session: Annotated[Literal["fresh", "shared"] | SessionSettings, BeforeValidator(_one_of)] = (
        "fresh"
    )
    """What ``{{session}}`` is: another id for each query, one for the run, or one that is reset."""
    model_version: Annotated[str | None, BeforeValidator(_as_text)] = None
    """Your own word for what the server runs; another one makes old replies count no more."""
