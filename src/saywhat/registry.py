"""Names to implementations: imported when made; third parties join by entry point.

Groups of entry points: ``saywhat.chatbots`` (a factory ``(argument: str) -> Chatbot``) and
``saywhat.similarities`` (a factory ``() -> Similarity``). A third-party name is the entry point's
own, and never shadows a built-in one.
"""

import contextlib
import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import SayWhatError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot, Closable, Similarity

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
    "contains": "for keywords: the share of the target's words that the reply holds",
    "sentence-encoder": "the judge: cosine of sentence embeddings, never a reward (extra judge)",
}
JUDGES: Final = frozenset({"sentence-encoder"})
"""Similarities that are kept from training, so that they can judge what it found."""
_SEARCHES: Final[Mapping[str, str]] = {
    "greedy": "the generator's most likely query: 1 query",
    "beam": "the generator's N best queries by beam search, all asked (the paper's)",
    "sampling": "N queries drawn from the generator, all asked",
    "diverse-beam": "the N best queries of a beam search whose groups keep apart, all asked",
    "retrieval": "the known query whose reply is nearest: nothing is asked",
    "random": "N ordinary posts, all asked",
    "real-input": "for targets from conversations: the human query before it",
    "rnn-agent": "a language model of queries, trained anew for each target by what it asks",
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
    return built_in | {point.name: f"from {point.value}" for point in _third_parties(kind)}


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
    connection, model = connection or ConnectionSettings(), model or ModelSettings()
    chatbot: Chatbot
    if not isinstance(spec, str):
        chatbot = _load("saywhat.chatbots.callable:wrap")(spec, connection=connection)
        return chatbot
    head, colon, rest = spec.partition(":")
    if head in {"http", "https"} and rest.startswith("//"):
        raise SetupError(
            f"{spec} is an address, which does not say how the chatbot there is asked: give "
            "openai:URL#MODEL for a server with OpenAI's API, or http:FILE.yaml, which describes "
            "any JSON API."
        )
    for form, (_, path) in _CHATBOTS.items():
        if form.partition(":")[:2] == (head, colon) and bool(rest) == bool(colon):
            chatbot = _load(path)(rest, connection, model)
            return chatbot
    made = third_party("chatbots", head, rest)
    if made is None:
        raise UnknownNameError("chatbot", spec, names("chatbots"))
    chatbot = made
    return chatbot


@contextlib.contextmanager
def open_chatbot(
    spec: str | Chatbot | Callable[..., Any],
    *,
    connection: ConnectionSettings,
    model: ModelSettings,
) -> Iterator[Chatbot]:
    """Make the chatbot that a spec names, and let go of what it holds afterwards.

    Args:
        spec: as for ``load_chatbot``; a chatbot that was made elsewhere is closed there.
        connection: how a chatbot outside this process is reached.
        model: how a language model is asked.

    Raises:
        SetupError: as ``load_chatbot``.
    """
    made = load_chatbot(spec, connection=connection, model=model)
    try:
        yield made
    finally:
        if made is not spec and isinstance(made, Closable):
            made.close()


def third_party(kind: str, name: str, *arguments: str) -> Any:
    """Make what another package offers by entry point; ``None`` if none offers it.

    Args:
        kind: ``chatbots`` or ``similarities``.
        name: the entry point's name.
        arguments: of its factory.

    Raises:
        SetupError: it cannot be imported or made, or is something else; the message names the
            package.
    """
    points = [point for point in _third_parties(kind) if point.name == name]
    if not points:
        return None
    packages = sorted({point.dist.name if point.dist else "?" for point in points})
    place = f"{name!r} of the package {' and of '.join(packages)}"
    if len(packages) > 1:
        raise SetupError(f"Expected one package to offer {name!r}, got {place}; uninstall one.")
    try:
        made = points[0].load()(*arguments)
    except SayWhatError:
        raise
    except (Exception, SystemExit) as error:
        raise SetupError(
            f"Making {place} ({points[0].value}) raised {type(error).__name__}: {error}."
        ) from error
    expected = {"chatbots": Chatbot, "similarities": Similarity}[kind]
    if isinstance(made, type):  # it has the methods, but nobody can call them
        raise SetupError(
            f"Expected a {expected.__name__} from {place}, got the class {made.__name__}."
        )
    if not isinstance(made, expected):
        raise SetupError(f"Expected a {expected.__name__} from {place}, got {type(made).__name__}.")
    return made


def _third_parties(kind: str) -> list[importlib.metadata.EntryPoint]:
    """List entry points; those with a name of ours are left out, so that nobody shadows it."""
    ours: Mapping[str, object] = {"chatbots": _CHATBOTS, "similarities": _SIMILARITIES}[kind]
    taken = {name.partition(":")[0] for name in ours}
    points = importlib.metadata.entry_points(group=f"saywhat.{kind}")
    return [point for point in points if point.name not in taken]
