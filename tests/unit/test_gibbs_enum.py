"""The oracle: against chatbots small enough that everything they can say is known."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import final

import pytest
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.config import DecodingSettings, OracleSettings
from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import save_model
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import left_pad
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.oracle import NAME, OracleFinding, WhiteBox, gibbs_enum, typical_log_prob
from saywhat.oracle.gibbs_enum import promise
from saywhat.records import Pair
from saywhat.rng import derive
from saywhat.similarity.exact import Exact
from saywhat.text.normalise import normalise
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

MakeNetwork = Callable[..., Seq2Seq]
WORDS = ("ant", "bee", "cat", "dog", "elk", "fox")
PLAIN = DecodingSettings(anti_lm_weight=0.0, max_source_tokens=3, max_reply_tokens=3)
ANTI = DecodingSettings(
    anti_lm_weight=0.7, anti_lm_steps=2, anti_lm_floor=0.05, max_source_tokens=3, max_reply_tokens=3
)
QUERIES = [" ".join(t) for n in (1, 2, 3) for t in itertools.product(WORDS, repeat=n)]
SETTINGS = OracleSettings(chains=5, candidates=3, sweeps=4, pool=12)
RULES = pytest.mark.parametrize("decoding", [PLAIN, ANTI], ids=["plain", "anti-lm"])
SEEDS = pytest.mark.parametrize("seed", range(3))


def opinionated(make_network: MakeNetwork, seed: int) -> Seq2Seq:
    """Make a network that says 8 to 35 things to the 258 queries."""
    network = make_network(
        10, attention=bool(seed % 2), hidden=24, embedding=16, scale=12.0, seed=seed
    )
    return network.requires_grad_(requires_grad=False)


@pytest.fixture
def tiny(make_network: MakeNetwork) -> Callable[..., tuple[WhiteBox, Seq2SeqChatbot]]:
    """Give a maker of a chatbot of six words, and of the same one opened."""

    def make(decoding: DecodingSettings, seed: int) -> tuple[WhiteBox, Seq2SeqChatbot]:
        vocabulary = Vocabulary(WORDS)
        network = opinionated(make_network, seed)
        chatbot = Seq2SeqChatbot(
            network, vocabulary, name="tiny", decoding=decoding.model_dump(), weights_hash=str(seed)
        )
        return WhiteBox(network, vocabulary, decoding), chatbot

    return make


def search(
    box: WhiteBox, target: str, ask: Callable[[Sequence[str]], Sequence[str | None]], seed: int = 1
) -> OracleFinding:
    return gibbs_enum(
        box, target, ask, QUERIES[::7], similarity=Exact(), settings=SETTINGS, rng=derive(seed)
    )


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


@RULES
def test_it_finds_most_of_what_can_be_said_and_claims_nothing_else(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], decoding: DecodingSettings
) -> None:
    found, chance = [], []
    for seed in range(3):
        box, chatbot = tiny(decoding, seed)
        by_query = dict(zip(QUERIES, chatbot.reply(QUERIES), strict=True))
        ask = functools.partial(list_of, by_query)  # it always answers alike
        reachable = sorted(set(by_query.values()))
        for text in reachable:
            found.append(each := search(box, text, ask))
            assert by_query[each.query] == each.reply
            assert each.reachable == (each.reply == each.target) == (each.similarity == 1.0)
            # as many queries at random
            drawn = derive(seed, text).sample(QUERIES, each.passes)
            chance.append(text in map(by_query.get, drawn))
        silent = [text for text in QUERIES if text not in reachable][::40]
        assert len(silent) > 4
        assert not any(search(box, text, ask).reachable for text in silent)
    rate = sum(each.reachable for each in found) / len(found)
    assert len(found) > 35
    assert rate >= 0.8
    assert rate > sum(chance) / len(chance) + 0.2


def list_of(replies: Mapping[str, str], queries: Sequence[str]) -> list[str]:
    return [replies[query] for query in queries]


def test_it_finds_more_than_the_posts_it_begins_from(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, chatbot = tiny(ANTI, 2)
    known = set(chatbot.reply(QUERIES[::7]))
    new = sorted(set(chatbot.reply(QUERIES)) - known)
    assert len(new) >= 3
    found = [search(box, text, chatbot.reply) for text in new]
    assert any(each.reachable for each in found)


def test_the_weights_alone_are_not_believed(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, chatbot = tiny(PLAIN, 0)
    target = chatbot.reply(["ant bee"])[0]
    assert search(box, target, chatbot.reply).reachable
    lied_to = search(box, target, lambda queries: ["something else"] * len(queries))
    assert (lied_to.reachable, lied_to.similarity) == (False, 0.0)
    unheard = search(box, target, lambda queries: [None] * len(queries))
    assert (unheard.reachable, unheard.similarity, unheard.reply) == (False, None, "")


def test_the_same_rng_gives_the_same_search_and_no_query_is_asked_twice(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, chatbot = tiny(ANTI, 1)
    asked: list[str] = []

    def ask(queries: Sequence[str]) -> list[str]:
        asked.extend(queries)
        return chatbot.reply(queries)

    replies = set(chatbot.reply(QUERIES))
    silent = next(text for text in QUERIES[::-1] if text not in replies)
    first = search(box, silent, ask)
    assert len(asked) == len(set(asked)) == first.asked
    assert (first.passes > SETTINGS.pool, first.gradients > 0, first.method) == (True, True, NAME)
    assert search(box, silent, ask) == first


@pytest.mark.parametrize("text", ["zebra", "", "?!", "ant zebra", "ant bee cat dog"])
def test_what_the_decoder_can_never_write_is_told(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]], text: str
) -> None:
    box, chatbot = tiny(PLAIN, 0)
    found = search(box, text, chatbot.reply)
    assert (found.reachable, found.asked, found.passes) == (False, 0, 0)
    assert "can never write it" in found.reason


def test_posts_that_begin_no_chain_are_an_error(
    tiny: Callable[..., tuple[WhiteBox, Seq2SeqChatbot]],
) -> None:
    box, chatbot = tiny(PLAIN, 0)
    with pytest.raises(ValueError, match="got 2 posts"):
        gibbs_enum(
            box, "ant", chatbot.reply, ["zebra", ""],
            similarity=Exact(), settings=SETTINGS, rng=derive(1),
        )  # fmt: skip


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
    with pytest.raises(CheckpointError, match="9 ids"):
        WhiteBox(network, Vocabulary(WORDS[:5]), ANTI)


def test_texts_that_do_not_read_back_are_no_queries() -> None:
    vocabulary = Vocabulary(["hi", "!", "?"])
    size = Seq2SeqSize(len(vocabulary), 4, 4, 1, attention=False)
    network = Seq2Seq(size, dropout=0.0, rng=torch.Generator())
    box = WhiteBox(network, vocabulary, PLAIN)
    assert box.text_of([4, 5]) == "hi!"
    assert box.text_of([4, 5, 5]) is None  # two marks are read as one
    assert box.text_of([4, 4, 4, 4]) is None  # longer than what is read


# ----------------------------------------------------------- a network that is linear in its source


@final
class Sums:
    """The memory of ``Linear``: a score for each word."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    @property
    def rows(self) -> int:
        return len(self.scores)

    def select(self, rows: Int[Tensor, " rows"]) -> "Sums":
        return Sums(self.scores[rows])


@final
class Linear(EncoderDecoder[Sums]):
    """Says "yes" if the sum of ``a . e_w`` over the query's words is positive, else "no"."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.size = Seq2SeqSize(words, 3, 1, 1, attention=False)
        rng = torch.Generator().manual_seed(3)
        self.embedding = nn.Embedding(words, 3, padding_idx=PAD)
        with torch.no_grad():
            self.embedding.weight.normal_(generator=rng)
        self.a = torch.tensor([1.0, -2.0, 0.5])

    @property
    @override
    def architecture(self) -> str:
        return "linear"

    @override
    def pad(self, sources: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
        return left_pad(sources, width=width)

    @override
    def encode(self, source: Int[Tensor, "batch source"]) -> Sums:
        embedded = self.embedding(source).masked_fill((source < 4)[..., None], 0.0)
        scores = torch.full((len(source), self.size.vocabulary), -1e4)
        scores[:, 5] = 0.0
        scores[:, 4] = (embedded @ self.a).sum(-1)
        return Sums(scores)

    @override
    def null_memory(self, rows: int) -> Sums:
        return Sums(torch.zeros(rows, self.size.vocabulary))

    @override
    def forget(self, memory: Sums, rows: Bool[Tensor, " batch"]) -> Sums:
        return memory

    @override
    def features(
        self, inputs: Int[Tensor, "batch time"], memory: Sums
    ) -> tuple[Float[Tensor, "batch time vocab"], Sums]:
        self.embedding(inputs)  # the decoder's words pass through it too
        ends = torch.full_like(memory.scores, -1e4)
        ends[:, EOS] = 0.0
        first = (inputs == BOS)[..., None]
        return torch.where(first, memory.scores[:, None], ends[:, None]), memory

    @override
    def output(self, features: Float[Tensor, "*rows vocab"]) -> Float[Tensor, "*rows vocab"]:
        return features


def linear() -> WhiteBox:
    vocabulary = Vocabulary(["yes", "no", *(f"w{chr(97 + n)}" for n in range(20))])
    return WhiteBox(Linear(len(vocabulary)), vocabulary, PLAIN)


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


def test_a_single_sweep_finds_the_best_words_where_all_is_linear() -> None:
    box = linear()
    worth = (box.embeddings @ torch.tensor([1.0, -2.0, 0.5])).tolist()
    worst = min(range(6, 26), key=lambda word: worth[word])
    post = box.vocabulary.decode([worst] * 3)

    def ask(queries: Sequence[str]) -> list[str]:
        totals = [sum(worth[word] for word in box.encode(query)) for query in queries]
        return ["yes" if total > 0 else "no" for total in totals]

    assert ask([post]) == ["no"]
    settings = OracleSettings(chains=1, candidates=1, sweeps=1, pool=1)
    found = gibbs_enum(
        box, "yes", ask, [post], similarity=Exact(), settings=settings, rng=derive(1)
    )
    assert found.reachable
    assert normalise(found.reply) == "yes"
    assert found.passes <= 1 + 3
