"""What is asked beside the rates: each the same as asking for it directly."""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from saywhat.config import AuditSettings, DecodingSettings, ModelSettings, OracleSettings
from saywhat.corpora.files import write_pairs
from saywhat.evaluation.sensitivity import measure
from saywhat.experiment import extras
from saywhat.experiment import repeats as repeats_module
from saywhat.experiment.repeats import repeats
from saywhat.experiment.stages import Place
from saywhat.nn.checkpoint import save_model
from saywhat.oracle import WhiteBox, gibbs_enum
from saywhat.records import Finding, Pair, Target, write_jsonl
from saywhat.registry import load_chatbot
from saywhat.rng import derive, derive_seed
from saywhat.similarity.exact import Exact
from saywhat.text.normalise import normalise
from saywhat.text.vocabulary import Vocabulary
from tests.tiny_oracle import ANTI, QUERIES, WORDS, MakeNetwork, opinionated

SETTINGS = AuditSettings(seed=7)
DRAWN = ANTI.model_copy(update={"temperature": 1.0, "anti_lm_weight": 0.0, "seed": 1})
POSTS = QUERIES[::11]


def saved(make_network: MakeNetwork, folder: Path, decoding: DecodingSettings) -> Place:
    """Give the place of a chatbot of six words."""
    model = folder / "chatbot" / "model"
    save_model(
        opinionated(make_network, 1),
        Vocabulary(WORDS),
        model,
        kind="chatbot",
        extra={"decoding": decoding.model_dump()},
    )
    return Place(folder, f"seq2seq:{model}", "tiny")


@pytest.fixture
def place(make_network: MakeNetwork, tmp_path: Path) -> Place:
    """Give a chatbot, its corpus and its lists, as the stages leave them."""
    made = saved(make_network, tmp_path, ANTI)
    chatbot = load_chatbot(made.spec)
    replies = chatbot.reply(POSTS)
    (made.corpus / "targets").mkdir(parents=True)
    pairs = [Pair(query, reply) for query, reply in zip(POSTS, replies, strict=True)]
    write_pairs(pairs, made.corpus / "reference.jsonl.xz")
    said = [Target(text, list="generated", length="1-3") for text in dict.fromkeys(replies)]
    unsaid = [Target("zebra", list="real", length="1-3"), Target("horse", "generated-seen", "1-3")]
    write_jsonl([*said, *unsaid], made.corpus / "targets" / "test.jsonl")
    return made


def test_the_checkpoint_of_a_chatbot_of_the_built_in_kind_is_known(tmp_path: Path) -> None:
    assert Place(tmp_path, "python:bot.py:reply", "x").model is None
    assert Place(tmp_path, "seq2seq:a/b", "x").model == Path("a/b")
    built_in = Place(tmp_path, "builtin", "x").model
    assert built_in is not None
    assert (built_in / "model.json").exists()


def test_the_oracle_finds_what_it_finds_when_called_directly(place: Place, tmp_path: Path) -> None:
    reachable = [t for t in extras.targets_of(place, "test") if t.list == "generated"][:3]
    targets = [*reachable, Target("fox fox fox ant", list="real", length="4-6")]
    made = extras.oracle(place, targets, Exact(), SETTINGS, folder=tmp_path / "oracle")
    assert place.model is not None
    box = WhiteBox.load(place.model)
    chatbot = load_chatbot(place.spec)
    direct = [
        gibbs_enum(
            box,
            target.text,
            chatbot.reply,
            POSTS,
            similarity=Exact(),
            settings=OracleSettings(),
            rng=derive(7, "oracle", target.text),
        )
        for target in targets
    ]
    for found, wanted, target in zip(made["findings"], direct, targets, strict=True):
        assert found == {"list": target.list, "length": target.length, **dataclasses.asdict(wanted)}
    assert any(found.reachable for found in direct)
    for name in ("asked", "passes", "gradients"):
        assert made[name] == sum(getattr(found, name) for found in direct)
    json.dumps(made, allow_nan=False)


def test_an_oracle_needs_weights(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got python:bot\.py:reply"):
        extras.oracle(
            Place(tmp_path, "python:bot.py:reply", "x"), [], Exact(), SETTINGS, folder=tmp_path
        )


def test_probes_are_those_of_the_measure_called_directly(place: Place, tmp_path: Path) -> None:
    posts = extras.some(QUERIES, 12, seed=7)
    made = extras.probes(place, posts, Exact(), SETTINGS, folder=tmp_path / "probes")
    chatbot = load_chatbot(place.spec)
    direct = measure(functools.partial(ask, chatbot), posts, Exact(), seed=7)
    asked = {"search": {"asked": 58, "unique": 58, "sent": 58, "failed": 0}}
    assert made == {**dataclasses.asdict(direct), "queries": asked}
    assert made["posts"] == 12
    # what was bought is not bought again, and the same comes of it
    again = extras.probes(place, posts, Exact(), SETTINGS, folder=tmp_path / "probes")
    assert {**again, "queries": asked} == made
    assert again["queries"]["search"]["sent"] == 58
    json.dumps(made, allow_nan=False)


def ask(chatbot: Any, queries: Any) -> list[str | None]:
    return list(chatbot.reply(list(queries)))


def test_posts_are_drawn_by_hash_without_a_look_at_their_order() -> None:
    drawn = extras.some(QUERIES, 9, seed=1)
    assert len(set(drawn)) == 9
    assert extras.some(QUERIES[::-1], 9, seed=1) == drawn
    assert extras.some(QUERIES, 9, seed=2) != drawn
    assert extras.some(QUERIES, 4, seed=1) == drawn[:4], "more posts keep those that there were"


def test_keywords_are_words_that_the_chatbot_said(place: Place) -> None:
    said: list[str] = []
    targets = extras.keywords(place, per_count=2, seed=1, tell=said.append)
    replies = [t.text for t in extras.targets_of(place, "test") if t.list == "generated"]
    words = [set(normalise(reply).split()) for reply in replies]
    assert targets
    for target in targets:
        keywords = set(target.text.split())
        assert (target.list, target.length) == ("keywords", str(len(keywords)))
        assert any(keywords <= each for each in words), "some reply held all of them"
        assert not keywords & {"zebra", "horse"}, "neither real sentences nor those seen"
    assert extras.keywords(place, per_count=2, seed=1, tell=said.append) == targets


def finding_of(query: str, reply: str | None, target: str) -> Finding:
    """Give what an audit that asked one query would write."""
    similarity = None if reply is None else Exact().score([reply], [target])[0]
    return Finding(
        target, "real", "1-3", "real 1-3", "elicited" if similarity else "not_elicited",
        query, reply or "", similarity, bool(similarity), None, 1, 0, 0.0, False,
    )  # fmt: skip


def test_what_was_drawn_is_asked_again_with_draws_of_another_seed(
    make_network: MakeNetwork, tmp_path: Path
) -> None:
    place = saved(make_network, tmp_path / "first", DRAWN)
    queries = QUERIES[:40]
    said = load_chatbot(place.spec).reply(queries)
    found = [finding_of(q, r, r) for q, r in zip(queries, said, strict=True)]  # all lucky
    found.append(finding_of("", None, "fox"))  # nothing was measured, so nothing is asked
    made = repeats(place, {"m": found}, Exact(), SETTINGS, times=3, folder=tmp_path / "again")
    assert made["methods"]["m"]["found"] == [1.0] * 40 + [None]
    # the same by hand: chatbots of the same weights, whose draws have other seeds each time
    rounds = []
    for nth in (1, 2, 3):
        other = DRAWN.model_copy(update={"seed": derive_seed(7, "repeat", nth)})
        twin = load_chatbot(saved(make_network, tmp_path / f"twin-{nth}", other).spec)
        rounds.append(twin.reply(queries))
    wanted = [[float(each[n] == said[n]) for each in rounds] for n in range(40)]
    assert made["methods"]["m"]["again"] == [*wanted, []]
    assert made["methods"]["m"]["query"] == list(range(41))
    assert rounds[0] != said, "the first draws are not those that selected"
    assert rounds[0] != rounds[1] != rounds[2], "nor are any two alike, in whatever process"
    rate = sum(map(sum, wanted)) / 120
    assert 0.0 < rate < 0.9, "what was lucky is not so again"
    assert made["queries"]["verify"]["asked"] == 120
    # what was bought is not bought again, and the same comes of it
    again = repeats(place, {"m": found}, Exact(), SETTINGS, times=3, folder=tmp_path / "again")
    assert again["methods"] == made["methods"]
    assert again["queries"]["verify"]["sent"] == made["queries"]["verify"]["sent"]
    json.dumps(made, allow_nan=False)


def test_a_model_that_draws_by_a_seed_is_given_another_one_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("def reply(text):\n    return text\n")
    given: list[int | None] = []

    def note(spec: str, settings: AuditSettings, ledger: Any) -> Any:
        given.append(settings.model.seed)
        return extras.opened(spec, settings, ledger)

    monkeypatch.setattr(repeats_module, "opened", note)
    mine = Place(tmp_path, f"python:{bot}:reply", "x")
    seeded = SETTINGS.model_copy(update={"model": ModelSettings(seed=5)})
    found = {"m": [finding_of("fox", "fox", "fox")]}
    for settings, folder in ((seeded, "one"), (SETTINGS, "other")):
        made = repeats(mine, found, Exact(), settings, times=3, folder=tmp_path / folder)
        assert made["methods"]["m"]["again"] == [[1.0] * 3]
    seeds, unseeded = given[:3], given[3:]
    assert len(set(seeds)) == 3
    assert all(seed is not None and 0 <= seed < 2**31 and seed != 5 for seed in seeds)
    assert unseeded == [None], "what draws by no seed is opened once"


def test_a_chatbot_that_draws_nothing_says_the_same_again(place: Place, tmp_path: Path) -> None:
    said = load_chatbot(place.spec).reply(POSTS)
    targets = [said[0]] * len(POSTS)
    found = [finding_of(q, r, t) for q, r, t in zip(POSTS, said, targets, strict=True)]
    made = repeats(place, {"m": found}, Exact(), SETTINGS, times=2, folder=tmp_path / "again")
    scores = made["methods"]["m"]
    assert scores["again"] == [[score] * 2 for score in scores["found"]]
    twice = repeats(
        place, {"m": [*found[:2], *found[:2]]}, Exact(), SETTINGS, times=1, folder=tmp_path / "two"
    )
    assert twice["methods"]["m"]["query"] == [0, 1, 0, 1]
    assert set(scores["found"]) == {0.0, 1.0}


def test_a_query_that_fails_this_time_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "def reply(text):\n"
        "    if text == 'down':\n"
        "        raise ValueError('down')\n"
        "    return text\n"
    )
    place = Place(tmp_path, f"python:{tmp_path / 'bot.py'}:reply", "bot")
    found = [finding_of("up", "up", "up"), finding_of("down", "down", "down")]
    settings = AuditSettings.model_validate({"limits": {"attempts": 1}})
    made = repeats(place, {"m": found}, Exact(), settings, times=2, folder=tmp_path / "again")
    assert made["methods"]["m"]["again"] == [[1.0, 1.0], []]
