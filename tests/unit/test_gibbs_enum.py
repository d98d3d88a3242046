"""The oracle: against chatbots small enough that everything they can say is known."""

import functools
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.config import DecodingSettings, OracleSettings
from saywhat.oracle import NAME, OracleFinding, WhiteBox, gibbs_enum
from saywhat.rng import derive
from saywhat.similarity.exact import Exact
from saywhat.text.normalise import normalise
from tests.tiny_oracle import ANTI, PLAIN, QUERIES, MakeNetwork, linear, opened

SETTINGS = OracleSettings(chains=5, candidates=3, sweeps=4, pool=12)
RULES = pytest.mark.parametrize("decoding", [PLAIN, ANTI], ids=["plain", "anti-lm"])


@pytest.fixture
def tiny(make_network: MakeNetwork) -> Callable[..., tuple[WhiteBox, Seq2SeqChatbot]]:
    """Give a maker of a chatbot of six words, and of the same one opened."""
    return functools.partial(opened, make_network)


def search(
    box: WhiteBox, target: str, ask: Callable[[Sequence[str]], Sequence[str | None]], seed: int = 1
) -> OracleFinding:
    return gibbs_enum(
        box, target, ask, QUERIES[::7], similarity=Exact(), settings=SETTINGS, rng=derive(seed)
    )


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
