"""The dictionary of a ParlAI model: ``MODEL_FILE.dict``, a line of ``token TAB count`` for each id.

Ids 0 to 3 are padding, start, end and unknown, listed or not. Then come the tokens in their order.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, final

from saywhat.chatbots.parlai_options import ParlaiOptions
from saywhat.errors import CheckpointError
from saywhat.text.vocabulary import UNK

PERSON: Final = "__p1__"  # says who speaks, where the model was trained so
_OTHER_PERSON: Final = "__p2__"
_SPECIALS: Final = frozenset({"__UNK__", "__NULL__", "__END__", "__START__"})
_MULTIPLE: Final = 8  # half-precision training fills the dictionary up to a multiple of this
_WORDS: Final = re.compile(r"\w+|[^\w\s]|\n")
_PUNCTUATION: Final = re.compile(r"[.,;:!?]")


def _split(text: str) -> list[str]:
    return _PUNCTUATION.sub(r" \g<0> ", text).split()


def _space(text: str) -> list[str]:
    return text.strip().split(" ")


_TOKENIZERS: Final[Mapping[str, Callable[[str], list[str]]]] = {
    "re": _WORDS.findall,
    "split": _split,
    "space": _space,
}


@final
class ParlaiDictionary:
    """Text to ids and back, as ParlAI does.

    Args:
        tokens: in the order of their ids; the first four are the special ones.
        tokenizer: ``re``, ``split`` or ``space``.
        lower: whether texts are read in lower case.

    Example:
        >>> tokens = ["__null__", "__start__", "__end__", "__unk__", "hi", "!"]
        >>> dictionary = ParlaiDictionary(tokens, tokenizer="re", lower=True)
        >>> dictionary.encode("Hi you!"), dictionary.decode([4, 5])
        ([4, 3, 5], 'hi !')
    """

    def __init__(self, tokens: Sequence[str], *, tokenizer: str, lower: bool) -> None:
        self._tokens, self._lower = tuple(tokens), lower
        self._ids = {token: index for index, token in enumerate(tokens)}
        self._tokenize = _TOKENIZERS[tokenizer]

    @classmethod
    def read(cls, path: Path, options: ParlaiOptions, *, legacy: bool) -> "ParlaiDictionary":
        """Read a dictionary file.

        Args:
            path: of ``MODEL_FILE.dict``.
            options: of the model.
            legacy: whether the model is of version 0.

        Raises:
            CheckpointError: it is missing or damaged.
        """
        try:
            text = path.read_bytes().decode("utf-8", errors="ignore")
        except OSError as error:
            raise CheckpointError(
                f"Expected the model's dictionary at {path} ({error.strerror})."
            ) from error
        # version 0 ends lines at any line boundary of Unicode, and trims them
        lines: Iterable[str] = (
            (line.strip() for line in text.splitlines())
            if legacy
            else (line.rstrip("\n") for line in io.StringIO(text, newline=None))
        )
        tokens = dict.fromkeys(
            [
                options.dict_nulltoken,
                options.dict_starttoken,
                options.dict_endtoken,
                options.dict_unktoken,
            ]
        )
        lowered = options.dict_nulltoken == options.dict_nulltoken.lower()
        for number, line in enumerate(lines, start=1):
            token = _token(line, number, path)
            tokens[token.lower() if lowered and token in _SPECIALS else token] = None
        if not legacy:
            _add(tokens, options)
        return cls(list(tokens), tokenizer=options.dict_tokenizer, lower=options.dict_lower)

    def __len__(self) -> int:
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Give the ids of a text; what is not listed is unknown."""
        words = self._tokenize(text.lower() if self._lower else text)
        return [self._ids.get(word, UNK) for word in words]

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text of ids: the tokens, special ones too, with spaces between them."""
        return " ".join(self._tokens[index] for index in ids)


def _token(line: str, number: int, path: Path) -> str:
    token, *rest = line.split("\t")
    if rest:
        try:
            int(rest[0])
        except ValueError as error:
            raise CheckpointError(
                f"Expected lines of a token, a tab and a count in {path}, got {line!r:.80} in line "
                f"{number}."
            ) from error
    return token.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")


def _add(tokens: dict[str, None], options: ParlaiOptions) -> None:
    """Add the tokens that the last version adds to what is listed."""
    if options.person_tokens:
        tokens |= dict.fromkeys([PERSON, _OTHER_PERSON])
    if options.fp16 or options.force_fp16_tokens:
        for index in range(-len(tokens) % _MULTIPLE):
            name = f"__FP16_PAD_{index}__"
            tokens[name.lower() if options.dict_lower else name] = None
