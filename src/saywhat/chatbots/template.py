"""Templates of requests: data with ``{{query}}`` and ``{{session}}`` in its texts.

A template is filled as data: the query becomes (part of) a text value, whatever is in it, and
cannot become anything else. Only what is filled is turned into JSON or a query string.
"""

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

from saywhat.chatbots.secrets import HINT, Secret, is_credential, reference

_PLACEHOLDER: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_DEEPEST: Final = 50


@final
class Slot(enum.Enum):
    """What is filled in when a request leaves."""

    QUERY = "query"
    SESSION = "session"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text with slots in it."""

    parts: tuple[str | Slot, ...]


QUERY: Final = Text((Slot.QUERY,))
Complain = Callable[[str, str], None]


@final
class TemplateReader:
    """Reads templates; what is wrong with them is told to ``complain``, all of it.

    Args:
        folder: what the paths of secrets are relative to.
        complain: takes a dotted key and a message.

    Example:
        >>> reader = TemplateReader(Path("."), complain=print)
        >>> template = reader.data("body", {"message": "{{query}}", "n": 1})
        >>> filled(template, {Slot.QUERY: 'say "hi"'}, Secret.read)
        {'message': 'say "hi"', 'n': 1}
    """

    def __init__(self, folder: Path, complain: Complain) -> None:
        self._folder, self._complain = folder, complain

    def flat(self, key: str, values: object, *, slots: frozenset[Slot]) -> dict[str, Any]:
        """Read names and texts: headers, or the values of a form or a query string."""
        if not isinstance(values, Mapping):
            if values is not None:
                self._complain(key, "expected names and values")
            return {}
        read: dict[str, Any] = {}
        for name, value in values.items():
            place = f"{key}.{name}"
            if not isinstance(name, str):
                self._complain(place, "expected text for a name; put it in quotes")
            elif secret := reference(value, self._folder):
                read[name] = secret
            elif isinstance(value, bool) or not isinstance(value, str | int | float):
                self._complain(place, f"expected text, a number or a reference; {HINT}")
            else:
                read[name] = self._leaf(place, name, str(value), slots)
        return read

    def data(self, key: str, value: object, *, depth: int = 0, name: str = "") -> Any:
        """Read JSON data."""
        if depth > _DEEPEST:
            self._complain(key, f"nested more than {_DEEPEST} deep")
            return None
        if secret := reference(value, self._folder, needs_prefix=True):
            return secret
        if isinstance(value, Mapping):
            return self._mapping(key, value, depth)
        if isinstance(value, list):
            return [
                self.data(f"{key}.{index}", item, depth=depth + 1, name=name)
                for index, item in enumerate(value)
            ]
        return self._scalar(key, name, value)

    def _scalar(self, key: str, name: str, value: object) -> Any:
        if isinstance(value, str):
            return self._leaf(key, name, value, frozenset(Slot))
        if value is not None and not isinstance(value, bool):
            if not isinstance(value, int | float) or not math.isfinite(value):
                self._complain(key, f"not JSON, but a {type(value).__name__}; put it in quotes")
            elif is_credential(name):
                self._complain(key, f"a literal secret; {HINT}")
        return value

    def _mapping(self, key: str, values: Mapping[Any, object], depth: int) -> dict[str, Any]:
        read = {}
        for name, value in values.items():
            place = f"{key}.{name}"
            if not isinstance(name, str):
                self._complain(place, "expected text for a key; put it in quotes")
            elif _PLACEHOLDER.search(name):
                self._complain(place, "placeholders belong in values, not in keys")
            elif is_credential(name) and isinstance(value, Mapping):
                self._complain(place, f"expected a reference; {HINT}")
            else:
                read[name] = self.data(place, value, depth=depth + 1, name=name)
        return read

    def _leaf(self, key: str, name: str, text: str, slots: frozenset[Slot]) -> str | Text:
        parts: list[str | Slot] = []
        for index, part in enumerate(_PLACEHOLDER.split(text)):
            if index % 2 == 0:
                parts += [part] if part else []
            elif part in {slot.value for slot in slots}:
                parts.append(Slot(part))
            else:
                known = " and ".join(f"{{{{{slot.value}}}}}" for slot in Slot if slot in slots)
                self._complain(key, f"unknown placeholder {{{{{part}}}}}; known here: {known}")
        if any(isinstance(part, Slot) for part in parts):
            return Text(tuple(parts))
        if text and is_credential(name, text):
            self._complain(key, f"a literal secret; {HINT}")
        return text


def filled(template: Any, slots: Mapping[Slot, str], read: Callable[[Secret], str]) -> Any:
    """Fill a template.

    Args:
        template: what ``TemplateReader`` made.
        slots: what to fill in.
        read: reads a secret, without its prefix.
    """
    if isinstance(template, Text):
        return "".join([slots[part] if isinstance(part, Slot) else part for part in template.parts])
    if isinstance(template, Secret):
        return template.prefix + read(template)
    if isinstance(template, dict):
        return {key: filled(value, slots, read) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, slots, read) for value in template]
    return template


def leaves(template: Any) -> Iterator[Any]:
    """Give everything in a template that is not a mapping or a list."""
    if isinstance(template, dict):
        template = list(template.values())
    if isinstance(template, list):
        for value in template:
            yield from leaves(value)
    else:
        yield template


def has_slot(template: Any, slot: Slot) -> bool:
    """Tell whether a template has a place for something."""
    return any(isinstance(leaf, Text) and slot in leaf.parts for leaf in leaves(template))


def described(template: Any) -> Any:
    """Describe a template as JSON data, secrets by reference: no two have one description."""
    if isinstance(template, Text):
        return ["text", *([p.value] if isinstance(p, Slot) else p for p in template.parts)]
    if isinstance(template, Secret):
        return ["secret", template.kind, template.place, template.prefix]
    if isinstance(template, dict):
        return {key: described(value) for key, value in template.items()}
    if isinstance(template, list):
        return ["list", *(described(value) for value in template)]
    return ["is", template]
