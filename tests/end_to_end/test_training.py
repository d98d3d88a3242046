"""The training flow on a tiny conversation file: every stage, twice the same, nothing leaked."""

import json
from pathlib import Path

import pytest
import torch

from saywhat.chatbots.known import CIPHER_WORDS, CipherChatbot
from saywhat.config import (
    CollectSettings,
    ListSettings,
    NetworkSettings,
    PretrainSettings,
    ReinforceSettings,
    SimilaritySettings,
    SupervisedSettings,
    TrainSettings,
)
from saywhat.corpora.files import read_pairs, write_pairs
from saywhat.errors import CheckpointError, SetupError
from saywhat.ledger import Ledger
from saywhat.pipeline import Training
from saywhat.records import Pair, Target, read_jsonl
from saywhat.rng import derive
from saywhat.text.normalise import LENGTH_GROUPS, normalise


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    """Give tiny settings, and 400 conversations of six turns in the cipher's words."""
    rng, lines = derive(1, "conversations"), []
    for _ in range(400):
        turns = [" ".join(rng.choices(CIPHER_WORDS, k=rng.randint(1, 10))) for _ in range(6)]
        lines.append("\n".join(turns) + "\n")
    corpus = tmp_path_factory.mktemp("corpus") / "conversations.txt"
    corpus.write_text("\n".join(lines))
    return TrainSettings(
        chatbot="known:cipher",
        corpus=str(corpus),
        lists=ListSettings(per_length=4, validation_per_length=2, utterances=200),
        collect=CollectSettings(posts=250, batch_size=64),
        pretrain=PretrainSettings(
            network=NetworkSettings(
                vocabulary=100, embedding=8, hidden=8, layers=1, attention=True
            ),
            training=SupervisedSettings(epochs=2, batch_size=32, max_tokens=8, precision="fp32"),
        ),
        reinforce=ReinforceSettings(
            steps=4, targets=4, samples=3, validate_every=2, precision="fp32"
        ),
        similarity=SimilaritySettings(name="exact"),
    )


@pytest.fixture(scope="module")
def trained(settings: TrainSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train once."""
    folder = tmp_path_factory.mktemp("trained") / "work"
    Training(settings, folder).run()
    return folder


def targets_of(folder: Path, name: str) -> list[Target]:
    return list(read_jsonl(Target, folder / "targets" / f"{name}.jsonl"))


def test_all_that_is_promised_is_there(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert {"ledger.sqlite", "reference.jsonl.xz", "targets", "pretrained", "generator"} <= names
    assert not list(trained.rglob("*partial*"))
    description = json.loads((trained / "generator" / "model.json").read_text())
    assert description["stage"] == "reinforce"
    assert description["settings"]["chatbot"] == "known:cipher"


def test_the_reference_corpus_is_what_the_chatbot_says(trained: Path) -> None:
    pairs, chatbot = read_pairs(trained / "reference.jsonl.xz"), CipherChatbot(CIPHER_WORDS)
    assert len(pairs) > 100
    assert chatbot.reply([pair.query for pair in pairs]) == [pair.reply for pair in pairs]


def test_the_lists_are_as_asked_and_leak_nothing(trained: Path) -> None:
    test, validation = targets_of(trained, "test"), targets_of(trained, "validation")
    groups = [(target.list, target.length) for target in test if target.list != "generated-seen"]
    expected = [(name, length) for name in ("generated", "real") for length in LENGTH_GROUPS]
    assert groups == [group for group in expected for _ in range(4)]
    groups = [(target.list, target.length) for target in validation]
    assert groups == [group for group in expected for _ in range(2)]
    fresh = [normalise(target.text) for target in (*test, *validation) if not target.seen]
    assert len(set(fresh)) == len(fresh)
    pairs = read_pairs(trained / "reference.jsonl.xz")
    known = {normalise(text) for pair in pairs for text in (pair.query, pair.reply)}
    assert not set(fresh) & known
    assert all(normalise(target.text) in known for target in test if target.seen)


def test_real_targets_follow_their_query_in_the_corpus(
    trained: Path, settings: TrainSettings
) -> None:
    corpus = Path(settings.corpus).read_text()
    real = [target for target in targets_of(trained, "test") if target.list == "real"]
    assert all(f"{target.query}\n{target.text}\n" in corpus for target in real)


def test_the_ledger_counts_every_question(trained: Path) -> None:
    metrics = (trained / "reinforce" / "metrics.jsonl").read_text().splitlines()
    with Ledger(trained / "ledger.sqlite") as ledger:
        counts = ledger.counts()
    # 4 steps of 4 x 3 queries; 12 validation targets at the start and after steps 2 and 4
    assert counts["reinforce"].asked == 4 * 12 + 3 * 12 == json.loads(metrics[-1])["asked"]
    assert counts["reference"].asked > 250
    assert counts["reference"].failed == 0


def test_twice_is_the_same(trained: Path, settings: TrainSettings, tmp_path: Path) -> None:
    again = Training(settings, tmp_path)
    again.collect()
    again.pretrain()
    generator = again.reinforce()
    for name in ("targets/test.jsonl", "targets/validation.jsonl"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()
    assert read_pairs(tmp_path / "reference.jsonl.xz") == read_pairs(trained / "reference.jsonl.xz")
    for stage in ("pretrained", "generator"):
        files = [folder / stage / "weights.safetensors" for folder in (trained, tmp_path)]
        assert files[0].read_bytes() == files[1].read_bytes()
    # what is done is not done again: no chatbot is asked
    before = (tmp_path / "ledger.sqlite").read_bytes()
    loaded = Training(settings, tmp_path).run()
    assert (tmp_path / "ledger.sqlite").read_bytes() == before
    ours, theirs = generator.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("side", ["query", "reply"])
@pytest.mark.parametrize("name", ["test", "validation"])
def test_a_smuggled_target_is_found(
    trained: Path, settings: TrainSettings, tmp_path: Path, side: str, name: str
) -> None:
    (tmp_path / "targets").mkdir()
    for path in (trained / "targets").iterdir():
        (tmp_path / "targets" / path.name).write_bytes(path.read_bytes())
    target = targets_of(trained, name)[0].text.upper() + " !"  # in another spelling
    smuggled = Pair(target, "hi") if side == "query" else Pair("hi", target)
    pairs = read_pairs(trained / "reference.jsonl.xz")
    write_pairs([*pairs[:50], smuggled, *pairs[50:]], tmp_path / "reference.jsonl.xz")
    with pytest.raises(SetupError, match=rf"1 targets of .*{name}\.jsonl are among"):
        Training(settings, tmp_path).pretrain()


def test_another_chatbot_is_not_served_with_this_ones_generator(
    trained: Path, settings: TrainSettings
) -> None:
    other = settings.model_copy(update={"chatbot": "known:echo"})
    for stage in (Training(other, trained).pretrain, Training(other, trained).reinforce):
        with pytest.raises(CheckpointError, match="other settings of chatbot"):
            stage()


@pytest.mark.parametrize(("stage", "missing"), [("pretrain", "collect"), ("reinforce", "pretrain")])
def test_a_stage_names_the_one_before_it(
    settings: TrainSettings, tmp_path: Path, stage: str, missing: str
) -> None:
    with pytest.raises(SetupError, match=f"run the stage {missing} first"):
        getattr(Training(settings, tmp_path), stage)()


def test_a_half_written_generator_is_no_generator(
    trained: Path, settings: TrainSettings, tmp_path: Path
) -> None:
    # as after a kill between the weights and their description
    work = tmp_path / "work"
    for path in trained.rglob("*"):
        if path.is_file():
            copy = work / path.relative_to(trained)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (work / "generator" / "model.json").unlink()
    Training(settings, work).reinforce()
    files = [folder / "generator" / "weights.safetensors" for folder in (trained, work)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_another_chatbot_is_not_served_with_this_ones_corpus(
    trained: Path, settings: TrainSettings
) -> None:
    other = settings.model_copy(update={"chatbot": "known:echo", "seed": 2})
    with pytest.raises(SetupError, match="made with another chatbot, seed"):
        Training(other, trained).collect()


def test_a_corpus_that_has_changed_under_its_name_is_refused(
    settings: TrainSettings, tmp_path: Path
) -> None:
    corpus = tmp_path / "talk.txt"
    corpus.write_bytes(Path(settings.corpus).read_bytes())
    mine = settings.model_copy(update={"corpus": str(corpus)})
    pairs = Training(mine, tmp_path / "work").collect()
    assert Training(mine, tmp_path / "work").collect() == pairs
    with corpus.open("a") as file:
        file.write("\nhi\nhello\n")
    with pytest.raises(SetupError, match="made with another corpus file; give another --out"):
        Training(mine, tmp_path / "work").collect()


def test_a_chatbot_with_few_replies_keeps_them_to_be_learned(
    settings: TrainSettings, tmp_path: Path
) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text(
        'SAYS = ["yes sure", "no way", "maybe so", "who knows"]\n'
        "def reply(text):\n    return SAYS[len(text) % 4]\n"
    )
    few = settings.model_copy(update={"chatbot": f"python:{bot}:reply"})
    Training(few, tmp_path / "work").run()
    # each is about a quarter of the corpus: half of the four would be held out without the rule
    lists = {target.list for target in targets_of(tmp_path / "work", "test")}
    assert "generated" not in lists
    replies = {pair.reply for pair in read_pairs(tmp_path / "work/reference.jsonl.xz")}
    assert replies == {"yes sure", "no way", "maybe so", "who knows"}


def test_a_chatbot_whose_replies_are_too_long_to_be_targets_is_told_before_pre_training(
    settings: TrainSettings, tmp_path: Path
) -> None:
    bot = tmp_path / "bot.py"
    bot.write_text("def reply(text):\n    return ' '.join(['well'] * 12 + [text])\n")
    long = settings.model_copy(update={"chatbot": f"python:{bot}:reply"})
    with pytest.raises(
        SetupError, match=r"None of the [\d,]+ replies .* 1 to 12 words.*the shortest has 13\. Set"
    ):
        Training(long, tmp_path / "work").run()
    assert not (tmp_path / "work" / "pretrain").exists()
    assert read_pairs(tmp_path / "work/reference.jsonl.xz"), "what was bought is kept"
    reinforce = settings.reinforce.model_copy(update={"max_target_words": 13})
    more = long.model_copy(update={"reinforce": reinforce})
    Training(more, tmp_path / "work").check_targets()
