"""Where a user's function comes from: importing its file or module, and a hash of what it is."""

import functools
import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
import types
from pathlib import Path
from typing import Any, Final

from saywhat.errors import SetupError, UnknownNameError

_EXPECTED: Final = "python:FILE.py:FUNCTION or python:MODULE:FUNCTION"


def find(argument: str) -> tuple[Any, str]:
    """Import what ``FILE.py:FUNCTION`` or ``MODULE:FUNCTION`` names.

    The file's folder, or the working directory for a module, joins the end of the import path, so
    that the file can import its neighbours.

    Returns:
        What it names, and its name.

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
        return functools.reduce(getattr, attribute.split("."), module), attribute
    except AttributeError:
        known = [name for name, item in vars(module).items() if _is_own(item, module, name)]
        raise UnknownNameError(f"function of {place}", attribute, known) from None


def fingerprint_of(function: Any, name: str) -> str:
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


def _instructions(code: types.CodeType | None) -> list[str]:
    """Describe a function whose source is in no file, as in an interactive session."""
    if code is None:
        return []
    parts = [code.co_code.hex(), repr(code.co_names)]
    for constant in code.co_consts:
        inner = isinstance(constant, types.CodeType)
        parts += _instructions(constant) if inner else [repr(constant)]
    return parts
