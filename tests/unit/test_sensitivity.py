"""Probes of over-sensitivity and over-stability: the edits, and what is made of the replies."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.known import DeafChatbot, EchoChatbot
from saywhat.evaluation.edits import edits
from saywhat.evaluation.sensitivity import Effect, Sensitivity, measure, variants
from saywhat.rng import derive
from saywhat.similarity.exact import Exact
from saywhat.text.normalise import normalise

# each can be swapped, mistyped, has function words, an auxiliary, an antonym and content words,
# and no contraction
POSTS = [
    f"Do you like the {adjective} {noun}?"
    for adjective in ("cold", "hot", "new", "old")
    for noun in ("coffee", "weather", "kitchen")
]
BY_NAME = {edit.name: edit for edit in edits(["planet", "violin"])}
NOT_CHANGE = ("swap", "stop-word", "contraction", "punctuation", "casing", "typo")
CHANGE = ("negation", "antonym", "other-words")


def apply(name: str, text: str, seed: int = 1) -> str | None:
    return BY_NAME[name].apply(text, derive(seed, name))


def every(name: str, text: str) -> set[str | None]:
    """Give all that an edit makes of a text: 60 draws from at most 6 places."""
    return {apply(name, text, seed) for seed in range(60)}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("swap", "a b, c", {"b a, c", "a c, b"}),
        ("swap", "no no", {None}),
        ("stop-word", "I saw the dog", {"saw the dog", "I saw dog"}),
        ("stop-word", "I do not know", {"do not know", "I not know"}),  # never a negation
        ("stop-word", "the", {None}),
        ("contraction", "I do not", {"I don't"}),
        ("contraction", "i\u2019m late", {"i am late"}),
        ("contraction", "I do, not you", {None}),
        ("contraction", "were you there", {None}),  # "were" is no "we're"
        ("punctuation", "hi there ?!", {"hi there"}),
        ("punctuation", "hi there", {"hi there."}),
        ("punctuation", "?!", {None}),
        ("casing", "Hi", {"HI"}),
        ("casing", "HI", {"hi"}),
        ("casing", "42", {None}),
        ("typo", "a cats b", {"a cts b", "a cas b"}),
        ("typo", "don't", {"dn't", "do't", "don't".replace("n", "")}),
        ("typo", "cat", {None}),
        ("negation", "you are late", {"you aren't late"}),
        ("negation", "I am late", {"I am not late"}),
        ("negation", "thats true", {"thats not true"}),
        ("negation", "I can't go", {"I can go"}),
        ("negation", "i cannot go", {"i can go"}),
        ("negation", "it is not so", {"it is so"}),
        ("negation", "see you", {None}),
        ("antonym", "I LOVE it", {"I hate it"}),
        ("antonym", "never mind", {"always mind"}),
        ("antonym", "see you", {None}),
        ("other-words", "a dog!", {"a planet!", "a violin!"}),
        ("other-words", "is it?", {None}),
    ],
)
def test_what_an_edit_makes_of_a_text(name: str, text: str, expected: set[str | None]) -> None:
    assert every(name, text) == expected


def test_other_words_are_never_the_texts_own() -> None:
    assert every("other-words", "planet") == {"violin"}
    assert edits([])[-1].apply("planet", derive(1)) is None


@settings(deadline=None)
@given(text=st.text(max_size=40), seed=st.integers(0, 9))
def test_any_text_can_be_edited(text: str, seed: int) -> None:
    for edit in BY_NAME.values():
        made = edit.apply(text, derive(seed, edit.name))
        assert made is None or (isinstance(made, str) and made != text)


def test_variants_depend_on_their_post_and_seed_only() -> None:
    made = variants(POSTS, seed=1)
    assert variants(POSTS, seed=1) == made
    assert variants(POSTS, seed=2) != made
    turned = variants(POSTS[::-1], seed=1)
    fixed = {v for v in made if v.edit != "other-words"}  # whose words come in another order
    assert {v for v in turned if v.edit != "other-words"} == fixed
    assert {v.edit for v in made} == {*NOT_CHANGE, *CHANGE} - {"contraction"}


class Asked:
    """Asks a function once, and keeps what it asked."""

    def __init__(self, reply: Callable[[Sequence[str]], Sequence[str | None]]) -> None:
        self._reply = reply
        self.calls: list[list[str]] = []

    def __call__(self, queries: Sequence[str]) -> Sequence[str | None]:
        self.calls.append(list(queries))
        return self._reply(queries)


def probe(reply: Callable[[Sequence[str]], Sequence[str | None]]) -> Sensitivity:
    return measure(reply, POSTS, Exact(), seed=1)


def by_name(found: Sensitivity) -> dict[str, Effect]:
    return {effect.name: effect for effect in (*found.kinds, *found.edits)}


def test_an_echo_is_over_sensitive() -> None:
    found = probe(EchoChatbot().reply)
    effects = by_name(found)
    # every edit changes the reply; only these two are none after normalisation
    for name in (*NOT_CHANGE, *CHANGE):
        if name == "contraction":
            continue
        assert effects[name].similarity == (1.0 if name in {"punctuation", "casing"} else 0.0)
        assert (effects[name].unchanged, effects[name].edits) == (0.0, 12)
    stable, changing = found.kinds
    assert (stable.name, stable.edits, stable.posts) == ("should-not-change", 60, 12)
    assert (stable.similarity, stable.unchanged) == (pytest.approx(2 / 5), 0.0)
    assert (changing.edits, changing.similarity, changing.unchanged) == (36, 0.0, 0.0)
    assert found.contrast is not None
    assert found.contrast.estimate == pytest.approx(2 / 5)
    assert found.unrelated is not None
    assert found.unrelated.estimate == 0.0


def test_a_deaf_chatbot_is_over_stable() -> None:
    found = probe(DeafChatbot().reply)
    for effect in (*found.kinds, *found.edits):
        if effect.name != "contraction":
            assert (effect.similarity, effect.unchanged, effect.failed) == (1.0, 1.0, 0)
    assert found.contrast is not None
    assert found.contrast.as_list() == [0.0, 0.0]
    assert found.unrelated is not None
    assert found.unrelated.estimate == 1.0
    # 12 of 12: one edit a post, so a score interval: z^2 = 3.841, 12 / (12 + 3.841) = 0.7575
    typo = by_name(found)["typo"]
    assert typo.unchanged_ci is not None
    assert typo.unchanged_ci.as_list() == [pytest.approx(0.757506, abs=1e-5), 1.0]


def test_what_never_applies_is_not_estimable() -> None:
    effect = by_name(probe(DeafChatbot().reply))["contraction"]
    assert (effect.edits, effect.posts, effect.failed) == (0, 0, 0)
    assert effect.similarity is effect.unchanged is None
    assert effect.similarity_ci is effect.unchanged_ci is None


def test_a_chatbot_that_minds_negations_only_is_seen() -> None:
    def reply(queries: Sequence[str]) -> list[str]:
        return ["no" if "dont" in normalise(query).split() else "yes" for query in queries]

    effects = by_name(probe(reply))
    assert effects["negation"].similarity == 0.0
    assert all(effects[name].unchanged == 1.0 for name in ("swap", "typo", "antonym"))
    assert effects["should-change"].similarity == pytest.approx(2 / 3)


def test_each_query_is_asked_once_and_originals_first() -> None:
    ask = Asked(EchoChatbot().reply)
    found = measure(ask, [*POSTS, *POSTS], Exact(), seed=1)
    (queries,) = ask.calls
    assert queries[: len(POSTS)] == POSTS
    assert len(set(queries)) == len(queries) == found.asked
    assert found.posts == len(POSTS)


def test_failures_and_replies_without_words_are_no_results() -> None:
    def reply(queries: Sequence[str]) -> list[str | None]:
        # one post fails, one gets no word, and what is all capitals fails
        return [
            None if query == POSTS[0] or query.isupper() else "?!" if query == POSTS[1] else "yes"
            for query in queries
        ]

    effects = by_name(probe(reply))
    assert (effects["casing"].edits, effects["casing"].failed) == (0, 12)
    assert (effects["swap"].edits, effects["swap"].failed) == (10, 2)
    assert effects["swap"].similarity == 1.0


def test_nothing_to_ask_is_nothing_measured() -> None:
    found = measure(EchoChatbot().reply, [], Exact(), seed=1)
    assert (found.posts, found.asked, found.contrast, found.unrelated) == (0, 0, None, None)
    assert all(effect.similarity is None for effect in found.kinds)


def test_too_few_replies_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        measure(lambda queries: ["yes"] * (len(queries) - 1), POSTS, Exact(), seed=1)
