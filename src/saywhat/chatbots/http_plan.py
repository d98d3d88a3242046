"""What is asked and how: everything but the query, fixed and checked when the chatbot is made."""

import dataclasses
import hashlib
import importlib.metadata
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final, final

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.http_form import POST
from saywhat.chatbots.http_replies import Reading
from saywhat.chatbots.line import Message
from saywhat.chatbots.secrets import Mask, Secret
from saywhat.chatbots.template import Slot, Text, described, filled
from saywhat.errors import SetupError

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OURS: Final = frozenset({
    "connection", "content-length", "expect", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A kind of request.

    Attributes:
        address: where it goes.
        method: ``GET``, ``POST``, ...
        headers: templates by name.
        params: templates of the query string's values.
        payload: a template of the body; ``None`` for none.
        form: whether the payload is sent urlencoded instead of as JSON.
        key: sent as the header ``Authorization``, but no part of what the message is: whoever has
            another key is given the same replies.
    """

    address: Address
    method: str = POST
    headers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    payload: Any = None
    form: bool = False
    key: Secret | None = None
    _fixed: list[tuple[bytes, bytes]] = dataclasses.field(init=False, repr=False, compare=False)
    _filled: dict[str, Any] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        headers: dict[str, Any] = {
            "Host": self.address.netloc,
            "Accept": "application/json, text/plain, */*",
            "Accept-Encoding": "identity",
            "User-Agent": f"saywhat/{importlib.metadata.version('saywhat')}",
        }
        if self.payload is not None:
            kind = "x-www-form-urlencoded" if self.form else "json"
            headers["Content-Type"] = f"application/{kind}"
        if self.key is not None:
            headers["Authorization"] = self.key
        given = {name.lower() for name in self.headers}
        headers = {name: text for name, text in headers.items() if name.lower() not in given}
        fixed, to_fill = [], {}
        for name, template in (headers | dict(self.headers)).items():
            if isinstance(template, Text | Secret):
                to_fill[name] = template
            else:
                fixed.append((name.encode(), header_value(name, template)))
        object.__setattr__(self, "_fixed", fixed)
        object.__setattr__(self, "_filled", to_fill)

    def rendered(self, slots: Mapping[Slot, str], mask: Mask) -> Message:
        """Make the message that leaves.

        Args:
            slots: the query and the session.
            mask: told each secret that is read.

        Raises:
            SetupError: a secret is not there (any more), or is no header.
        """

        def read(secret: Secret) -> str:
            value = secret.read()
            mask.add(value)
            return value

        headers = list(self._fixed)
        for name, template in self._filled.items():
            headers.append((name.encode(), header_value(name, filled(template, slots, read))))
        target, body = self.address.target, b""
        if self.params:
            joint = b"&" if b"?" in target else b"?"
            target += joint + _urlencoded(filled(dict(self.params), slots, read))
        if self.payload is not None:
            payload = filled(self.payload, slots, read)
            body = _urlencoded(payload) if self.form else _json(payload)
            headers.append((b"Content-Length", b"%d" % len(body)))
        return Message(self.method.encode(), target, headers, body)

    def identity(self) -> list[Any]:
        """Describe everything that determines the reply, secrets by reference; not the key."""
        parts = (dict(self.headers), dict(self.params), self.payload)
        return [self.address.url, self.method, self.form, *(described(part) for part in parts)]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How a chatbot is asked.

    Attributes:
        name: for tables.
        call: the request that carries a query.
        reading: where the reply is in its answer.
        shared: whether all requests of a run share one session; else each has its own.
        reset: a request that is sent before every query.
        model_version: the user's own word for what the server runs.
    """

    name: str
    call: Call
    reading: Reading
    shared: bool = False
    reset: Call | None = None
    model_version: str | None = None

    @property
    def calls(self) -> list[Call]:
        """Every kind of request."""
        return [self.call] if self.reset is None else [self.call, self.reset]

    @property
    def fingerprint(self) -> str:
        """A hash of everything that determines the replies; secrets are in it by reference."""
        identity = [
            "http-1",
            [call.identity() for call in self.calls],
            None if self.reading.path is None else str(self.reading.path),
            self.shared,
            self.model_version,
        ]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def header_problem(name: str) -> str | None:
    """Say what is wrong with a header's name, if anything is."""
    if not _NAME.fullmatch(name):
        return "not a header's name"
    if name.lower() in _OURS:
        return "this header is not yours to set"
    return None


def header_value(name: str, value: str) -> bytes:
    """Encode a header's value.

    Raises:
        SetupError: a control character is in it, which could end the header.
    """
    if _CONTROL.search(value):
        raise SetupError(f"The header {name} has a line break or another control character in it.")
    return value.strip().encode()


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def _urlencoded(values: Mapping[str, str]) -> bytes:
    return urllib.parse.urlencode(values, quote_via=urllib.parse.quote).encode()
