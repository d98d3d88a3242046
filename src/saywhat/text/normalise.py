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


def same_words(a: str, b: str) -> bool:
    """Whether two texts have the same words in the same order, and any at all.

    Example:
        >>> same_words("I don't know.", "i dont know"), same_words("...", "!")
        (True, False)
    """
    words = normalise(a)
    return bool(words) and words == normalise(b)


def share_of_words(wanted: str, text: str) -> float:
    """Give the share of the distinct words of ``wanted`` that a text has, in [0, 1].

    It is 0 where no word is wanted. Order and repetition do not count.

    Example:
        >>> share_of_words("I love you, you!", "say you love me")
        0.6666666666666666
    """
    words = set(normalise(wanted).split())
    return len(words & set(normalise(text).split())) / len(words) if words else 0.0


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
