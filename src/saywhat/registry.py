"""Names to implementations: imported when made; third parties join by entry point.

Groups of entry points: ``saywhat.chatbots`` (a factory ``(argument: str) -> Chatbot``) and
``saywhat.similarities``. A third-party name is the entry point's own, and never
shadows a built-in one.
"""

import contextlib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import SetupError, UnknownNameError
from saywhat.interfaces import Chatbot, Closable

ASSETS: Final = Path(__file__).with_name("assets")

# spec -> (what it is, "module:attribute", imported when made). A factory takes what follows the
# prefix, and the settings of the connection and of the model.
_CHATBOTS: Final[Mapping[str, tuple[str, str]]] = {
    "builtin": ("the chatbot that ships with saywhat", "saywhat.chatbots.seq2seq:builtin"),
    "seq2seq:DIR": ("made by `saywhat train-chatbot`", "saywhat.chatbots.seq2seq:make"),
    "python:FILE.py:FUNCTION": ("a function in a file or module", "saywhat.chatbots.callable:make"),
    "openai:URL#MODEL": ("an OpenAI-compatible server", "saywhat.chatbots.openai:make"),
    "http:FILE.yaml": ("any JSON API, described in a file", "saywhat.chatbots.http:make"),
    "transformers:DIR-OR-ID": ("a local language model", "saywhat.chatbots.transformers:make"),
    "command:PROGRAM ARGS": ("a program: JSON lines", "saywhat.chatbots.command:make"),
    "parlai:MODEL_FILE": ("a ParlAI seq2seq checkpoint", "saywhat.chatbots.parlai:make"),
    "known:NAME": ("its answers are known: cipher, deaf, echo", "saywhat.chatbots.known:make"),
}  # fmt: skip
_SIMILARITIES: Final[Mapping[str, str]] = {
    "embedding-average": "the paper's: cosine of averaged word vectors",
    "embedding-average-centred": "the same with the corpus mean removed from the vectors (default)",
    "exact": "1 if the texts are equal after normalisation",
}
_SEARCHES: Final[Mapping[str, str]] = {
    "greedy": "the generator's most likely query: 1 query",
    "beam": "the generator's N best queries by beam search, all asked (the paper's)",
    "sampling": "N queries drawn from the generator, all asked",
    "retrieval": "the known query whose reply is nearest: nothing is asked",
    "random": "N ordinary posts, all asked",
    "real-input": "for targets from conversations: the human query before it",
}


def names(kind: str) -> dict[str, str]:
    """List what exists: name -> one line.

    Args:
        kind: ``chatbots``, ``similarities`` or ``searches``.
    """
    if kind == "searches":
        return dict(_SEARCHES)
    if kind == "chatbots":
        built_in = {name: text for name, (text, _) in _CHATBOTS.items()}
    else:
        built_in = dict({"similarities": _SIMILARITIES}[kind])
    for point in importlib.metadata.entry_points(group=f"saywhat.{kind}"):
        built_in.setdefault(point.name, f"from {point.value}")
    return built_in


def _load(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def load_chatbot(
    spec: str | Chatbot | Callable[..., Any],
    *,
    connection: ConnectionSettings | None = None,
    model: ModelSettings | None = None,
) -> Chatbot:
    """Make the chatbot that a spec names.

    Args:
        spec: a spec, a chatbot (which comes back as it is), or a function ``str -> str`` or
            ``list[str] -> list[str]``.
        connection: how a chatbot outside this process is reached.
        model: how a language model is asked.

    Raises:
        UnknownNameError: the spec resolves to nothing; nothing is guessed.
        SetupError: it resolves but cannot be made (missing folder, wrong checkpoint, not callable).
    """
    if isinstance(spec, Chatbot):
        return spec
    connection, model = connection or ConnectionSettings(), model or ModelSettings()
    chatbot: Chatbot
    if not isinstance(spec, str):
        chatbot = _load("saywhat.chatbots.callable:wrap")(spec, connection=connection)
        return chatbot
    head, colon, rest = spec.partition(":")
    for form, (_, path) in _CHATBOTS.items():
        if form.partition(":")[:2] == (head, colon) and bool(rest) == bool(colon):
            chatbot = _load(path)(rest, connection, model)
            return chatbot
    chatbot = _third_party("chatbots", head, spec)(rest)
    return chatbot


@contextlib.contextmanager
def open_chatbot(
    spec: str, *, connection: ConnectionSettings, model: ModelSettings
) -> Iterator[Chatbot]:
    """Make the chatbot that a spec names, and let go of what it holds afterwards.

    Args:
        spec: a spec.
        connection: how a chatbot outside this process is reached.
        model: how a language model is asked.

    Raises:
        SetupError: as ``load_chatbot``.
    """
    made = load_chatbot(spec, connection=connection, model=model)
    try:
        yield made
    finally:
        if isinstance(made, Closable):
            made.close()


def _third_party(group: str, name: str, spec: str) -> Callable[[str], Any]:
    for point in importlib.metadata.entry_points(group=f"saywhat.{group}"):
        if point.name == name:
            factory = point.load()
            if not callable(factory):
                raise SetupError(f"The entry point {point.name!r} ({point.value}) is not callable.")
            return factory  # type: ignore[no-any-return]
    raise UnknownNameError(group.rstrip("s"), spec, names(group))
