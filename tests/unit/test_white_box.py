"""A chatbot, opened: what its weights say is what it says, and slopes are the true ones."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.config import DecodingSettings
from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import left_pad
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.oracle import WhiteBox, typical_log_prob
from saywhat.oracle.gibbs_enum import promise
from saywhat.records import Pair
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from tests.tiny_networks import MULTI_TURN, save_chatbot, tiny_network
from tests.tiny_oracle import (
    ANTI,
    PLAIN,
    QUERIES,
    WORDS,
    Linear,
    MakeNetwork,
    linear,
    opened,
    opinionated,
)

RULES = pytest.mark.parametrize("decoding", [PLAIN, ANTI], ids=["plain", "anti-lm"])
SEEDS = pytest.mark.parametrize("seed", range(3))


@pytest.fixture
def tiny(make_network: MakeNetwork) -> Callable[..., tuple[WhiteBox, Seq2SeqChatbot]]:
    """Give a maker of a chatbot of six words, and of the same one opened."""
    return functools.partial(opened, make_network)


@RULES
@SEEDS
def test_what_the_weights_say_is_what_the_chatbot_says(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], decoding: DecodingSettings, seed: int
) -> None:
    box, chatbot = tiny(decoding, seed)
    replies = chatbot.reply(QUERIES)
    queries = [box.encode(query) for query in QUERIES]
    assert len(set(replies)) > 7, "the chatbot has too little to say"
    for text in sorted(set(replies)):
        goal = box.goal(text)
        assert goal is not None
        says = box.assess(queries, goal).margin > 0
        assert says.tolist() == [reply == text for reply in replies]


@SEEDS
def test_the_objective_is_the_log_likelihood_of_what_can_be_written(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], make_network: MakeNetwork, seed: int
) -> None:
    box, _ = tiny(PLAIN, seed)
    network = opinionated(make_network, seed)
    goal = box.goal("cat dog", objective="likelihood")
    assert goal is not None
    found = box.assess([[4, 5], [6]], goal)
    for row, source in enumerate(([4, 5, EOS], [6, EOS])):
        memory = network.encode(left_pad([source]))
        logits, _ = network.decode(torch.tensor([[BOS, 6, 7]]), memory)
        by_network = logits[0].detach().log_softmax(-1)[range(3), [6, 7, EOS]]
        assert found.log_probs[row].tolist() == pytest.approx(by_network.tolist(), abs=1e-4)
        scores = logits[0].detach()
        scores[:, [PAD, BOS, UNK]] = -math.inf
        scores[0, EOS] = -math.inf
        expected = scores.log_softmax(-1)[range(3), [6, 7, EOS]].sum()
        assert float(found.objective[row]) == pytest.approx(float(expected), abs=1e-4)


@SEEDS
def test_the_margin_counts_what_is_lost_and_little_of_what_is_won(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], make_network: MakeNetwork, seed: int
) -> None:
    box, _ = tiny(PLAIN, seed)
    network = opinionated(make_network, seed)
    goal = box.goal("cat dog")
    assert goal is not None
    leads = []
    for source in ([4, 5, EOS], [6, EOS]):
        memory = network.encode(left_pad([source]))
        scores = network.decode(torch.tensor([[BOS, 6, 7]]), memory)[0][0].log_softmax(-1)
        # "cat", "dog" and the end against the best of the others that can be written
        others = ([4, 5, 7, 8, 9], [2, 4, 5, 6, 8, 9], [4, 5, 6, 7, 8, 9])
        leads.append(
            [
                float(scores[step, own] - scores[step, rivals].max())
                for step, (own, rivals) in enumerate(zip((6, 7, EOS), others, strict=True))
            ]
        )
    found = box.assess([[4, 5], [6]], goal)
    expected = [sum(min(lead, 0.3) for lead in row) for row in leads]
    assert found.objective.tolist() == pytest.approx(expected, abs=1e-4)
    assert found.margin.tolist() == pytest.approx([min(row) for row in leads], abs=1e-4)


def test_a_word_below_the_floor_lacks_what_it_lacks(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], make_network: MakeNetwork
) -> None:
    # a floor of 1 lets only the likeliest word stand: the lead is over that word alone
    strict = ANTI.model_copy(update={"anti_lm_floor": 1.0, "anti_lm_steps": 9})
    box, chatbot = tiny(strict, 0)
    network = opinionated(make_network, 0)
    said = chatbot.reply(["ant bee"])[0]
    plain = tiny(PLAIN, 0)[1].reply(["ant bee"])[0]
    assert said == plain
    other = next(word for word in WORDS if word != said.split()[0])
    goal = box.goal(other)
    assert goal is not None
    memory = network.encode(left_pad([[4, 5, EOS]]))
    logits, _ = network.decode(torch.tensor([[BOS]]), memory)
    word, likely = 4 + WORDS.index(other), logits[0, 0, 4:].argmax().item() + 4
    lack = float(logits[0, 0, word] - logits[0, 0, likely])
    prior, _ = network.decode(torch.tensor([[BOS]]), network.null_memory(1))
    lead = lack - 0.7 * float(prior[0, 0, word] - prior[0, 0, likely])
    assert float(box.assess([[4, 5]], goal).margin[0]) <= min(lack, lead) + 1e-4 < 0


def test_the_end_of_a_longest_reply_is_free(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, _ = tiny(PLAIN, 0)
    short, long = box.goal("ant bee"), box.goal("ant bee cat")
    assert short is not None
    assert long is not None
    assert short.labels.tolist() == [[4, 5, EOS]]
    assert long.labels.tolist() == [[4, 5, 6]]


def test_the_bar_for_likelihoods_is_the_mean_over_tokens(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, _ = tiny(PLAIN, 0)
    pairs = [Pair("ant", "bee"), Pair("cat dog", "elk fox"), Pair("ant", "zebra")]
    each = []
    for query, reply in (("ant", "bee"), ("cat dog", "elk fox")):
        goal = box.goal(reply)
        assert goal is not None
        each += box.assess([box.encode(query)], goal).log_probs[0].tolist()
    assert len(each) == 2 + 3
    assert typical_log_prob(box, pairs) == pytest.approx(sum(each) / 5)
    with pytest.raises(ValueError, match="none among 1"):
        typical_log_prob(box, pairs[2:])


def test_many_rows_are_assessed_in_parts_alike(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, _ = tiny(ANTI, 1)
    goal, queries = box.goal("cat"), [box.encode(query) for query in QUERIES]
    assert goal is not None
    whole = box.assess(queries, goal)
    monkeypatch.setattr("saywhat.oracle.white_box._NUMBERS", 17 * goal.writable.numel())
    torch.testing.assert_close(box.assess(queries, goal).objective, whole.objective)


def test_it_opens_a_checkpoint(
    tmp_path: Path, make_network: MakeNetwork, make_generator: Callable[..., object]
) -> None:
    vocabulary = Vocabulary(WORDS)
    network = make_network(len(vocabulary))
    extra = {"decoding": ANTI.model_dump(mode="json")}
    save_model(network, vocabulary, tmp_path / "bot", kind="chatbot", extra=extra)
    box = WhiteBox.load(tmp_path / "bot")
    assert box.decoding == ANTI
    assert torch.equal(box.embeddings, network.embedding.weight)
    save_model(network, vocabulary, tmp_path / "odd", kind="chatbot", extra={"decoding": {"x": 1}})
    with pytest.raises(CheckpointError, match="decoding settings"):
        WhiteBox.load(tmp_path / "odd")
    with pytest.raises(CheckpointError):
        WhiteBox.load(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="10 token ids, the vocabulary 9"):
        WhiteBox(network, Vocabulary(WORDS[:5]), ANTI)


def test_texts_that_do_not_read_back_are_no_queries() -> None:
    vocabulary = Vocabulary(["hi", "!", "?"])
    size = Seq2SeqSize(len(vocabulary), 4, 4, 1, attention=False)
    network = Seq2Seq(size, dropout=0.0, rng=torch.Generator())
    box = WhiteBox(network, vocabulary, PLAIN)
    assert box.text_of([4, 5]) == "hi!"
    assert box.text_of([4, 5, 5]) is None  # two marks are read as one
    assert box.text_of([4, 4, 4, 4]) is None  # longer than what is read


@pytest.mark.parametrize("objective", ["margin", "likelihood"])
def test_where_all_is_linear_the_gradient_ranks_words_exactly(objective: str) -> None:
    box = linear()
    goal = box.goal("yes", objective=objective)  # type: ignore[arg-type]
    assert goal is not None
    worth = (box.embeddings @ torch.tensor([1.0, -2.0, 0.5])).tolist()
    query = sorted(range(6, 26), key=lambda word: worth[word])[:3]  # the worst: "no"
    (slopes,) = box.gradient([query], goal)
    assert slopes.shape == (3, 3)
    for place, slope in enumerate(slopes):
        promised = promise(slope, box.embeddings, current=query[place])
        others = [word for word in range(4, 26) if word != query[place]]
        tried = [[*query[:place], word, *query[place + 1 :]] for word in others]
        exact = box.assess(tried, goal).objective
        ranked = [others[i] for i in exact.argsort(descending=True).tolist()]
        assert promised.topk(len(others)).indices.tolist() == ranked
        if objective == "margin":  # what it promises is what it gives
            now = box.assess([query], goal).objective
            torch.testing.assert_close(promised[others], exact - now, rtol=0, atol=1e-4)


def test_gradients_of_queries_of_different_length_are_each_their_own() -> None:
    vocabulary = Vocabulary(["yes", "no", "wa", "wb", "wc"])
    box = WhiteBox(Linear(len(vocabulary)), vocabulary, PLAIN)
    goal = box.goal("no")
    assert goal is not None
    together = box.gradient([[6], [7, 8, 6], [8, 8]], goal)
    for query, slopes in zip([[6], [7, 8, 6], [8, 8]], together, strict=True):
        (alone,) = box.gradient([query], goal)
        torch.testing.assert_close(slopes, alone)
        assert len(slopes) == len(query)


# ------------------------------------------------------------------- chatbots that read a context

CONTEXTS = [
    (),
    ("ant",),
    ("ant bee cat dog elk",),
    ("fox", "ant bee cat dog elk"),
    ("ant bee cat dog elk", "fox", "bee bee"),
]


def written_out(network: EncoderDecoder[Any], embedded: Tensor, labels: list[int]) -> Tensor:
    """Give the likelihood objective of embedded conversations, turn by turn and word by word."""
    turns = [network.encoder.words(embedded[:, turn])[1][-1] for turn in range(embedded.shape[1])]
    context = network.encoder.turns(torch.stack(turns, dim=1))[1][0]
    if network.architecture == "vhred":
        context = torch.cat([context, network.prior(context).mean], dim=-1)
    memory, total = network.decoder.start(context), torch.zeros(len(embedded))
    banned = [PAD, BOS, UNK, EOS]
    for token, following in zip([BOS, *labels], labels, strict=False):
        logits, memory = network.decode(torch.full((len(embedded), 1), token), memory)
        scores = logits[:, 0].index_fill(-1, torch.tensor(banned), -math.inf)
        total = total + scores.log_softmax(-1)[:, following]
        banned = [PAD, BOS, UNK]
    return total


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda turns: "|".join(turns) or "none")
@pytest.mark.parametrize("architecture", MULTI_TURN)
def test_slopes_are_those_of_the_query_whatever_was_said_before(
    architecture: str, context: tuple[str, ...]
) -> None:
    network, vocabulary = tiny_network(architecture, len(WORDS) + 4), Vocabulary(WORDS)
    decoding = PLAIN.model_copy(update={"context": context, "max_source_tokens": 6})
    box, queries = WhiteBox(network, vocabulary, decoding), [[5, 6], [7, 4, 8], [9]]
    goal = box.goal("cat dog", objective="likelihood")
    assert goal is not None
    found = box.gradient(queries, goal)
    turns = [vocabulary.encode(turn, max_tokens=6) for turn in context]
    source = network.pad([[token for turn in turns for token in turn] + [*q, EOS] for q in queries])
    embedded = network.embedding(source).masked_fill((source == PAD)[..., None], 0.0)
    embedded = embedded.detach().requires_grad_()
    objective = written_out(network, embedded, [6, 7, EOS])
    torch.testing.assert_close(objective.detach(), box.assess(queries, goal).objective)
    (slopes,) = torch.autograd.grad(objective.sum(), embedded)
    for query, row, slope in zip(queries, slopes[:, -1], found, strict=True):
        torch.testing.assert_close(slope, row[-1 - len(query) : -1], rtol=1e-4, atol=1e-6)
        assert slope.shape == (len(query), 5)
        assert (slope.abs().amax(dim=1) > 1e-4).all(), "nothing depends on a word"


@pytest.mark.parametrize(
    ("architecture", "decoding", "message"),
    [
        ("lstm", {"context": ("ant",)}, r"decoding\.context: .* reads the query alone"),
        ("lstm", {"temperature": 0.5}, r"decoding\.temperature: expected 0, .* got 0\.5"),
        ("vhred", {"temperature": 0.5}, r"decoding\.temperature: expected 0, .* got 0\.5"),
    ],
)
def test_a_chatbot_that_it_would_misjudge_is_refused(
    tmp_path: Path, architecture: str, decoding: dict[str, Any], message: str
) -> None:
    network = tiny_network(architecture, len(WORDS) + 4)
    with pytest.raises(CheckpointError, match=message):
        WhiteBox(network, Vocabulary(WORDS), PLAIN.model_copy(update=decoding))
    with pytest.raises(CheckpointError, match=message):
        WhiteBox.load(save_chatbot(tmp_path, architecture, WORDS, **decoding))
