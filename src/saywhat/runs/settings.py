"""Whether two runs have the same settings, and where they differ."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

FREE_SECTIONS: Final = frozenset({"limits", "connection"})
"""Sections that may change between a run and its resumption: they end a run or set its pace, and
change no result."""


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Give 8 hexadecimal digits of the binding settings' canonical JSON: key order does not matter.

    Args:
        settings: plain JSON values.

    Raises:
        TypeError, ValueError: a value has no JSON form: a bug, since resolved settings have one.

    Example:
        >>> settings_hash({"a": 1, "b": 2}) == settings_hash({"b": 2, "a": 1})
        True
    """
    text = json.dumps(binding(settings), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:8]


def binding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the sections that are free to change.

    Example:
        >>> binding({"seed": 1, "limits": {"queries": 5}})
        {'seed': 1}
    """
    return {key: value for key, value in settings.items() if key not in FREE_SECTIONS}


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings as JSON would read them back: tuples as lists, keys as text.

    Example:
        >>> plain({"lengths": (1, 3)})
        {'lengths': [1, 3]}
    """
    copy: dict[str, Any] = json.loads(json.dumps(settings, allow_nan=False))
    return copy


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Give one line for each key, dotted, that differs.

    Example:
        >>> differences({"search": {"budget": 50}, "seed": 1}, {"search": {"budget": 200}})
        ['search.budget (was 50, now 200)', 'seed (was 1, now absent)']
    """
    old, new = _flat(plain(before)), _flat(plain(now))
    return [
        f"{key} (was {_shown(old, key)}, now {_shown(new, key)})"
        for key in sorted(old.keys() | new.keys())
        if _shown(old, key, limit=None) != _shown(new, key, limit=None)
    ]


def _shown(flat: Mapping[str, Any], key: str, *, limit: int | None = 60) -> str:
    return repr(flat[key])[:limit] if key in flat else "absent"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else key)
    return flat
