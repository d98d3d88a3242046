"""A closed vocabulary of word tokens: text to ids and back, with four special symbols in front."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, final

from saywhat.errors import CorpusError
from saywhat.text.tokenizer import detokenize, tokenize

PAD: Final = 0
BOS: Final = 1
EOS: Final = 2
UNK: Final = 3
SPECIALS: Final = ("<pad>", "<s>", "</s>", "<unk>")
NEVER_WRITTEN: Final = (PAD, BOS, UNK)
"""What no decoder may write; nor may it write the end symbol first."""


@final
class Vocabulary:
    """Token ids. ``0..3`` are padding, begin, end and unknown; words follow by falling frequency.

    Example:
        >>> vocabulary = Vocabulary(["hi", "there"])
        >>> vocabulary.encode("hi you", max_tokens=8), vocabulary.decode([4, 5, 2, 4])
        ([4, 3, 2], 'hi there')
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(words, start=len(SPECIALS))}
        if len(self._ids) != len(self.words):
            raise CorpusError("A vocabulary holds each word once; this one repeats some.")

    @classmethod
    def build(cls, texts: Iterable[str], *, size: int, min_count: int = 1) -> "Vocabulary":
        """Count tokens and keep the most frequent; ties go by spelling: equal texts, equal ids.

        Args:
            texts: raw texts.
            size: the largest number of ids, special symbols included.
            min_count: the fewest times a kept token occurs.
        """
        counts = Counter(token for text in texts for token in tokenize(text))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        kept = [token for token, count in ranked if count >= min_count]
        return cls(kept[: size - len(SPECIALS)])

    def __len__(self) -> int:
        return len(self.words) + len(SPECIALS)

    def encode(self, text: str, *, max_tokens: int) -> list[int]:
        """Give the ids of at most ``max_tokens`` tokens and the end symbol."""
        ids = [self._ids.get(token, UNK) for token in tokenize(text)[:max_tokens]]
        return [*ids, EOS]

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of ids up to the first end symbol; special symbols are left out."""
        tokens = []
        for index in ids:
            if index == EOS:
                break
            if index >= len(SPECIALS):
                tokens.append(self.words[index - len(SPECIALS)])
        return detokenize(tokens)

    def coverage(self, text: str) -> float:
        """The share of the text's tokens that are known, in [0, 1]; 0 for empty text."""
        tokens = tokenize(text)
        return sum(token in self._ids for token in tokens) / len(tokens) if tokens else 0.0
