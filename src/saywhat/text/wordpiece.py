"""WordPiece: the tokens of BERT's uncased models, which sentence encoders read.

Devlin et al., 2019; the pieces as in Wu et al., 2016. Text is cleaned, lower-cased and stripped of
accents, split at spaces and punctuation, and each word is cut into the longest known pieces from
the left. Only the vocabulary comes with the model.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, final

from saywhat.errors import CheckpointError

_LONGEST_WORD: Final = 100  # characters; a longer one is unknown, as in the reference
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Co", "Cs"})
_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


@final
class WordPiece:
    """Text to the ids of its pieces, between ``[CLS]`` and ``[SEP]``.

    Args:
        pieces: the vocabulary; a piece's place is its id.

    Raises:
        CheckpointError: a special piece is missing.

    Example:
        >>> pieces = WordPiece(["[UNK]", "[CLS]", "[SEP]", "un", "##known", "!"])
        >>> pieces.encode("Unknown! thing", max_pieces=8)
        [1, 3, 4, 5, 0, 2]
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._ids = {piece: index for index, piece in enumerate(pieces)}
        missing = [piece for piece in ("[UNK]", "[CLS]", "[SEP]") if piece not in self._ids]
        if missing:
            raise CheckpointError(f"Expected {', '.join(missing)} among the pieces.")
        self._unknown, self._begin, self._end = (
            self._ids[piece] for piece in ("[UNK]", "[CLS]", "[SEP]")
        )

    def __len__(self) -> int:
        return len(self._ids)

    def encode(self, text: str, *, max_pieces: int) -> list[int]:
        """Give the ids of a text's first pieces; ``max_pieces`` counts the two special ones too."""
        ids: list[int] = []
        for word in _words(text):
            if len(ids) >= max_pieces - 2:
                break
            ids.extend(self._cut(word))
        return [self._begin, *ids[: max_pieces - 2], self._end]

    def _cut(self, word: str) -> list[int]:
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        ids, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if prefix + word[start:e] in self._ids), None)
            if end is None:
                return [self._unknown]
            ids.append(self._ids[prefix + word[start:end]])
            start = end
        return ids


def _words(text: str) -> Iterator[str]:
    plain = "".join(_clean(char) for char in text)
    decomposed = unicodedata.normalize("NFD", plain)
    bare = "".join(char for char in decomposed if unicodedata.category(char) != "Mn").lower()
    for chunk in bare.split():
        word = ""
        for char in chunk:
            if not _is_punctuation(char):
                word += char
                continue
            if word:
                yield word
            yield char
            word = ""
        if word:
            yield word


def _clean(char: str) -> str:
    if char in "\t\n\r":
        return " "
    if char == "\ufffd" or unicodedata.category(char) in _INVISIBLE:
        return ""
    if char.isspace():
        return " "
    code = ord(char)
    return f" {char} " if any(low <= code <= high for low, high in _IDEOGRAPHS) else char


def _is_punctuation(char: str) -> bool:
    symbol = char.isascii() and char.isprintable() and not char.isalnum() and char != " "
    return symbol or unicodedata.category(char).startswith("P")
