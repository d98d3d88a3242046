"""The normaliser: when two texts count as the same sentence, and how many words a sentence has.

Exact matches, leak checks between lists and training texts, and length groups all use it, so that
they cannot disagree.
"""

import re
import unicodedata

_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`\u00b4]")
_WORD = re.compile(r"[^\W_]+")
LENGTH_GROUPS = {"1-3": (1, 3), "4-6": (4, 6), "7-10": (7, 10)}


def normalise(text: str) -> str:
    """Fold case, accents' encoding, apostrophes, punctuation and spacing.

    Example:
        >>> normalise("I  don\u2019t KNOW!!")
        'i dont know'
    """
    # apostrophes first: the canonical form takes the acute accent that serves as one apart
    plain = unicodedata.normalize("NFKC", _APOSTROPHES.sub("", text))
    folded = _APOSTROPHES.sub("", plain.casefold())
    return " ".join(_WORD.findall(folded))


def word_count(text: str) -> int:
    """Count words; punctuation does not count and ``don't`` is one word.

    Example:
        >>> word_count("well , i don't know !")
        4
    """
    return len(normalise(text).split())


def length_group(text: str) -> str:
    """Give the paper's length group (Section 5.2), or ``""`` for other lengths.

    Example:
        >>> length_group("see you tomorrow then")
        '4-6'
    """
    words = word_count(text)
    return next((name for name, (low, high) in LENGTH_GROUPS.items() if low <= words <= high), "")
