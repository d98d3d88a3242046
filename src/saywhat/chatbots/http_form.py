"""The form of an ``http:`` chatbot's file: its keys, and their defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from saywhat.config import Section

POST: Final = "POST"
WORD, RESET = "session: WORD", "session: {reset}"  # names of the sides of a union, not of keys


class ResetSettings(Section):
    """A request that starts a new conversation, sent before every query."""

    url: str
    """Where it goes."""
    method: Literal["DELETE", "GET", "POST", "PUT"] = POST
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


def _side(value: object) -> str | None:
    if isinstance(value, Mapping):
        return RESET
    return WORD if isinstance(value, str) and value in {"fresh", "shared"} else None


# without a discriminator, the errors would list both sides
Session = Annotated[
    Annotated[Literal["fresh", "shared"], Tag(WORD)] | Annotated[SessionSettings, Tag(RESET)],
    Discriminator(
        _side,
        custom_error_type="session",
        custom_error_message="expected fresh, shared or {reset: {url: ...}}",
    ),
]


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
    method: Literal["GET", "POST", "PUT"] = POST
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
    session: Session = "fresh"
    """What ``{{session}}`` is: another id for each query, one for each start of the run, or another
    for each query after a request that resets the chatbot."""
    model_version: Annotated[str | None, BeforeValidator(_as_text)] = None
    """Your own word for what the server runs; another one makes old replies count no more."""
