"""The preset ``paper-2019`` in miniature, on a file and vectors that a user brings; and its guide.

The chatbot is trained here, for seconds. Such a chatbot gives one reply to everything, from which
nothing can be learned; so it draws its replies, which the paper's does not. All else that is set is
a size, a number of steps or a path.
"""

import itertools
import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saywhat.corpora.conversations import chitchat
from saywhat.corpora.files import read_conversations
from saywhat.experiment.paper import TABLE_1
from saywhat.text.tokenizer import tokenize
from saywhat.text.vectors import load_vectors
from tests.end_to_end.conftest import CommandLine

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "paper.md"
WITHOUT_GOOGLE = (
    "--set audit.similarity.vectors=glove-6b-50d --set train.similarity.vectors=glove-6b-50d"
)
SMALLER = {
    "experiment.corpus": "talk.jsonl",
    "experiment.per_group": 1,
    "audit.similarity.vectors": "google.bin",
    "train.similarity.vectors": "google.bin",
    "train.lists.per_length": 2,
    "train.lists.validation_per_length": 2,
    "train.lists.utterances": 200,
    "train.collect.posts": 300,
    "train.pretrain.network.vocabulary": 300,
    "train.pretrain.network.embedding": 16,
    "train.pretrain.network.hidden": 16,
    "train.pretrain.training.epochs": 1,
    "train.pretrain.training.max_tokens": 6,
    "train.reinforce.steps": 2,
    "train.reinforce.validate_every": 1,
    "train.reinforce.validation_targets": 4,
    "chatbot_training.embeddings": "glove.txt",
    "chatbot_training.network.vocabulary": 300,
    "chatbot_training.network.embedding": 8,
    "chatbot_training.network.hidden": 16,
    "chatbot_training.training.epochs": 1,
    "chatbot_training.training.batch_size": 256,
    "chatbot_training.decoding.max_reply_tokens": 8,
    "chatbot_training.decoding.temperature": 1.0,
}


def write_vectors(words: list[str]) -> None:
    """Write made-up vectors in the two forms of the paper's files."""
    rng = np.random.default_rng(1)
    glove, google = rng.normal(size=(len(words), 8)), rng.normal(size=(len(words), 6))
    with Path("glove.txt").open("w", encoding="utf-8") as file:
        for word, row in zip(words, glove, strict=True):
            file.write(f"{word} {' '.join(f'{number:.4f}' for number in row)}\n")
    with Path("google.bin").open("wb") as binary:
        binary.write(f"{len(words)} 6\n".encode())
        for word, row in zip(words, google, strict=True):
            binary.write(word.encode() + b" " + struct.pack("<6f", *row))


def assignments(**changes: Any) -> list[str]:
    given = {**SMALLER, **changes}
    return [text for key, value in given.items() for text in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def brought(workplace: Path) -> Path:
    """Write what a user brings: conversations and vectors."""
    talk = list(itertools.islice(chitchat(), 300))
    lines = (json.dumps({"key": c.key, "turns": c.turns}) + "\n" for c in talk)
    Path("talk.jsonl").write_text("".join(lines), encoding="utf-8")
    texts = (text for c in talk for turn in c.turns for text in turn)
    write_vectors(sorted({token for text in texts for token in tokenize(text)}))
    return workplace


def part(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("work/parts", f"{name}.json").read_text())
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("brought")
def test_it_runs_to_the_end_on_what_a_user_brings(saywhat: CommandLine) -> None:
    command = ["experiment", "paper-2019", "--out", "work", *assignments()]
    code, out, err = saywhat(*command)
    assert code == 0, err
    finished = sorted(Path("work/parts").glob("**/*.json"))
    assert f"{len(finished)} of {len(finished)} parts are finished." in out
    trained = part("chatbot/main")
    assert trained["settings"]["chatbot_training"]["embeddings"] == "glove.txt"
    assert trained["settings"]["corpus"] == "talk.jsonl"
    model = json.loads(Path("work/work/main/chatbot/model/model.json").read_text())
    assert len(model["embeddings"]) == len(load_vectors("glove.txt").fingerprint)
    for method in TABLE_1:
        rows = part(f"evaluate/main/seed-1/{method}")["outcome"]["rows"]
        assert {(row["list"], row["length"]) for row in rows} == {
            (name, length) for name in ("generated", "real") for length in ("1-3", "4-6", "7-10")
        }
        assert {row["similarity"] for row in rows} == {"embedding-average"}
    # again: nothing is left to do, with the vectors gone too
    Path("google.bin").unlink()
    times = [path.stat().st_mtime_ns for path in finished]
    code, _, err = saywhat(*command)
    assert code == 0, err
    assert times == [path.stat().st_mtime_ns for path in finished]


@pytest.mark.parametrize(
    ("command", "name", "remedy"),
    [
        ("audit --preset paper-2019", "GoogleNews", "--set audit.similarity.vectors=glove-6b-50d"),
        (
            "experiment paper-2019 --out new",
            "GoogleNews",
            "--set train.similarity.vectors=glove-6b-50d",
        ),
        (
            f"experiment paper-2019 --out new {WITHOUT_GOOGLE}",
            "glove.840B.300d.txt",
            "--set chatbot_training.embeddings=null",
        ),
        ("experiment paper-2019 --out new", "glove.840B", "--set chatbot_training.embeddings=null"),
        ("experiment paper-2019 --out new", "conversations.jsonl", "3 things"),
        (
            f"experiment paper-2019 --out new --dry-run {WITHOUT_GOOGLE}",
            "conversations.jsonl",
            "2 things are missing or wrong",
        ),
        (
            "train --preset paper-2019 --chatbot known:echo --out new",
            "GoogleNews",
            "--set train.similarity.vectors=glove-6b-50d",
        ),
    ],
)
def test_without_the_papers_files_it_says_which_before_anything_is_asked(
    saywhat: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    name: str,
    remedy: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = saywhat(*command.split())
    assert code == 2
    assert bool(out) == ("--dry-run" in command), "what is to be done is listed all the same"
    assert name in err
    assert remedy in err
    assert not list(tmp_path.rglob("*.sqlite"))
    assert not list(tmp_path.rglob("parts"))


def test_the_papers_own_chatbot_needs_no_embeddings(
    saywhat: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = (
        f"{WITHOUT_GOOGLE} --set experiment.chatbot=parlai:no/model "
        "--set experiment.corpus=chitchat"
    )
    code, _, err = saywhat("experiment", "paper-2019", "--out", "new", *given.split())
    assert code == 2
    assert "no/model" in err
    assert "glove.840B" not in err


# ---------------------------------------------------------------- the guide


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def functions_of(block: str) -> dict[str, Any]:
    """Run a block's functions and imports, and nothing that reads files or a hub."""
    names: dict[str, Any] = {}
    harmless = re.split(r"^(?:with |from datasets)", block, flags=re.MULTILINE)[0]
    exec(harmless, names)  # noqa: S102  (a page of ours)
    return names


def test_a_twitter_file_becomes_pairs(tmp_path: Path) -> None:
    [shown] = re.findall(r"```text\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [*shown.splitlines(), "", "a reply to nothing", "one\ttab", "and  two spaces", "odd"]
    made = "".join(functions_of(python_blocks()[0])["pairs"](lines))
    path = tmp_path / "twitter.tsv"
    path.write_text(made, encoding="utf-8")
    found = [[turn[0] for turn in c.turns] for c in read_conversations(path)]
    shown_lines = shown.splitlines()
    assert found == [shown_lines[:2], shown_lines[2:4], ["one tab", "and two spaces"]]


def test_a_hub_data_set_becomes_conversations(tmp_path: Path) -> None:
    rows = [
        {"dialog": ["hi !", "hello , you ."], "act": [1, 2]},
        {"dialog": ["one", "two", "three"], "act": [1, 1, 1]},
    ]
    path = tmp_path / "conversations.jsonl"
    path.write_text("".join(map(functions_of(python_blocks()[1])["line"], rows)), encoding="utf-8")
    found = [[" ".join(turn) for turn in c.turns] for c in read_conversations(path)]
    assert found == [row["dialog"] for row in rows]


def test_every_option_of_the_guide_exists(saywhat: CommandLine) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    keys = set(re.findall(r"--set ([\w.]+)=", text))
    schema = json.loads((GUIDE.parents[2] / "src/saywhat/presets/schema.json").read_text())
    names = {name for each in schema["$defs"].values() for name in each.get("properties", {})}
    assert keys
    assert {key.rpartition(".")[2] for key in keys} <= names
    code, out, _ = saywhat("experiment", "--help")
    assert code == 0
    assert "--only" in out


def test_the_figures_of_the_guide_are_the_measured_ones() -> None:
    results = json.loads((GUIDE.parents[2] / "benchmarks/results/paper-steps.json").read_text())
    data, chatbot, generator, reinforce = results["rows"]
    gigabytes = [
        f"{row['peak_memory_bytes'] / 1e9:.1f} GB" for row in (chatbot, generator, reinforce)
    ]
    hours = [row["hours_an_epoch_of_the_papers_pairs"] for row in (chatbot, generator)]
    last = generator["last_running_loss"]
    expected = [
        f"| {chatbot['parameters']['all']:,} | {chatbot['seconds_a_batch']} s a batch of 64 |",
        f"| {hours[0]} hours for 2.5 million pairs | {gigabytes[0]} |",
        f"| {chatbot['seconds_a_query']} s a query | {chatbot['hours_for_160000_posts']} hours for",
        f"| {generator['parameters']['all']:,} | {generator['seconds_a_batch']} s a batch of 16 |",
        f"| {hours[1]} hours for 160,000 pairs | {gigabytes[1]} |",
        f"| {reinforce['seconds_a_step']} s a step of {reinforce['targets']} |",
        f"| {reinforce['hours_for_all_steps']} hours for 10,000 steps | {gigabytes[2]} |",
        f"| {reinforce['seconds_a_target_with_asking']} s a target |",
        f"| {reinforce['hours_for_1200_targets']} hours for 1,200 targets |",
        f"{data['bytes_a_pair']} bytes a pair, {data['gigabytes_for_the_papers_pairs']} GB for",
        f"from {generator['first_loss']:.1f} to a running mean of {last:.1f}",
        f"a slice of {chatbot['pairs']} pairs",
    ]  # fmt: skip
    text = GUIDE.read_text(encoding="utf-8")
    assert [each for each in expected if each not in text] == []


def test_the_papers_networks_have_the_papers_size() -> None:
    """Counted by hand: shared embeddings, LSTM layers of 4 gates, a projection to 300, biases."""
    results = json.loads((GUIDE.parents[2] / "benchmarks/results/paper-steps.json").read_text())
    _, chatbot, generator, _ = results["rows"]
    for row, words, layers in ((chatbot, 30_000, 3), (generator, 60_000, 2)):
        lstm = 4 * 1024 * ((300 + 1024) + (layers - 1) * 2048)
        assert row["parameters"] == {
            "all": words * 301 + 2 * lstm + layers * 2 * 4096 + 1024 * 300 + 300,
            "embedding": words * 300,
            "output_bias": words,
            "encoder": lstm,
            "decoder": lstm + layers * 2 * 4096,
            "project": 1024 * 300 + 300,
        }
