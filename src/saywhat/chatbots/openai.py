"""Chatbots behind an OpenAI-compatible server: ``openai:URL#MODEL`` (vLLM, Ollama, llama.cpp...).

An ``http:`` chatbot whose request is known: the query is the only user message of a conversation of
its own.
"""

import dataclasses
from pathlib import Path
from typing import Any, Final

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.http import HttpChatbot
from saywhat.chatbots.http_plan import Call, Plan
from saywhat.chatbots.http_replies import Reading
from saywhat.chatbots.json_paths import ReplyPath
from saywhat.chatbots.secrets import HINT, Secret, reference
from saywhat.chatbots.template import QUERY
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import SetupError

_EXPECTED: Final = "openai:URL#MODEL, such as openai:http://localhost:8000/v1#my-model"
_ENDPOINT: Final = b"/chat/completions"
_READING: Final = Reading(
    ReplyPath("$.choices[0].message.content"),
    (
        ("finish_reason", ReplyPath("$.choices[0].finish_reason")),
        ("refusal", ReplyPath("$.choices[0].message.refusal")),
        ("error", ReplyPath("$.error.message")),
    ),
)


def make(argument: str, connection: ConnectionSettings, model: ModelSettings) -> HttpChatbot:
    """Make a chatbot of a model on a server: the factory of ``openai:URL#MODEL``.

    Raises:
        SetupError: a part is missing, the key is not there or is given literally, or the server is
            elsewhere and nobody said that it may be asked.
    """
    url, mark, name = argument.rpartition("#")
    if not url or not name:
        missing = "URL" if mark and name else "MODEL"
        raise SetupError(f"Expected {_EXPECTED}; the {missing} is missing.")
    try:
        address = _endpoint(Address.parse(url))
    except SetupError as error:
        raise SetupError(f"openai: {error}.") from None
    call = Call(
        address,
        payload=_body(name, model),
        key=_key(connection.api_key),
    )
    return HttpChatbot(
        Plan(name, call, _READING),
        connection,
        authorised=connection.authorised,
        where="connection.authorised (`--set connection.authorised=true`; for an experiment "
        "train.connection.authorised and audit.connection.authorised)",
    )


def _endpoint(address: Address) -> Address:
    path, mark, query = address.target.partition(b"?")
    path = path.rstrip(b"/")
    if not path.endswith(_ENDPOINT):
        path += _ENDPOINT
    return dataclasses.replace(address, target=path + mark + query)


def _key(api_key: str | None) -> Secret | None:
    if api_key is None:
        return None
    secret = reference(api_key, Path())
    if secret is None:
        raise SetupError(f"connection.api_key: expected a reference, not the key itself; {HINT}.")
    return dataclasses.replace(secret, prefix="Bearer ")


def _body(name: str, model: ModelSettings) -> dict[str, Any]:
    system = {"role": "system", "content": model.system_prompt}
    messages = [{"role": "user", "content": QUERY}]
    optional = {
        "temperature": model.temperature,
        "max_tokens": model.max_tokens,
        "seed": model.seed,
        "stop": list(model.stop) or None,
    }
    return {
        "model": name,
        "messages": [system, *messages] if model.system_prompt else messages,
        **{key: value for key, value in optional.items() if value is not None},
        "stream": False,
    }
