"""The built-in kind of chatbot: a query's reply does not depend on its company."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.errors import ChatbotError, CheckpointError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.decoding import greedy
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import left_pad
from saywhat.nn.seq2seq import Seq2Seq
from saywhat.nn.steppers import AntiLanguageModel, Conditional
from saywhat.registry import ASSETS, load_chatbot
from saywhat.rng import derive
from saywhat.text.vocabulary import Vocabulary
from tests.tiny_networks import ARCHITECTURES, MULTI_TURN, tiny_network

MakeNetwork = Callable[..., Seq2Seq]
WORDS = [f"{a}{b}" for a in "bdfgk" for b in "aeiou"]
DECODING = {
    "anti_lm_weight": 0.5,
    "anti_lm_steps": 3,
    "anti_lm_floor": 0.05,
    "max_source_tokens": 20,
    "max_reply_tokens": 9,
}


def chatbot_of(network: EncoderDecoder[Any], **change: Any) -> Seq2SeqChatbot:
    decoding: dict[str, Any] = DECODING | change
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


# --------------------------------------------------------------------------- other architectures


def other(architecture: str, **change: Any) -> EncoderDecoder[Any]:
    sizes = {"hidden": 32, "embedding": 16, "feed_forward": 40} | change
    scale = 14.0 if architecture in {"lstm", "gru"} else 2.5
    return tiny_network(architecture, len(WORDS) + 4, scale=scale, **sizes)


@pytest.mark.parametrize(
    ("architecture", "context"),
    [(name, ()) for name in ARCHITECTURES] + [(name, ("ba ba", "de fi go")) for name in MULTI_TURN],
)
def test_no_architecture_looks_at_the_company(architecture: str, context: tuple[str, ...]) -> None:
    chatbot, asked = chatbot_of(other(architecture), context=context), queries(140)
    together = chatbot.reply(asked)
    assert len(set(together)) > 50, "all say the same: the test shows nothing"
    assert chatbot.reply(asked[::-1]) == together[::-1]
    assert [reply for query in asked[:20] for reply in chatbot.reply([query])] == together[:20]
    assert chatbot.reply(asked[40:57]) == together[40:57]


@pytest.mark.parametrize("architecture", MULTI_TURN)
def test_the_context_is_read_before_the_query(architecture: str) -> None:
    network, vocabulary, asked = other(architecture), Vocabulary(WORDS), queries(30)
    plain = chatbot_of(network).reply(asked)
    told = chatbot_of(network, context=["ba", "de fi"]).reply(asked)
    assert sum(a != b for a, b in zip(plain, told, strict=True)) > 10
    before = [i for turn in ("ba", "de fi") for i in vocabulary.encode(turn, max_tokens=20)]
    for query, reply in zip(asked[:9], told, strict=False):
        source = before + vocabulary.encode(query, max_tokens=20)
        memory = network.encode(network.pad([source]))
        stepper = AntiLanguageModel(network, memory, weight=0.5, steps=3, floor=0.05)
        assert vocabulary.decode(greedy(stepper, 1, max_tokens=9)[0].tolist()) == reply


@pytest.mark.parametrize("architecture", MULTI_TURN)
def test_a_context_longer_than_the_query_is_read_whole(architecture: str) -> None:
    """The width is that of the longest turn, not of the query alone."""
    network, vocabulary, turn = other(architecture), Vocabulary(WORDS), "ba de fi go ku " * 3
    for query in ("ba", "de fi"):
        [reply] = chatbot_of(network, context=[turn]).reply([query])
        source = [i for text in (turn, query) for i in vocabulary.encode(text, max_tokens=20)]
        memory = network.encode(network.pad([source]))
        stepper = AntiLanguageModel(network, memory, weight=0.5, steps=3, floor=0.05)
        assert vocabulary.decode(greedy(stepper, 1, max_tokens=9)[0].tolist()) == reply


@pytest.mark.parametrize("architecture", MULTI_TURN)
def test_the_width_of_a_pass_counts_the_context(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, widths = other(architecture), []
    pad = network.pad

    def spy(rows: Any, *, width: int) -> Any:
        widths.append(width)
        return pad(rows, width=width)

    monkeypatch.setattr(network, "pad", spy)
    for context, query in (((), "ba"), (("ba " * 9,), "ba"), (("ba",), "ba " * 9)):
        chatbot_of(network, context=context).reply([query])
    assert widths == [8, 16, 16]


@pytest.mark.parametrize("architecture", ["lstm", "gru", "transformer"])
def test_a_context_that_would_not_be_read_is_refused(architecture: str) -> None:
    with pytest.raises(CheckpointError, match=rf"{architecture} reads the query alone.*'ba'"):
        chatbot_of(other(architecture), context=["ba"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": "warm"}, r"decoding.temperature: .*got 'warm'"),
        ({"temperature": -1}, "decoding.temperature: "),
        ({"anti_lm_weight": None}, "decoding.anti_lm_weight: "),
        ({"humour": 3}, "decoding.humour: "),
    ],
)
def test_decoding_settings_that_cannot_be_used_are_told(
    network: Seq2Seq, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    extra = {"decoding": DECODING | change}
    save_model(network, Vocabulary(WORDS), tmp_path, kind="chatbot", extra=extra)
    with pytest.raises(CheckpointError, match=message) as caught:
        Seq2SeqChatbot.load(tmp_path)
    assert str(tmp_path) in str(caught.value)


# ---------------------------------------------------------------------------------- fingerprints


def first_fingerprint(weights_hash: str, decoding: dict[str, Any], words: list[str]) -> str:
    """Compute the fingerprint as it was when there was one architecture, and no drawing."""
    identity = json.dumps(["seq2seq-2", weights_hash, sorted(decoding.items()), words])
    return hashlib.sha256(identity.encode()).hexdigest()


def test_the_fingerprint_of_an_lstm_is_what_it_always_was(network: Seq2Seq) -> None:
    expected = first_fingerprint("x", DECODING, WORDS)
    assert chatbot_of(network).fingerprint == expected
    # what a newer checkpoint says besides decides nothing
    idle = chatbot_of(network, temperature=0.0, seed=7, context=())
    assert idle.fingerprint == expected


def test_the_chatbot_that_ships_has_the_fingerprint_that_it_always_had() -> None:
    said = json.loads((ASSETS / "chatbot" / "model.json").read_text(encoding="utf-8"))
    decoding = {name: said["decoding"][name] for name in DECODING}
    expected = first_fingerprint(said["sha256"], decoding, said["vocabulary"])
    assert load_chatbot("builtin").fingerprint == expected


def test_a_checkpoint_from_before_architectures_had_names_is_an_lstm(
    network: Seq2Seq, tmp_path: Path
) -> None:
    save_model(network, Vocabulary(WORDS), tmp_path, kind="chatbot", extra={"decoding": DECODING})
    named, asked = Seq2SeqChatbot.load(tmp_path), queries(9)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text())
    assert description.pop("architecture") == description["size"].pop("cell") == "lstm"
    path.write_text(json.dumps(description))
    unnamed = Seq2SeqChatbot.load(tmp_path)
    assert unnamed.fingerprint == named.fingerprint
    assert unnamed.reply(asked) == named.reply(asked)


def test_the_fingerprint_tells_what_the_weights_do_not() -> None:
    # heads share the same matrices; a context, a temperature and its seed are no weights
    chatbots = [
        chatbot_of(other("transformer", heads=2)),
        chatbot_of(other("transformer", heads=4)),
        chatbot_of(other("hred")),
        chatbot_of(other("hred"), context=["ba"]),
        chatbot_of(other("hred"), context=["ba", "ba"]),
        chatbot_of(other("hred"), temperature=0.5),
        chatbot_of(other("hred"), temperature=0.6),
        chatbot_of(other("hred"), temperature=0.6, seed=2),
    ]
    assert len({chatbot.fingerprint for chatbot in chatbots}) == len(chatbots)
    again = chatbot_of(other("hred"), context=("ba",))
    assert again.fingerprint == chatbots[3].fingerprint


# --------------------------------------------------------------------------------------- drawing


def test_a_chatbot_that_draws_says_something_else_each_time(network: Seq2Seq) -> None:
    chatbot = chatbot_of(network, temperature=1.5)
    replies = chatbot.reply(["ba"] * 60)
    assert len(set(replies)) > 5
    assert chatbot.reply(["ba"] * 60) != replies
    # the n-th query of a chatbot gets the n-th draw: in batches of any size, beside any others
    again = chatbot_of(network, temperature=1.5)
    assert [reply for _ in range(9) for reply in again.reply(["ba"])] == replies[:9]
    mixed = chatbot_of(network, temperature=1.5)
    long = "ba " * 19
    found = mixed.reply([["ba", long][i % 2] for i in range(60)])
    assert found[::2] == replies[::2]
    assert chatbot_of(network, temperature=1.5, seed=2).reply(["ba"] * 60) != replies


@pytest.mark.parametrize("architecture", ["lstm", "transformer", "hred"])
def test_a_temperature_of_almost_nothing_is_greedy(architecture: str) -> None:
    model, asked = other(architecture), queries(30)
    cold = chatbot_of(model, temperature=1e-6).reply(asked)
    assert cold == chatbot_of(model).reply(asked)


def test_words_are_drawn_as_often_as_their_probability_says(network: Seq2Seq) -> None:
    # one word, without anti-LM: the frequencies of 3,000 replies against the network's own softmax
    changes = {"anti_lm_steps": 0, "max_reply_tokens": 1, "temperature": 4.0}
    chatbot, n = chatbot_of(network, **changes), 3000
    vocabulary = Vocabulary(WORDS)
    memory = network.encode(network.pad([vocabulary.encode("ba", max_tokens=20)]))
    log_probs = Conditional(network, memory).step(torch.tensor([1]))[0, 4:]
    expected = (log_probs / 4.0).softmax(-1).tolist()
    counts = Counter(chatbot.reply(["ba"] * n))
    squares = [
        (counts[word] - n * share) ** 2 / (n * share)
        for word, share in zip(WORDS, expected, strict=True)
    ]
    # chi-square with 24 degrees of freedom exceeds 60 with probability 6e-5, and the seed is fixed
    assert sum(squares) < 60
    assert max(expected) < 0.9, "one word only: the test shows nothing"


def test_a_latent_variable_is_drawn_too() -> None:
    # words are all but certain at this temperature, so what differs is the latent variable
    model = other("vhred")
    with torch.no_grad():
        model.prior.both.bias[3:] = 2.0
    replies = chatbot_of(model, temperature=1e-6).reply(["ba"] * 40)
    assert len(set(replies)) > 5
    assert chatbot_of(model, temperature=1e-6).reply(["ba"] * 40) == replies
    quiet = chatbot_of(model).reply(["ba"] * 40)
    assert len(set(quiet)) == 1
