"""The built-in kind of chatbot: a query's reply does not depend on its company."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.errors import ChatbotError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.decoding import AntiLanguageModel, greedy
from saywhat.nn.seq2seq import Seq2Seq, left_pad
from saywhat.rng import derive
from saywhat.text.vocabulary import Vocabulary

MakeNetwork = Callable[..., Seq2Seq]
WORDS = [f"{a}{b}" for a in "bdfgk" for b in "aeiou"]
DECODING = {
    "anti_lm_weight": 0.5,
    "anti_lm_steps": 3,
    "anti_lm_floor": 0.05,
    "max_source_tokens": 20,
    "max_reply_tokens": 9,
}


def chatbot_of(network: Seq2Seq, **change: float) -> Seq2SeqChatbot:
    decoding: dict[str, float | int] = DECODING | change
    return Seq2SeqChatbot(
        network, Vocabulary(WORDS), name="tiny", decoding=decoding, weights_hash="x"
    )


@pytest.fixture
def network(make_network: MakeNetwork) -> Seq2Seq:
    return make_network(len(WORDS) + 4, attention=False, hidden=32, embedding=16, scale=14.0)


def queries(count: int) -> list[str]:
    rng = derive(1, "queries")
    return [" ".join(rng.choices([*WORDS, "odd"], k=rng.randint(1, 24))) for _ in range(count)]


def test_a_reply_does_not_depend_on_its_company(network: Seq2Seq) -> None:
    chatbot, asked = chatbot_of(network), queries(150)
    together = chatbot.reply(asked)
    assert len(set(together)) > 50, "all say the same: the test shows nothing"
    assert chatbot.reply(asked[::-1]) == together[::-1]
    assert [reply for query in asked[:40] for reply in chatbot.reply([query])] == together[:40]
    assert chatbot.reply(asked[40:57]) == together[40:57]


def test_a_reply_is_what_greedy_decoding_gives(network: Seq2Seq) -> None:
    vocabulary, asked = Vocabulary(WORDS), queries(9)
    for query, reply in zip(asked, chatbot_of(network).reply(asked), strict=True):
        memory = network.encode(left_pad([vocabulary.encode(query, max_tokens=20)]))
        stepper = AntiLanguageModel(network, memory, weight=0.5, steps=3, floor=0.05)
        assert vocabulary.decode(greedy(stepper, 1, max_tokens=9)[0].tolist()) == reply


def test_a_query_without_tokens_gets_the_reply_to_the_empty_text(network: Seq2Seq) -> None:
    chatbot = chatbot_of(network)
    first, second = chatbot.reply(["", "   "])
    assert first == second != ""
    assert chatbot.reply([]) == []


def test_the_fingerprint_is_of_all_that_decides_the_reply(network: Seq2Seq, tmp_path: Path) -> None:
    prints = {chatbot_of(network, **{name: 1}).fingerprint for name in DECODING}
    assert len({chatbot_of(network).fingerprint, *prints}) == 6
    assert chatbot_of(network).fingerprint == chatbot_of(network).fingerprint
    vocabulary, extra = Vocabulary(WORDS), {"decoding": DECODING}
    save_model(network, vocabulary, tmp_path / "a", kind="chatbot", extra=extra)
    with torch.no_grad():
        network.output_bias[7] += 0.01
    save_model(network, vocabulary, tmp_path / "b", kind="chatbot", extra=extra)
    loaded = [Seq2SeqChatbot.load(tmp_path / name) for name in "ab"]
    assert loaded[0].fingerprint != loaded[1].fingerprint
    assert [chatbot.name for chatbot in loaded] == ["a", "b"]


def test_what_is_not_text_is_told(network: Seq2Seq) -> None:
    with pytest.raises(ChatbotError, match="Expected text, got int"):
        chatbot_of(network).reply.__wrapped__(chatbot_of(network), ["hi", 5])
