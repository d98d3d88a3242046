"""The known-answer chatbots: what they say can be worked out beforehand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.known import (
    CipherChatbot,
    CountingChatbot,
    DeafChatbot,
    EchoChatbot,
    FailingChatbot,
    LookupChatbot,
)
from saywhat.errors import ChatbotError, SetupError

WORDS = ("i", "you", "do", "not", "know", "see", "it", "tomorrow")


@settings(deadline=None)
@given(
    words=st.lists(st.sampled_from([*WORDS, "unlisted", "?"]), max_size=12),
    seed=st.integers(0, 1000),
)
def test_a_cipher_is_inverted_exactly(words: list[str], seed: int) -> None:
    chatbot, query = CipherChatbot(WORDS, seed=seed), " ".join(words)
    (reply,) = chatbot.reply([query])
    assert chatbot.invert(reply) == query
    assert chatbot.reply([chatbot.invert(query)]) == [query]  # every target has a query


@settings(deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_cipher_permutes_words_without_fixed_points(seed: int) -> None:
    replies = CipherChatbot(WORDS, seed=seed).reply(WORDS)
    assert sorted(replies) == sorted(WORDS)
    assert all(reply != word for reply, word in zip(replies, WORDS, strict=True))


def test_a_cipher_goes_word_by_word_in_order() -> None:
    chatbot = CipherChatbot(WORDS, seed=3)
    table = dict(zip(WORDS, chatbot.reply(WORDS), strict=True))
    assert chatbot.reply(["i  know\tyou zebra ? i"]) == [
        f"{table['i']} {table['know']} {table['you']} zebra ? {table['i']}"
    ]


def test_a_cipher_of_two_words_can_only_swap_them() -> None:
    assert CipherChatbot(["a", "b"]).reply(["a b", "b b c", ""]) == ["b a", "a a c", ""]
    assert CipherChatbot(["a"]).reply(["a"]) == ["a"]


def test_seeds_give_many_ciphers_and_the_same_seed_one() -> None:
    # Among 7! = 5040 cycles of 8 words, 50 fair choices have 50 * 49 / 2 / 5040 = 0.24 expected
    # repeats; more than 10 come with probability below 1e-9. (The seeds are fixed.)
    ciphers = {tuple(CipherChatbot(WORDS, seed=seed).reply(WORDS)) for seed in range(50)}
    assert len(ciphers) >= 40
    same = {CipherChatbot(WORDS, seed=1).fingerprint for _ in range(3)}
    assert len(same) == 1


@pytest.mark.parametrize("words", [[], ["a", "a"], ["a b"], [""], ["a\n"]])
def test_a_cipher_refuses_lists_that_it_could_not_invert(words: list[str]) -> None:
    with pytest.raises(SetupError, match="cipher"):
        CipherChatbot(words)


def test_deaf_echo_and_lookup() -> None:
    assert DeafChatbot().reply(["a", "b"]) == ["i don't know ."] * 2
    assert EchoChatbot().reply(["a", " B "]) == ["a", " B "]
    assert LookupChatbot({"a": "b"}, default="c").reply(["a", "A"]) == ["b", "c"]


def test_a_lookup_is_not_changed_through_its_table() -> None:
    table = {"a": "b"}
    chatbot = LookupChatbot(table)
    table["a"] = "changed"
    assert chatbot.reply(["a"]) == ["b"]


def test_the_fingerprint_of_a_lookup_ignores_the_tables_order() -> None:
    forth, back = LookupChatbot({"a": "1", "b": "2"}), LookupChatbot({"b": "2", "a": "1"})
    assert forth.fingerprint == back.fingerprint


def test_failing_fails_at_about_its_rate_and_always_on_the_same_queries() -> None:
    chatbot = FailingChatbot(EchoChatbot(), rate=0.3)
    queries = [str(number) for number in range(2000)]
    failing = [query for query in queries if chatbot.fails(query)]
    # Binomial(2000, 0.3): 600 expected, standard deviation 20.5. A fair hash is off by 120 (5.9 of
    # them) with probability below 1e-8.
    assert abs(len(failing) - 600) < 120
    for query in queries[:100]:
        for _ in range(2):
            if query in failing:
                with pytest.raises(ChatbotError) as caught:
                    chatbot.reply([query])
                assert caught.value.query == query
            else:
                assert chatbot.reply([query]) == [query]
    other = FailingChatbot(EchoChatbot(), rate=0.3, seed=1)
    assert [query for query in queries if other.fails(query)] != failing


def test_failing_names_the_first_and_spares_the_rest() -> None:
    chatbot = FailingChatbot(EchoChatbot(), rate=0.5)
    queries = [str(number) for number in range(50)]
    bad = [query for query in queries if chatbot.fails(query)]
    good = [query for query in queries if not chatbot.fails(query)]
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply([good[0], bad[1], bad[0]])
    assert caught.value.query == bad[1]
    assert chatbot.reply(good) == good


def test_failing_stops_after_its_tries() -> None:
    chatbot = FailingChatbot(EchoChatbot(), rate=1.0, tries=2)
    for _ in range(2):
        with pytest.raises(ChatbotError):
            chatbot.reply(["a", "b"])
    assert chatbot.reply(["a", "b"]) == ["a", "b"]
    with pytest.raises(ChatbotError):
        chatbot.reply(["a", "c"])


def test_failing_takes_any_text_and_refuses_odd_rates() -> None:
    with pytest.raises(ChatbotError):
        FailingChatbot(EchoChatbot(), rate=1.0).reply(["\ud800\0"])
    with pytest.raises(SetupError, match="rate"):
        FailingChatbot(EchoChatbot(), rate=1.5)
    with pytest.raises(SetupError, match="tries"):
        FailingChatbot(EchoChatbot(), rate=0.5, tries=-1)


def test_counting_keeps_batches_also_of_failures() -> None:
    inner = FailingChatbot(EchoChatbot(), rate=1.0, tries=1)
    chatbot = CountingChatbot(inner)
    with pytest.raises(ChatbotError):
        chatbot.reply(["a", "b"])
    assert chatbot.reply(["a"]) == ["a"]
    assert chatbot.batches == [("a", "b"), ("a",)]
    assert chatbot.received == ["a", "b", "a"]
    assert (chatbot.name, chatbot.fingerprint) == (inner.name, inner.fingerprint)
