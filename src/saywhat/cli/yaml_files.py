"""YAML settings files as plain data, with the line of each key for error messages."""

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
        lines: dotted key -> line number.
        repeated: (dotted key, line) of each key that its mapping holds already.
    """

    values: dict[str, Any]
    lines: dict[str, int]
    repeated: list[tuple[str, int]]


def read_yaml(path: Path) -> YamlFile:
    """Read a mapping from a YAML file; nothing in it is executed.

    Raises:
        SetupError: the file is missing, not UTF-8, not YAML, or not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SetupError(f"Expected a settings file at {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    try:
        values = yaml.safe_load(text)
        keys = list(_keys(yaml.compose(text, Loader=yaml.SafeLoader), ""))
    except yaml.YAMLError as error:
        raise SetupError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise SetupError(f"Expected keys and values in {path}, got a {type(values).__name__}.")
    lines: dict[str, int] = {}
    repeated = []
    for key, line in keys:
        if key in lines:
            repeated.append((key, line))
        lines.setdefault(key, line)
    return YamlFile({str(key): value for key, value in values.items()}, lines, repeated)


def _keys(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        yield name, key.start_mark.line + 1
        yield from _keys(value, f"{name}.")
