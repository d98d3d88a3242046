"""The reference corpus and what pre-training makes of it: failures out, replies balanced, split."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from saywhat.chatbots.known import DeafChatbot, EchoChatbot, FailingChatbot, LookupChatbot
from saywhat.config import NetworkSettings, PretrainSettings, SupervisedSettings, TrainSettings
from saywhat.errors import BudgetError, CorpusError, SetupError
from saywhat.ledger import Ledger, Limits
from saywhat.pipeline import Training
from saywhat.records import Pair
from saywhat.text.normalise import normalise
from saywhat.training.collect import collect
from saywhat.training.examples import VALIDATION_SHARE
from saywhat.training.pretrain import balance, pretrain, split_by_reply

POSTS = [f"post {i}" for i in range(25)]


def test_pairs_come_in_the_order_of_posts(tmp_path: Path) -> None:
    told: list[int] = []
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        chatbot = ledger.chatbot(EchoChatbot(), phase="reference")
        pairs = collect(chatbot, POSTS, batch_size=10, report=told.append)
    assert pairs == [Pair(post, post) for post in POSTS]
    assert told == [10, 20, 25]


def test_failures_and_empty_replies_give_no_pair(tmp_path: Path) -> None:
    inner = LookupChatbot(dict.fromkeys(POSTS[:20], "yes"), default="")
    chatbot = FailingChatbot(inner, 0.4, seed=1)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        pairs = collect(ledger.chatbot(chatbot, phase="reference"), POSTS, batch_size=10)
    expected = [post for post in POSTS[:20] if not chatbot.fails(post)]
    assert [pair.query for pair in pairs] == expected
    assert 0 < len(expected) < 20


def test_what_was_bought_before_the_limit_is_not_bought_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, Limits(total=12)) as ledger, pytest.raises(BudgetError):
        collect(ledger.chatbot(EchoChatbot(), phase="reference"), POSTS, batch_size=10)
    with Ledger(path) as ledger:
        pairs = collect(ledger.chatbot(EchoChatbot(), phase="reference"), POSTS, batch_size=10)
        assert ledger.total().sent == 25
    assert len(pairs) == 25


def test_a_reply_is_kept_a_bounded_number_of_times() -> None:
    pairs = [Pair(f"post {i}", ["Yes.", "yes", "no", "?!"][i % 4]) for i in range(80)]
    kept = balance(pairs, 7)
    assert Counter(normalise(pair.reply) for pair in kept) == {"yes": 7, "no": 7}
    assert set(balance(pairs[::-1], 7)) == set(kept), "which ones depends on no order"
    assert len(balance(pairs, 100)) == 60  # all but those without a word


def test_no_reply_is_on_both_sides_of_the_split() -> None:
    pairs = [Pair(f"post {i}", f"Reply {i // 3}{' !' * (i % 3)}") for i in range(6000)]
    train, valid = split_by_reply(pairs)
    assert sorted([*train, *valid], key=repr) == sorted(pairs, key=repr)
    sides = [{normalise(pair.reply) for pair in side} for side in (train, valid)]
    assert not sides[0] & sides[1]
    # 2,000 distinct replies; five standard errors of the share (the hash is fixed)
    error = (VALIDATION_SHARE * (1 - VALIDATION_SHARE) / 2000) ** 0.5
    assert abs(len(sides[1]) / 2000 - VALIDATION_SHARE) < 5 * error


def tiny(pairs: list[Pair], folder: Path, seed: int = 1) -> tuple[list[torch.Tensor], list[float]]:
    settings = PretrainSettings(
        network=NetworkSettings(vocabulary=60, embedding=4, hidden=4, layers=1, attention=True),
        training=SupervisedSettings(epochs=1, max_tokens=5, precision="fp32"),
    )
    generator, history = pretrain(pairs, settings, seed=seed, folder=folder)
    assert generator.max_tokens == 5
    return list(generator.state_dict().values()), history


def test_the_seed_decides_the_generator(tmp_path: Path) -> None:
    pairs = [Pair(f"post {i}", f"reply {i}") for i in range(200)]
    first, second, other = (
        tiny(pairs, tmp_path / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first[1] == second[1] != other[1]
    assert all(map(torch.equal, first[0], second[0]))


def test_one_reply_is_split_by_query() -> None:
    pairs = [Pair(f"post {i}", "no") for i in range(400)]
    train, valid = split_by_reply(pairs)
    assert len(train) + len(valid) == 400
    # 3 % of 400 by a fixed hash
    assert 0 < len(valid) < 40
    assert not {pair.query for pair in train} & {pair.query for pair in valid}


def test_a_hierarchical_network_can_be_a_generator(tmp_path: Path) -> None:
    training = SupervisedSettings(
        epochs=12, batch_size=8, learning_rate=0.005, decay=1.0, dropout=0.0, max_tokens=5,
        precision="fp32",
    )  # fmt: skip
    network = NetworkSettings(architecture="hred", vocabulary=60, embedding=16, hidden=24, layers=1)
    settings = PretrainSettings(network=network, training=training)
    # the first word of a reply tells the query; replies with other numbers validate it
    pairs = [Pair("abcdefgh"[i % 8], f"{'stuvwxyz'[i % 8]} of {i}") for i in range(400)]
    generator, history = pretrain(pairs, settings, seed=1, folder=tmp_path)
    # one of eight equally frequent words and the end: 8 ** (1 / 2) = 2.83 without the reply, and
    # there a decoder stays that does not heed its context
    assert min(history) < 2.0
    assert generator.propose(["v of", "w of"], 1) == [["d"], ["e"]]


def test_a_latent_variable_is_no_part_of_a_generator(tmp_path: Path) -> None:
    settings = PretrainSettings(network=NetworkSettings(architecture="vhred"))
    pairs = [Pair(f"post {i}", f"reply {i}") for i in range(200)]
    with pytest.raises(SetupError, match="vhred is for chatbots"):
        pretrain(pairs, settings, seed=1, folder=tmp_path / "pretrain")
    # and before a query is paid for
    with pytest.raises(SetupError, match="vhred is for chatbots"):
        Training(TrainSettings(pretrain=settings), tmp_path / "work")
    assert list(tmp_path.iterdir()) == []


def test_too_few_pairs_are_told(tmp_path: Path) -> None:
    deaf = DeafChatbot("no")
    pairs = [Pair(post, deaf.reply([post])[0]) for post in POSTS[:1]]
    with pytest.raises(CorpusError, match="Collect more posts"):
        tiny(pairs, tmp_path)
