"""Where in a JSON document the reply is, and where it might be.

Documents come from a stranger: they may be of any shape, and thousands of levels deep.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, final

import jsonpath
from typing_extensions import override

from saywhat.errors import SetupError

MISSING: Final = object()
_MOST_VISITED: Final = 20_000
_SAMPLE: Final = 40  # characters
_LONGEST_KEY: Final = 40
_DEEPEST: Final = 12
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKELY: Final = frozenset({
    "answer", "completion", "content", "generated_text", "message", "output", "reply", "response",
    "text",
})  # fmt: skip

_Keys = tuple[str | int, ...]


@final
class ReplyPath:
    """A JSONPath to the reply.

    Args:
        path: such as ``$.reply.text``; several may be joined by ``|``.

    Raises:
        SetupError: it is not a JSONPath.

    Example:
        >>> ReplyPath("$.choices[0].text").find({"choices": [{"text": "hi"}]})
        'hi'
    """

    def __init__(self, path: str) -> None:
        if not path.lstrip().startswith("$"):
            raise SetupError(f"expected text, or a JSONPath such as $.reply.text, got {path!r}")
        try:
            self._path = jsonpath.compile(path)
        except (jsonpath.JSONPathError, RecursionError, ValueError) as error:
            problem = str(error).partition("\n")[0]
            raise SetupError(f"{path!r} is not a JSONPath: {problem}") from None
        self._source, self._whole = path, str(self._path) == "$"

    @override
    def __str__(self) -> str:
        return self._source

    def find(self, document: Any) -> Any:
        """Give what the first match is; ``MISSING`` if nothing matches."""
        if self._whole:
            return document
        if not isinstance(document, dict | list):  # the library would read text as JSON
            return MISSING
        try:
            match = next(iter(self._path.finditer(document)), None)
        except (jsonpath.JSONPathError, RecursionError):  # too deep
            return MISSING
        return MISSING if match is None else match.value


def text_paths(
    document: Any, *, most: int = 5, shown: Callable[[str], str] = str
) -> list[tuple[str, str]]:
    """Suggest where in a JSON document the reply may be.

    Args:
        document: any JSON data.
        most: how many suggestions.
        shown: applied to each text before its beginning is taken, to mask what is in it.

    Returns:
        JSONPaths to texts and the beginning of each, the likeliest first: those under a usual name,
        then those nearest to the top.

    Example:
        >>> text_paths({"id": "7", "reply": {"text": "hello there"}})
        [('$.reply.text', 'hello there'), ('$.id', '7')]
    """
    waiting: deque[tuple[_Keys, Any]] = deque([((), document)])
    found: list[tuple[bool, int, _Keys, str]] = []
    for _ in range(_MOST_VISITED):
        if not waiting:
            break
        keys, value = waiting.popleft()
        if isinstance(value, str):
            found.append((not keys or keys[-1] not in _LIKELY, len(keys), keys, value))
        for key, child in _children(value):
            if len(keys) < _DEEPEST and len(waiting) < _MOST_VISITED:
                waiting.append(((*keys, key), child))
    found.sort(key=lambda leaf: leaf[:2])
    return [(_path(keys), _sample(shown(text))) for _, _, keys, text in found[:most]]


def _children(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return ((key, child) for key, child in value.items() if len(key) <= _LONGEST_KEY)
    return enumerate(value) if isinstance(value, list) else ()


def _path(keys: _Keys) -> str:
    parts = ["$"]
    for key in keys:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        else:
            parts.append(f".{key}" if _PLAIN.fullmatch(key) else f"['{_escaped(key)}']")
    return "".join(parts)


def _escaped(key: str) -> str:
    key = key.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(
        character if character.isprintable() else _code_units(character) for character in key
    )


def _code_units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _sample(text: str) -> str:
    line = " ".join(text[: 4 * _SAMPLE].split())
    return line if len(line) <= _SAMPLE else line[: _SAMPLE - 1] + "…"
