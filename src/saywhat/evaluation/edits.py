"""Small edits of a query: those that should not change a reply, and those that should.

After Niu and Bansal (2018), "Adversarial Over-Sensitivity and Over-Stability Strategies for
Dialogue Models". Each edit is one change at one place, drawn at random where there are several, and
does not apply to every text. Departures:

1. *Should not change*: their random swap and stop word dropout; contraction, punctuation, casing
   and a typing error take the place of their paraphrases and grammar errors, which need models.
2. *Should change*: their negation and antonyms, from closed lists; replacing all content words by
   others is added.
"""

import dataclasses
import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, final

from saywhat.text.normalise import normalise
from saywhat.text.stopwords import FUNCTION_WORDS, is_content_word

Kind = Literal["should-not-change", "should-change"]
Apply = Callable[[str, random.Random], str | None]

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_FINAL_MARK: Final = re.compile(r"\s*[.!?]+\s*$")
_SHORTEST_TYPO: Final = 4

_CONTRACTIONS: Final[Mapping[str, str]] = {
    "i am": "i'm", "you are": "you're", "we are": "we're", "they are": "they're",
    "he is": "he's", "she is": "she's", "it is": "it's", "that is": "that's",
    "what is": "what's", "there is": "there's", "i have": "i've", "i will": "i'll",
    "you will": "you'll", "let us": "let's", "do not": "don't", "does not": "doesn't",
    "did not": "didn't", "is not": "isn't", "are not": "aren't", "was not": "wasn't",
    "were not": "weren't", "have not": "haven't", "has not": "hasn't", "had not": "hadn't",
    "can not": "can't", "could not": "couldn't", "will not": "won't", "would not": "wouldn't",
    "should not": "shouldn't",
}  # fmt: skip
_CONTRACTED: Final = {normalise(short): long for long, short in _CONTRACTIONS.items()}
_NEGATED: Final = {  # "do" -> "don't"
    long.removesuffix(" not"): short for long, short in _CONTRACTIONS.items() if " not" in long
} | {
    word: f"{word} not"
    for word in (
        "am", "i'm", "im", "you're", "youre", "we're", "they're", "theyre", "he's", "she's",
        "it's", "that's", "thats",
    )
}  # fmt: skip
_AFFIRMED: Final = {"not": "", "cannot": "can"} | {
    normalise(short): word for word, short in _NEGATED.items() if " not" not in short
}
_ANTONYM_PAIRS: Final = """
love hate  like dislike  good bad  great terrible  happy sad  big small  hot cold  new old
young old  easy hard  best worst  better worse  always never  more less  most least  many few
right wrong  true false  fun boring  funny serious  interesting boring  early late  fast slow
first last  long short  tall short  high low  rich poor  cheap expensive  clean dirty  full empty
light dark  day night  morning evening  summer winter  today tomorrow  before after  up down
in out  open closed  start stop  begin end  win lose  buy sell  come leave  remember forget
yes no  everyone nobody  everything nothing  everywhere nowhere  friend enemy  safe dangerous
strong weak  warm cool  wet dry  near far  alone together  sick healthy  smart stupid
"""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """One kind of change to a query.

    Attributes:
        name: for tables.
        kind: whether the reply should change.
        apply: gives the changed text, or ``None`` where the edit does not apply.
    """

    name: str
    kind: Kind
    apply: Apply


def edits(pool: Sequence[str]) -> tuple[Edit, ...]:
    """Give all edits.

    Args:
        pool: the content words that replace others, normalised.

    Example:
        >>> {edit.name: edit.apply("do you like it ?", random.Random(1)) for edit in edits([])}[
        ...     "negation"
        ... ]
        "don't you like it ?"
    """

    def other_words(text: str, rng: random.Random) -> str | None:
        return _replace_content(text, rng, pool)

    return (
        Edit("swap", "should-not-change", _swap),
        Edit("stop-word", "should-not-change", _drop_stop_word),
        Edit("contraction", "should-not-change", _contract),
        Edit("punctuation", "should-not-change", _punctuate),
        Edit("casing", "should-not-change", _recase),
        Edit("typo", "should-not-change", _mistype),
        Edit("negation", "should-change", _negate),
        Edit("antonym", "should-change", _oppose),
        Edit("other-words", "should-change", other_words),
    )


def _antonyms() -> dict[str, str]:
    words = _ANTONYM_PAIRS.split()
    both: dict[str, str] = {}
    for left, right in zip(words[::2], words[1::2], strict=True):
        both.setdefault(left, right)
        both.setdefault(right, left)
    return both


_ANTONYMS: Final = _antonyms()


def _swap(text: str, rng: random.Random) -> str | None:
    """Swap two neighbouring words."""
    words = list(_WORD.finditer(text))
    pairs = [(a, b) for a, b in itertools.pairwise(words) if a[0] != b[0]]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]


def _drop_stop_word(text: str, rng: random.Random) -> str | None:
    """Leave out one function word, never a negation; another word must remain."""
    words = list(_WORD.finditer(text))
    dropped = [word for word in words if normalise(word[0]) in FUNCTION_WORDS]
    if not dropped or len(words) < 2:
        return None
    word = rng.choice(dropped)
    return f"{text[: word.start()].rstrip()} {text[word.end() :].lstrip()}".strip()


def _contract(text: str, rng: random.Random) -> str | None:
    """Contract two words ("do not"), or expand a contraction ("don't")."""
    words = list(_WORD.finditer(text))
    places = [
        (a.start(), b.end(), _CONTRACTIONS[key])
        for a, b in itertools.pairwise(words)
        if (key := f"{_plain(a[0])} {_plain(b[0])}") in _CONTRACTIONS
        and text[a.end() : b.start()].isspace()
    ]
    places += [
        (word.start(), word.end(), _CONTRACTED[key])
        for word in words
        if "'" in _plain(word[0]) and (key := normalise(word[0])) in _CONTRACTED
    ]
    return _put(text, *rng.choice(places)) if places else None


def _punctuate(text: str, _: random.Random) -> str | None:
    """Take the mark at the end away, or put a full stop there."""
    if not _WORD.search(text):
        return None
    bare = _FINAL_MARK.sub("", text)
    return bare if bare != text else f"{text.rstrip()}."


def _recase(text: str, _: random.Random) -> str | None:
    """Write all in capitals, or in small letters what is so already."""
    raised = text.upper() if text.upper() != text else text.lower()
    return raised if raised != text else None


def _mistype(text: str, rng: random.Random) -> str | None:
    """Leave out an inner letter of a longer word."""
    words = [word for word in _WORD.finditer(text) if len(word[0]) >= _SHORTEST_TYPO]
    places = [
        place
        for word in words
        for place in range(word.start() + 1, word.end() - 1)
        if text[place].isalpha()
    ]
    if not places:
        return None
    place = rng.choice(places)
    return _put(text, place, place + 1, "")


def _negate(text: str, rng: random.Random) -> str | None:
    """Take a negation away, or negate an auxiliary verb."""
    words = list(_WORD.finditer(text))
    negated = [word for word in words if normalise(word[0]) in _AFFIRMED]
    if negated:
        word = rng.choice(negated)
        new = _AFFIRMED[normalise(word[0])]
        return " ".join(_put(text, word.start(), word.end(), new).split())
    places = [word for word in words if _plain(word[0]) in _NEGATED]
    if not places:
        return None
    word = rng.choice(places)
    return _put(text, word.start(), word.end(), _NEGATED[_plain(word[0])])


def _oppose(text: str, rng: random.Random) -> str | None:
    """Replace a word by its opposite."""
    words = [word for word in _WORD.finditer(text) if _plain(word[0]) in _ANTONYMS]
    if not words:
        return None
    word = rng.choice(words)
    return _put(text, word.start(), word.end(), _ANTONYMS[_plain(word[0])])


def _replace_content(text: str, rng: random.Random, pool: Sequence[str]) -> str | None:
    """Replace each content word by one that the text does not have."""
    words = [word for word in _WORD.finditer(text) if is_content_word(normalise(word[0]))]
    own = set(normalise(text).split())
    free = [word for word in pool if word not in own]
    if not words or not free:
        return None
    for word in reversed(words):
        text = _put(text, word.start(), word.end(), rng.choice(free))
    return text


def _plain(word: str) -> str:
    return word.lower().replace("\u2019", "'")


def _put(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]
