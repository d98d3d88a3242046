"""Files of word vectors: GloVe text, and word2vec's text and ``.bin``.

All give ``(words, rows)``. Files of several gigabytes are read row by row: with ``only``, the rows
of other words are looked at no further than to find where the next one begins.
"""

import array
import gzip
from collections.abc import Container, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32

from saywhat.errors import SetupError

Rows = tuple[list[str], Float32[np.ndarray, "words dim"]]

_LONGEST_WORD: Final = 4096  # bytes; beyond it the file is no word2vec file
_CHUNK: Final = 1 << 20
_KNOWN: Final = {
    "GoogleNews-vectors-negative300.bin": (
        "the paper's vectors for its similarity (word2vec on Google News, 300 numbers a word), "
        "from https://code.google.com/archive/p/word2vec/"
    ),
    "glove.840B.300d.txt": (
        "the vectors that the paper's chatbot starts from (GloVe on Common Crawl, 300 numbers a "
        "word), from https://nlp.stanford.edu/projects/glove/"
    ),
}


def about(path: Path) -> str:
    """Say what a published file is and where it comes from; ``""`` for others.

    Example:
        >>> about(Path("data/glove.840B.300d.txt"))[:55]
        "the vectors that the paper's chatbot starts from (GloVe"
    """
    return _KNOWN.get(path.name.removesuffix(".gz"), "")


def read_vectors(path: Path, only: Container[str] | None = None) -> Rows:
    """Read a file of word vectors, by suffix: ``.bin`` or ``.bin.gz`` is word2vec's binary form.

    Args:
        path: the file.
        only: words whose rows are kept; all of them without it.

    Raises:
        SetupError: it is empty, has rows of different lengths, or holds something else than finite
            numbers.
    """
    is_binary = path.name.endswith((".bin", ".bin.gz"))
    words, rows = (_binary if is_binary else _text)(path, only)
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        word = words[int(np.argmin(finite))]
        raise SetupError(f"{path}: expected finite numbers; the vector of {word!r} has others.")
    return words, rows


def _binary(path: Path, only: Container[str] | None) -> Rows:
    opener = gzip.open if path.suffix == ".gz" else open
    words: list[str] = []
    kept = bytearray()
    try:
        with opener(path, "rb") as file:
            count, dim = _header(file.readline(_LONGEST_WORD))
            for word, numbers in _records(file, count, 4 * dim):
                if only is None or word in only:
                    words.append(word)
                    kept += numbers
    except (OSError, EOFError, ValueError) as error:
        raise SetupError(f"{path} is not a word2vec .bin file ({error}).") from error
    rows = np.frombuffer(kept, dtype="<f4").reshape(len(words), dim)
    return words, rows.astype(np.float32, copy=False)


def _header(line: bytes) -> tuple[int, int]:
    fields = line.split()
    if len(fields) != 2 or not all(map(bytes.isdigit, fields)) or b"0" in fields:
        raise ValueError("expected a first line with the number of words and of dimensions")
    return int(fields[0]), int(fields[1])


def _records(file: BufferedIOBase, count: int, size: int) -> Iterator[tuple[str, bytes]]:
    """Give each word and the bytes of its numbers."""
    data, at = b"", 0
    for number in range(1, count + 1):
        while (space := data.find(b" ", at)) < 0 or len(data) < space + 1 + size:
            if space < 0 and len(data) - at > _LONGEST_WORD:
                raise ValueError(f"word {number:,} of {count:,} has no end")
            more = file.read(max(_CHUNK, size))
            if not more:
                raise EOFError(f"it ends in word {number:,} of {count:,}")
            data, at = data[at:] + more, 0
        # some writers end a record with a line end; some cut a word's bytes short, and such words
        # are never looked up
        word = data[at:space].lstrip(b"\n").decode("utf-8", "replace")
        at = space + 1 + size
        yield word, data[space + 1 : at]


def _text(path: Path, only: Container[str] | None) -> Rows:
    """Read a GloVe or word2vec text file.

    Words may hold spaces (GloVe 840B has ``. . .``), so the numbers are counted from the right.
    """
    words: list[str] = []
    numbers = array.array("f")
    dim = 0
    try:
        for line_number, line in _vector_lines(path):
            dim = dim or line.count(" ")
            word, *fields = line.rsplit(" ", dim)
            if not dim or len(fields) != dim or _is_number(word.rpartition(" ")[2], " " in word):
                raise SetupError(
                    f"{path}, line {line_number}: expected a word and {dim or 'its'} numbers, as "
                    f"in the first row, got {line[:60]!r}. All rows must have the same length."
                )
            if only is not None and word not in only:
                continue
            try:
                numbers.extend(map(float, fields))
            except ValueError as error:
                raise SetupError(
                    f"{path}, line {line_number}: expected numbers after the word ({error})."
                ) from error
            words.append(word)
    except UnicodeDecodeError as error:
        raise SetupError(
            f"{path} is not UTF-8 text ({error}). Name binary word2vec files .bin."
        ) from error
    if not dim:
        raise SetupError(f"{path} holds no word vectors. Expected one word and its numbers a line.")
    rows = np.frombuffer(numbers, dtype=np.float32) if words else np.zeros(0, dtype=np.float32)
    return words, rows.reshape(len(words), dim)


def _vector_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the numbered rows, without word2vec's first line and blank lines."""
    # Words may hold the other characters that Python takes for line ends or white space.
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line_number, line in enumerate(lines, start=1):
            row = line.rstrip("\r\n ").replace("\t", " ")
            fields = row.split(" ", 2)
            if line_number == 1 and len(fields) == 2 and all(map(str.isdigit, fields)):
                continue
            if row:
                yield line_number, row


def _is_number(text: str, spaced: bool) -> bool:
    """Whether the last part of a spaced word is a number: then its row has one too many."""
    if not spaced:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
