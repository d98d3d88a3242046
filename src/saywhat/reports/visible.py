"""Hostile text made visible: what readers cannot see, or terminals obey, becomes code points.

Every writer passes chatbot, target and list text through :func:`visible` before its own escaping. A
right-to-left override reads ``<U+202E>``, as in ``less``; so does an escape, a zero-width space, a
lone surrogate, a no-break space that would pass for a space, and a fourth mark on one letter.
"""

import unicodedata
from typing import Final

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_EMOJI_STYLE: Final = "\ufe0f"
_MARKS_ON_ONE_LETTER: Final = 3


def visible(text: str, *, limit: int | None = None) -> str:
    r"""Show text harmlessly, on one line.

    Args:
        text: any text.
        limit: the most characters of it to show; the cut is said where it is made.

    Example:
        >>> visible("a\x1b[2J\u202eb")
        'a<U+001B>[2J<U+202E>b'
        >>> visible("x" * 100_000, limit=3)
        'xxx... [cut: 100,000 characters in all]'
    """
    shown: list[str] = []
    previous, marks = "", 0
    for character in text if limit is None else text[:limit]:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        hidden = _is_hidden(character, category, previous) or marks > _MARKS_ON_ONE_LETTER
        shown.append(f"<U+{ord(character):04X}>" if hidden else character)
        previous = category
    if limit is not None and len(text) > limit:
        shown.append(f"... [cut: {len(text):,} characters in all]")
    return "".join(shown)


def _is_hidden(character: str, category: str, previous: str) -> bool:
    if character == " ":
        return False
    if character == _EMOJI_STYLE:  # ordinary after a symbol; elsewhere it can smuggle text
        return previous != "So"
    return (
        category in _HIDDEN_CATEGORIES
        or character in _BLANK_LETTERS
        or 0xFE00 <= ord(character) <= 0xFE0F
        or 0xE0100 <= ord(character) <= 0xE01EF
    )
