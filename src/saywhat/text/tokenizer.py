"""Lower-cased word tokens in the Penn Treebank manner that word vectors expect, and back to text.

Chat leaves apostrophes out (``dont``, ``im``) and stretches letters (``sooooo``). Both are folded,
so that one word has one token: it keeps the vocabulary small and the word vectors known.
``detokenize(tokenize(x))`` is a fixed point: tokenising it again gives the same tokens, which a
generator needs, since its queries cross to the chatbot as text.
"""

import re
import unicodedata
from collections.abc import Iterable

_CURLY = str.maketrans("\u2018\u2019\u02bc`\u00b4\u201c\u201d", "'''''\"\"")
_STRETCHED = re.compile(r"([a-z])\1{3,}")
_REPEATED_MARK = re.compile(r"([!?,.])(?:\s*\1)+")
_TOKEN = re.compile(
    r"n't\b|'(?:s|m|re|ve|ll|d)\b|\.\.\.|[:;]['-]?[()dp](?!\w)|<3"
    r"|[a-z]+(?=n't\b)|[^\W\d_]+|\d+|[^\w\s]|_"
)
_GLUED = frozenset({".", ",", "!", "?", ";", ":", ")", "...", "%"}) | frozenset(
    {"'s", "'m", "'re", "'ve", "'ll", "'d"}
)
_EYES = frozenset({":", ";"})  # ": )" must not become the smiley ":)"
_NOT = "n't"
_VERB = re.compile(r"[a-z]*(?<!nnn)")  # what "n't" follows; "nnn" + "n't" is a stretched letter

# Chat spellings -> their tokens. Only those that are never another English word.
_CONTRACTIONS: dict[str, tuple[str, ...]] = {
    "im": ("i", "'m"), "ive": ("i", "'ve"), "thats": ("that", "'s"), "whats": ("what", "'s"),
    "dont": ("do", "n't"), "didnt": ("did", "n't"), "doesnt": ("does", "n't"),
    "cant": ("ca", "n't"), "isnt": ("is", "n't"), "wasnt": ("was", "n't"),
    "arent": ("are", "n't"), "werent": ("were", "n't"), "couldnt": ("could", "n't"),
    "wouldnt": ("would", "n't"), "shouldnt": ("should", "n't"), "havent": ("have", "n't"),
    "hasnt": ("has", "n't"), "hadnt": ("had", "n't"), "aint": ("ai", "n't"),
    "youre": ("you", "'re"), "youve": ("you", "'ve"), "youll": ("you", "'ll"),
    "theyre": ("they", "'re"), "theyve": ("they", "'ve"), "weve": ("we", "'ve"),
    "hes": ("he", "'s"), "shes": ("she", "'s"), "theres": ("there", "'s"),
    "heres": ("here", "'s"), "wheres": ("where", "'s"), "hows": ("how", "'s"),
    "itll": ("it", "'ll"), "thatll": ("that", "'ll"), "wont": ("wo", "n't"),
    "cannot": ("can", "not"), "gonna": ("gon", "na"), "wanna": ("wan", "na"),
    "gotta": ("got", "ta"),
}  # fmt: skip
_JOINED = {("gon", "na"), ("wan", "na"), ("got", "ta"), ("can", "not")}


def tokenize(text: str) -> list[str]:
    """Split text into lower-cased tokens.

    Example:
        >>> tokenize("I dont know, Im soooooo tired!!!")
        ['i', 'do', "n't", 'know', ',', 'i', "'m", 'sooo', 'tired', '!']
    """
    # marks first: the canonical form takes the acute accent that serves as an apostrophe apart
    text = unicodedata.normalize("NFKC", text.translate(_CURLY)).translate(_CURLY).lower()
    text = _REPEATED_MARK.sub(_fold_marks, _STRETCHED.sub(r"\1\1\1", text))
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        tokens.extend(_CONTRACTIONS.get(token, (token,)))
    return tokens


def detokenize(tokens: Iterable[str]) -> str:
    """Join tokens into readable text; ``tokenize`` of it gives the tokens back.

    Example:
        >>> detokenize(["i", "do", "n't", "know", ",", "you", "?"])
        "i don't know, you?"
    """
    text, previous = "", ""
    for token in tokens:
        if token == _NOT:
            glued = _VERB.fullmatch(previous) is not None
        elif token in _GLUED:
            glued = previous not in _EYES
        else:
            glued = (previous, token) in _JOINED or previous == "("
        text += token if glued or not text else " " + token
        previous = token
    return text


def is_word(token: str) -> bool:
    """Whether a token counts for similarity: punctuation and symbols do not (Section 5.1.2).

    Example:
        >>> [is_word(token) for token in ("n't", "?", ":)", "7")]
        [True, False, False, True]
    """
    return (token.startswith("'") and len(token) > 1) or token[:1].isalnum()


def _fold_marks(match: re.Match[str]) -> str:
    mark = match[1]
    return "..." if mark == "." else mark
