"""WordPiece: worked examples, and the reference implementation where it is installed."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.errors import CheckpointError
from saywhat.text.wordpiece import WordPiece

PIECES = ["[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "a", "##b", "b", "cafe", "don", "'",
          "t", "!", "你", "##a", "$", "_", "\u0130", "i", "ß", "##e", "。"]  # fmt: skip
CODER = WordPiece(PIECES)
# the reference knows a Unicode of its own: characters that are old and were never changed
OLD = st.characters(exclude_categories=["Cn", "Cs"]).filter(
    lambda char: unicodedata.ucd_3_2_0.category(char) == unicodedata.category(char)
)


def pieces(text: str, max_pieces: int = 20) -> list[str]:
    ids = CODER.encode(text, max_pieces=max_pieces)
    assert (ids[0], ids[-1]) == (1, 2)
    return [PIECES[index] for index in ids[1:-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unaffable", ["un", "##aff", "##able"]),  # the example of Devlin et al.
        ("UNaffable!!", ["un", "##aff", "##able", "!", "!"]),
        ("Café  don't", ["cafe", "don", "'", "t"]),
        ("ab aq b", ["a", "##b", "[UNK]", "b"]),  # a word is cut whole or not at all
        ("a你b", ["a", "你", "b"]),
        ("a\u200bb\x00", ["a", "##b"]),  # characters without width are dropped
        ("a\ufffdb", ["a", "##b"]),  # and what stands for bytes that were none
        ("a\u00a0\u2003b\t\n", ["a", "b"]),
        ("a$_b", ["a", "$", "_", "b"]),
        ("a" * 100, ["a", *["##a"] * 99]),
        ("a" * 101, ["[UNK]"]),
        ("", []),
    ],
)
def test_worked_examples(text: str, expected: list[str]) -> None:
    assert pieces(text, max_pieces=200) == expected


def test_what_is_too_long_is_cut() -> None:
    assert pieces("unaffable a b", max_pieces=4) == ["un", "##aff"]
    assert pieces("a " * 50, max_pieces=10) == ["a"] * 8


def test_special_pieces_are_needed() -> None:
    with pytest.raises(CheckpointError, match=r"\[SEP\]"):
        WordPiece(["[UNK]", "[CLS]"])


@settings(deadline=None, max_examples=300)
@given(text=st.text(OLD, max_size=30))
def test_the_reference_implementation_agrees(text: str) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="needs pip install tokenizers")
    reference = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({p: n for n, p in enumerate(PIECES)}, unk_token="[UNK]")  # noqa: S106
    )
    reference.normalizer = tokenizers.normalizers.BertNormalizer()
    reference.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    expected = reference.encode(text, add_special_tokens=False).ids
    assert CODER.encode(text, max_pieces=500) == [1, *expected, 2]
