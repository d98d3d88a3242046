"""YAML files as plain data, with the line of each key for error messages.

No message repeats a value: a file may hold what should not be in it.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import yaml

from saywhat.errors import SetupError


@final
@dataclasses.dataclass(frozen=True, slots=True)
class YamlFile:
    """A file that was read.

    Attributes:
        values: its mapping.
        lines: dotted key -> line number; what stands in a list is known by its place, from 0.
        repeated: (dotted key, line, line of the first) of each key that its mapping holds already.
    """

    values: dict[str, Any]
    lines: dict[str, int]
    repeated: list[tuple[str, int, int]]

    def line_of(self, key: str) -> int:
        """Give the line of a dotted key, or of the nearest key around it."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return self.lines.get(key, 1)


def read_yaml(path: Path, what: str = "a settings file") -> YamlFile:
    """Read a mapping from a YAML file; nothing in it is executed.

    Args:
        path: the file.
        what: what it is, for messages.

    Raises:
        SetupError: the file is missing, not UTF-8, not YAML, or not a mapping.
    """
    text = _text(path, what)
    try:
        lines, repeated, values = _parsed(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SetupError(f"{path} is not YAML: line {line}: {error.problem}.") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # all but the first: what the library itself makes of !!int "" and its like
        raise SetupError(f"{path} is not YAML ({type(error).__name__}).") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise SetupError(f"Expected keys and values in {path}, got a {type(values).__name__}.")
    return YamlFile({str(key): value for key, value in values.items()}, lines, repeated)


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        beside = sorted(file.name for file in path.parent.glob("*.y*ml"))
        hint = f" That folder has {', '.join(beside)}." if beside else ""
        raise SetupError(f"Expected {what} at {path}: {error.strerror}.{hint}") from None
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from None


def _parsed(text: str) -> tuple[dict[str, int], list[tuple[str, int, int]], Any]:
    lines: dict[str, int] = {}
    repeated: list[tuple[str, int, int]] = []
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return lines, repeated, None
        # before the data are made: that resolves merge keys within the nodes
        for key, line, first in _keys(node, "", set()):
            lines.setdefault(key, line)
            if first is not None:
                repeated.append((key, line, first))
        return lines, repeated, loader.construct_document(node)
    finally:
        loader.dispose()


def _keys(
    node: yaml.Node, prefix: str, seen: set[yaml.Node]
) -> Iterator[tuple[str, int, int | None]]:
    """Give each key, its line, and the line of the same key in the same mapping before it."""
    if node in seen:  # an alias: its keys stand where its anchor is, and it may hold itself
        return
    seen.add(node)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            # a key that is no scalar cannot be made, and its text might have no end
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            line = key.start_mark.line + 1
            yield f"{prefix}{name}", line, first.get(name)
            first.setdefault(name, line)
            yield from _keys(value, f"{prefix}{name}.", seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield f"{prefix}{index}", item.start_mark.line + 1, None
            yield from _keys(item, f"{prefix}{index}.", seen)
