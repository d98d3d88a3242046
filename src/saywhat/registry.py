"""Names to implementations: imported when made; third parties join by entry point.

Groups of entry points: ``saywhat.chatbots`` (a factory ``(argument: str) -> Chatbot``) and
``saywhat.similarities``. A third-party name is the entry point's own, and never
shadows a built-in one.
"""

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from saywhat.errors import SetupError, UnknownNameError
from saywhat.interfaces import Chatbot

ASSETS: Final = Path(__file__).with_name("assets")

# spec or prefix -> (what it is, "module:attribute", imported when made)
_SEQ2SEQ: Final = "saywhat.chatbots.seq2seq:Seq2SeqChatbot"
_CHATBOTS: Final[Mapping[str, tuple[str, str]]] = {
    "builtin": ("the chatbot that ships with saywhat", _SEQ2SEQ),
    "seq2seq:DIR": ("a chatbot made by `saywhat train-chatbot`", _SEQ2SEQ),
    "python:FILE.py:FUNCTION": ("a function in a file or module", "saywhat.chatbots.callable:load"),
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


def load_chatbot(spec: str | Chatbot | Callable[..., Any]) -> Chatbot:
    """Make the chatbot that a spec names.

    Args:
        spec: a spec, a chatbot (which comes back as it is), or a function ``str -> str`` or
            ``list[str] -> list[str]``.

    Raises:
        UnknownNameError: the spec resolves to nothing; nothing is guessed.
        SetupError: it resolves but cannot be made (missing folder, wrong checkpoint, not callable).
    """
    chatbot: Chatbot
    if isinstance(spec, Chatbot):
        return spec
    if not isinstance(spec, str):
        chatbot = _load("saywhat.chatbots.callable:wrap")(spec)
        return chatbot
    head, _, rest = spec.partition(":")
    if spec == "builtin":
        chatbot = _load(_CHATBOTS["builtin"][1]).load(ASSETS / "chatbot", name="builtin")
    elif head == "seq2seq" and rest:
        chatbot = _load(_CHATBOTS["seq2seq:DIR"][1]).load(Path(rest))
    elif head == "python" and rest:
        chatbot = _load(_CHATBOTS["python:FILE.py:FUNCTION"][1])(rest)
    elif head == "known" and rest:
        chatbot = _load(_CHATBOTS["known:NAME"][1])(rest)
    else:
        chatbot = _third_party("chatbots", head, spec)(rest)
    return chatbot


def _third_party(group: str, name: str, spec: str) -> Callable[[str], Any]:
    for point in importlib.metadata.entry_points(group=f"saywhat.{group}"):
        if point.name == name:
            factory = point.load()
            if not callable(factory):
                raise SetupError(f"The entry point {point.name!r} ({point.value}) is not callable.")
            return factory  # type: ignore[no-any-return]
    raise UnknownNameError(group.rstrip("s"), spec, names(group))
