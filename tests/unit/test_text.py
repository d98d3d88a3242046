"""Tokens, vocabulary and the normaliser: fixed points, and known sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhat.errors import CorpusError
from saywhat.text.normalise import (
    length_group,
    normalise,
    same_words,
    share_of_words,
    word_count,
)
from saywhat.text.tokenizer import detokenize, is_word, tokenize
from saywhat.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, Vocabulary

# what breaks tokenizers: letters, marks and spellings that glue to their neighbours
MARKS = "ansdmptobg'`.,!?;:)(-<3%_1\"[&/ é²½…\u00b4\u2019\u0301İßﬁ"
WORDS = "n't 's 'd dont im wo gon na can not got ta nnn ... :) <3 aaaa".split()
PIECES = st.lists(st.sampled_from([*MARKS, *WORDS]), max_size=12).map("".join)
anything = st.one_of(st.text(max_size=40), PIECES)


@given(anything)
def test_tokenizing_what_was_detokenized_gives_the_tokens_back(text: str) -> None:
    tokens = tokenize(text)
    assert tokenize(detokenize(tokens)) == tokens


@given(anything)
def test_tokens_hold_all_but_spaces(text: str) -> None:
    tokens = tokenize(text)
    assert all(token and not any(c.isspace() for c in token) for token in tokens)
    assert bool(tokens) == bool("".join(text.split()))


@given(anything)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert once == " ".join(once.split())
    assert word_count(text) == len(once.split())


@given(anything)
def test_case_and_spacing_never_make_another_sentence(text: str) -> None:
    spaced = "  ".join(text.split())
    assert normalise(f" {spaced} ") == normalise(" ".join(text.split()))
    if text.isascii():
        assert normalise(text.upper()) == normalise(text.lower())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I don't know.", "i do n't know ."),
        ("i dont know", "i do n't know"),
        ("I\u2019m fine, you\u00b4re not", "i 'm fine , you 're not"),
        ("Im sooooo happy!!! :)", "i 'm sooo happy ! :)"),
        ("gonna wanna gotta cannot", "gon na wan na got ta can not"),
        ("what..... ok . . . yes", "what ... ok ... yes"),
        ("she'll've won't can't", "she 'll 've wo n't ca n't"),
        ("I have 2 cats & a dog (really)", "i have 2 cats & a dog ( really )"),
        ("<3 :( ;-) :p", "<3 :( ;-) :p"),
        ("naïve café", "naïve café"),
        ("", ""),
    ],
)
def test_known_sentences(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens.split()


@pytest.mark.parametrize(
    "text",
    [
        "i don't know, you?",
        "well (i think) it's 5% of that...",
        "gonna be fun! can't wait :)",
        "he said: no; she won't",
    ],
)
def test_readable_text_comes_back_as_it_was(text: str) -> None:
    assert detokenize(tokenize(text)) == text


def test_a_stretched_letter_stays_one_token() -> None:
    # glued, "nnn" and "n't" would be a letter stretched to four, which is folded to three
    assert tokenize(detokenize(["nnn", "n't"])) == ["nnn", "n't"]


@pytest.mark.parametrize(
    ("token", "word"),
    [
        *((token, True) for token in ("dog", "n't", "'s", "7", "é")),
        *((token, False) for token in ("'", "?", "...", ":)", "<3", "_")),
    ],
)
def test_what_counts_as_a_word(token: str, word: bool) -> None:
    assert is_word(token) == word


@pytest.mark.parametrize(
    ("text", "words", "group"),
    [
        ("ok", 1, "1-3"),
        ("i don't know !", 3, "1-3"),
        ("see you tomorrow then", 4, "4-6"),
        ("a b c d e f g", 7, "7-10"),
        ("a b c d e f g h i j", 10, "7-10"),
        ("a b c d e f g h i j k", 11, ""),
        ("?!", 0, ""),
    ],
)
def test_length_groups_are_the_papers(text: str, words: int, group: str) -> None:
    assert (word_count(text), length_group(text)) == (words, group)


@pytest.mark.parametrize(
    ("query", "target", "share"),
    [
        ("Say: I LOVE you!", "i love you.", 1.0),
        ("who do you love", "i love you", 2 / 3),
        ("no no", "no no yes", 0.5),  # distinct words: 1 of 2
        ("", "hi", 0.0),
        ("hi", "?!", 0.0),
    ],
)
def test_the_share_of_words_that_a_text_has(query: str, target: str, share: float) -> None:
    assert share_of_words(target, query) == pytest.approx(share)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("I don\u2019t KNOW!", "i dont  know", True),
        ("you love me", "me you love", False),
        ("yes yes", "yes", False),
        ("", "", False),  # no words are nobody's words
        ("?!", "...", False),
        ("", "hi", False),
    ],
)
def test_two_texts_have_the_same_words_if_they_have_any(a: str, b: str, same: bool) -> None:
    assert same_words(a, b) == same_words(b, a) == same


def test_apostrophes_of_any_kind_are_one_sentence() -> None:
    kinds = ["don't", "dont", "don\u2019t", "don`t", "don\u00b4t", "DON\u02bcT !"]
    assert {normalise(text) for text in kinds} == {"dont"}


# ----------------------------------------------------------------------------- the vocabulary


def test_ids_go_by_frequency_then_spelling() -> None:
    # twice "b", once "a" and "c"
    vocabulary = Vocabulary.build(["b a", "b c"], size=100)
    assert vocabulary.words == ("b", "a", "c")
    assert vocabulary.encode("a b c z", max_tokens=9) == [5, 4, 6, UNK, EOS]
    assert len(vocabulary) == 7


@given(st.permutations(["i see", "you see it", "do you", "it is", "see"]))
def test_the_order_of_texts_does_not_matter(texts: list[str]) -> None:
    built = Vocabulary.build(texts, size=8)
    assert built.words == Vocabulary.build(sorted(texts), size=8).words
    assert len(built) == 8


def test_rare_words_can_be_left_out() -> None:
    assert Vocabulary.build(["a a b"], size=9, min_count=2).words == ("a",)


def test_encoding_is_cut_and_ended() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.encode("a b a b", max_tokens=2) == [4, 5, EOS]
    assert vocabulary.encode("", max_tokens=2) == [EOS]


def test_decoding_leaves_special_symbols_out_and_stops_at_the_end() -> None:
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.decode([BOS, 4, UNK, PAD, 5, EOS, 4]) == "a b"
    assert vocabulary.decode([EOS]) == ""


@given(st.lists(st.sampled_from(["i", "do", "n't", "know", ",", "?", "'m"]), max_size=8))
def test_text_of_known_words_comes_back(tokens: list[str]) -> None:
    text = detokenize(tokens)
    vocabulary = Vocabulary.build([text], size=100)
    assert vocabulary.decode(vocabulary.encode(text, max_tokens=99)) == detokenize(tokenize(text))
    assert vocabulary.coverage(text) == (1.0 if tokens else 0.0)


def test_coverage_is_the_share_of_known_tokens() -> None:
    assert Vocabulary(["a"]).coverage("a b a c") == 0.5


def test_a_word_is_listed_once() -> None:
    with pytest.raises(CorpusError, match="each word once"):
        Vocabulary(["a", "a"])
    assert len(Vocabulary([])) == len(SPECIALS)
