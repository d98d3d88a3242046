"""Any Python function as a chatbot: ``python:bot.py:reply``, or a function object.

Two forms are told apart by the annotation of the function's parameter: ``list[str]`` (or another
sequence) takes and gives a whole batch; anything else, or no annotation, takes and gives one text.

The fingerprint is a hash of the file that holds the function. What the function reads from
elsewhere (weights, a service, captured variables) is not in it: an object with ``name``,
``fingerprint`` and ``reply`` of its own is taken as it is, and can tell.
"""

import collections.abc
import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

from saywhat.errors import ChatbotError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot

_EXPECTED: Final = "python:FILE.py:FUNCTION or python:MODULE:FUNCTION"
_BATCHES: Final = frozenset({
    list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
})  # fmt: skip


@final
class CallableChatbot:
    """Answers with a function.

    Args:
        function: ``str -> str``, or ``list[str] -> list[str]`` if its parameter says so.
        name: for tables.
        fingerprint: a hash of all that determines the replies.

    Raises:
        SetupError: it is not a function of one parameter.

    Example:
        >>> CallableChatbot(str.upper, name="loud", fingerprint="1").reply(["hi"])
        ['HI']
    """

    def __init__(self, function: Callable[..., Any], *, name: str, fingerprint: str) -> None:
        self._function, self._name, self._fingerprint = function, name, fingerprint
        self._batched = _takes_a_batch(function, name)

    @property
    def name(self) -> str:
        """The function's name."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of the function's file."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: the function raised, or gave something else than text.
        """
        if not queries:
            return []
        if self._batched:
            return self._checked(self._call(list(queries), queries[0]), queries)
        return [self._text(self._call(query, query), query) for query in queries]

    def _call(self, argument: str | list[str], query: str) -> object:
        try:
            return self._function(argument)
        except (Exception, SystemExit) as error:  # its exit code must not become an audit's
            raise ChatbotError(
                f"{self._name}() raised {type(error).__name__}: {error}", query=query
            ) from error

    def _text(self, reply: object, query: str) -> str:
        if not isinstance(reply, str):
            raise ChatbotError(
                f"Expected text from {self._name}(), got {type(reply).__name__}", query=query
            )
        return reply

    def _checked(self, replies: object, queries: Sequence[str]) -> list[str]:
        if not isinstance(replies, list | tuple) or len(replies) != len(queries):
            got = f"{len(replies)}" if isinstance(replies, list | tuple) else type(replies).__name__
            raise ChatbotError(
                f"Expected a list of {len(queries)} texts from {self._name}(), got {got}",
                query=queries[0],
            )
        return [self._text(reply, query) for reply, query in zip(replies, queries, strict=True)]


def load(argument: str) -> Chatbot:
    """Make the chatbot that ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` names.

    The file's folder, or the working directory for a module, joins the end of the import path, so
    that the file can import its neighbours.

    Raises:
        SetupError: there is no such file or module, importing it failed, or it holds no such
            function (the message lists those that it holds).
    """
    place, _, attribute = argument.rpartition(":")
    if not place or not attribute:
        raise SetupError(f"Expected {_EXPECTED}, got 'python:{argument}'.")
    is_file = place.endswith(".py") or "/" in place
    module = _import_file(Path(place)) if is_file else _import_module(place)
    try:
        found: Any = functools.reduce(getattr, attribute.split("."), module)
    except AttributeError:
        known = [name for name, item in vars(module).items() if _is_own(item, module, name)]
        raise UnknownNameError(f"function of {place}", attribute, known) from None
    is_class = isinstance(found, type)
    if not is_class and isinstance(found, Chatbot):
        return found
    return wrap(found, name=attribute)


def wrap(function: Any, *, name: str = "") -> CallableChatbot:
    """Make a chatbot of a function object.

    Raises:
        SetupError: it cannot be called with one text.
    """
    name = name or getattr(function, "__name__", type(function).__name__)
    if isinstance(function, type):
        raise SetupError(
            f"Expected a function, got the class {name}; name a function or an instance."
        )
    if not callable(function):
        raise SetupError(f"Expected a function, got {name} of type {type(function).__name__}.")
    return CallableChatbot(function, name=name, fingerprint=_fingerprint(function, name))


def _import_file(path: Path) -> types.ModuleType:
    try:
        source = path.read_bytes()
    except OSError as error:
        beside = sorted(file.name for file in path.parent.glob("*.py"))
        hint = f" That folder has {', '.join(beside)}." if beside else ""
        raise SetupError(f"Expected a Python file at {path}: {error.strerror}.{hint}") from error
    path = path.resolve()
    identity = hashlib.sha256(str(path).encode() + b"\0" + source).hexdigest()
    name = f"saywhat_chatbot_{identity[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    _make_importable(path.parent)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SetupError(f"Expected a Python file, got {path}; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failed(str(path), error) from error
    return module


def _import_module(name: str) -> types.ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_failed(name, error) from error


def _import_failed(place: str, error: BaseException) -> SetupError:
    return SetupError(
        f"Importing {place} raised {type(error).__name__}: {error}. Expected {_EXPECTED}."
    )


def _make_importable(folder: Path) -> None:
    # at the end, so that a neighbour's name cannot replace a package
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _is_own(item: object, module: types.ModuleType, name: str) -> bool:
    local = getattr(item, "__module__", module.__name__) == module.__name__
    return callable(item) and local and not name.startswith("_")


def _takes_a_batch(function: Callable[..., Any], name: str) -> bool:
    if inspect.iscoroutinefunction(function):
        raise SetupError(f"{name}() is asynchronous; wrap it in a function that calls asyncio.run.")
    try:
        signature = _signature(function)
    except (TypeError, ValueError):  # written in C and undocumented: as good as unannotated
        return False
    try:
        signature.bind("query")
    except TypeError as error:
        raise SetupError(
            f"Expected a function of one parameter, the query; got {name}{signature}."
        ) from error
    annotation = next(iter(signature.parameters.values())).annotation
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] in {"list", "List", "Sequence"}
    return (typing.get_origin(annotation) or annotation) in _BATCHES


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that was imported for type checkers only
        return inspect.signature(function)


def _fingerprint(function: Any, name: str) -> str:
    """Hash the file that holds a function, its place there, and a partial's arguments."""
    identity: list[str] = ["callable-1", name]
    if isinstance(function, functools.partial):
        identity.append(repr((function.args, sorted(function.keywords.items()))))
        function = function.func
    function = inspect.unwrap(function)
    code = getattr(function, "__code__", None)
    for holder in (function, type(function)):
        try:
            source = Path(inspect.getsourcefile(holder) or "").read_bytes()
        except (OSError, TypeError):
            continue
        identity += [hashlib.sha256(source).hexdigest(), getattr(holder, "__qualname__", "")]
        identity.append(str(code.co_firstlineno) if code else "")
        break
    else:
        identity += [sys.version, getattr(function, "__qualname__", ""), *_instructions(code)]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _instructions(code: types.CodeType | None) -> list[str]:
    """Describe a function whose source is in no file, as in an interactive session."""
    if code is None:
        return []
    parts = [code.co_code.hex(), repr(code.co_names)]
    for constant in code.co_consts:
        inner = isinstance(constant, types.CodeType)
        parts += _instructions(constant) if inner else [repr(constant)]
    return parts
