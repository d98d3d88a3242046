"""The language model of posts: hand-worked Kneser-Ney, sums to 1, and it knows word order."""

import math

import pytest

from saywhat.evaluation.fluency import END, START, UNKNOWN, Fluency, TrigramModel, shuffle_auc

# <s> a b </s> twice, <s> b a </s> once; four words: a, b, <unk>, </s>.
#   trigrams    (<s> a b) 2, (a b </s>) 2, (<s> b a) 1, (b a </s>) 1
#   before b: a, <s>;  before a: b, <s>;  before </s>: a, b;  six kinds of bigram
WORKED = TrigramModel(["a b", "a b", "b a"], discount=0.5, min_count=1)
TEXTS = [
    "how are you", "how are you doing", "i am fine", "i am fine thanks", "what do you do",
    "what do you like to do", "do you like tea", "i like tea", "you like coffee", "are you fine",
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "history", "expected"),
    [
        # P(b) = (2 - .5) / 6 + .5 * 3 / 6 * 1 / 4
        ("b", (), 0.3125),
        (UNKNOWN, (), 0.0625),
        # b and </s> come after a, each with one word before: (1 - .5) / 2 + .5 * 2 / 2 * P(b)
        ("b", ("a",), 0.40625),
        (UNKNOWN, ("a",), 0.03125),
        # twice of two, one kind: (2 - .5) / 2 + .5 * 1 / 2 * P(b | a)
        ("b", (START, "a"), 0.8515625),
        # at the start texts are counted: (2 - .5) / 3 + .5 * 2 / 3 * P(a)
        ("a", (START,), 0.5 + 0.3125 / 3),
        # never seen: shortened to P(b | a), of the last two words
        ("b", ("a", "a"), 0.40625),
        ("b", (START, "b", "a", "a"), 0.40625),
        # a word that was never seen is <unk>, and nothing was seen after it
        ("zzz", ("qqq",), 0.0625),
    ],
)
def test_probabilities_by_hand(word: str, history: tuple[str, ...], expected: float) -> None:
    assert WORKED.probability(word, history) == pytest.approx(expected, abs=1e-12)


def test_a_texts_score_by_hand() -> None:
    # P(a | <s>) P(b | <s> a) P(</s> | a b), and P(</s> | a b) is worked like P(b | <s> a)
    expected = (math.log(0.5 + 0.3125 / 3) + 2 * math.log(0.8515625)) / 3
    assert WORKED.log_prob("A b") == pytest.approx(expected)
    assert WORKED.perplexity(["a b"]) == pytest.approx(math.exp(-expected))
    # tokens weigh alike, not texts: "a b" has 3, "" has 1, P(</s> | <s>) = .5 * 2 / 3 * .3125
    empty = math.log(0.3125 / 3)
    assert WORKED.log_prob("") == pytest.approx(empty)
    assert WORKED.perplexity(["a b", ""]) == pytest.approx(math.exp(-(3 * expected + empty) / 4))
    assert WORKED.perplexity([]) is None


@pytest.mark.parametrize("discount", [0.1, 0.75, 0.99])
@pytest.mark.parametrize("min_count", [1, 2])
def test_it_sums_to_one_after_every_history(discount: float, min_count: int) -> None:
    model = TrigramModel([*TEXTS, "", "zzz"], discount=discount, min_count=min_count)
    words = [START, *model.words]
    for history in [(), *((a,) for a in words), *((a, b) for a in words for b in words)]:
        total = math.fsum(model.probability(word, history) for word in model.words)
        assert total == pytest.approx(1.0, abs=1e-12), history
        assert all(model.probability(word, history) > 0 for word in model.words)


def test_rare_words_are_one_word() -> None:
    model = TrigramModel(["a rare", "a scarce", "a a"])
    assert model.words == ("a", UNKNOWN, END)
    assert model.log_prob("a rare") == model.log_prob("a zzz")


@pytest.mark.parametrize("discount", [0.0, 1.0, -1.0])
def test_impossible_discounts_are_refused(discount: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        TrigramModel(["a"], discount=discount)


def test_nothing_to_learn_from_is_uniform() -> None:
    model = TrigramModel([])
    assert model.words == (UNKNOWN, END)
    assert model.probability(END, (START,)) == 0.5


@pytest.mark.parametrize("text", ["", "\x00", "😀" * 50, "a " * 3000, "<s> </s> <unk>", "\ud800"])
def test_any_text_has_a_score(text: str) -> None:
    assert math.isfinite(WORKED.log_prob(text))


def test_ordinariness_is_a_percentile_by_hand() -> None:
    # after "a b" alone: "a b" is likelier than "b a", and than "b b"
    model = TrigramModel(["a b"] * 4 + ["b a"] * 2)
    order = sorted(["a b", "b a", "b b", "a a"], key=model.log_prob)
    assert order[-2:] == ["b a", "a b"]
    fluency = Fluency(model, ["a b", "a b", "b a", "b b"])
    assert fluency.ordinariness("a b") == (2 + 1.0) / 4  # two below, two as likely
    assert fluency.ordinariness("b a") == (1 + 0.5) / 4
    assert fluency.ordinariness("") is None
    assert fluency.ordinariness("?") is not None
    assert Fluency(model, []).ordinariness("a b") is None


def test_a_query_is_compared_with_posts_of_its_length() -> None:
    model = TrigramModel(["a b"] * 4)
    short, long = ["a b"] * 300, ["b b b b b b"] * 300
    fluency = Fluency(model, [*short, *long])
    assert fluency.ordinariness("a b") == 0.5
    assert fluency.ordinariness("b b b b b b") == 0.5
    assert fluency.ordinariness("b b") == 0.0
    # the nearest lengths are taken until there are enough: here both
    assert Fluency(model, ["a b"] * 100 + ["b " * 6] * 100).ordinariness("a b") == 0.75


def test_it_knows_posts_from_their_shuffles() -> None:
    model = TrigramModel(TEXTS, min_count=1)
    assert (shuffle_auc(model, TEXTS, seed=1) or 0.0) > 0.9
    blind = TrigramModel([])  # one word is as likely as another: chance, exactly
    assert shuffle_auc(blind, TEXTS, seed=1) == 0.5
    assert shuffle_auc(model, ["one", "a a a"], seed=1) is None
