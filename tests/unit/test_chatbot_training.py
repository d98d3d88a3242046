"""Training a chatbot of each architecture: one command, the same conversations, the same pairs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.config import (
    ChatbotSettings,
    DecodingSettings,
    NetworkSettings,
    SupervisedSettings,
    VariationalSettings,
)
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.pairs import training_pairs
from saywhat.corpora.splits import split
from saywhat.errors import CheckpointError, SetupError
from saywhat.nn.checkpoint import load_model
from saywhat.registry import load_chatbot
from saywhat.rng import derive
from saywhat.text.vectors import load_vectors
from saywhat.text.vocabulary import SPECIALS
from saywhat.training.chatbot import train_chatbot
from saywhat.training.supervised import Progress
from tests.tiny_networks import ARCHITECTURES, MULTI_TURN

WORDS = [f"{a}{b}" for a in "bdfgk" for b in "aeiou"]


def conversations(count: int = 120) -> list[Conversation]:
    rng, made = derive(1, "talk"), []
    for i in range(count):
        turns = [" ".join(rng.choices(WORDS, k=rng.randint(1, 5))) for _ in range(5)]
        made.append(Conversation(f"talk {i}", tuple((turn,) for turn in turns)))
    return made


def settings_of(architecture: str, **change: Any) -> ChatbotSettings:
    network = NetworkSettings(
        architecture=architecture,
        embedding=8,
        hidden=8,
        layers=1,
        heads=2,
        feed_forward=8,
        latent=2,
    )
    training = SupervisedSettings(epochs=1, batch_size=64, max_tokens=8, precision="fp32")
    return ChatbotSettings(network=network, training=training, **change)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_trained_by_the_same_command(
    architecture: str, tmp_path: Path
) -> None:
    settings, told = settings_of(architecture), list[Progress]()
    talk = conversations()
    folder = train_chatbot(settings, talk, seed=1, folder=tmp_path, report=told.append)
    description = json.loads((folder / "model.json").read_text())
    assert description["architecture"] == architecture
    pairs = training_pairs(split(talk)["chatbot"], max_words=20, max_per_reply=20)
    assert description["training_pairs"] == len(pairs) > 100
    # only a latent variable has a divergence
    assert ("validation_kl" in description) == (architecture == "vhred")
    assert (told[-1].kl is not None) == (architecture == "vhred")
    model, _, _ = load_model(folder, kind="chatbot")
    assert model.multi_turn == (architecture in MULTI_TURN)
    chatbot = load_chatbot(f"seq2seq:{folder}")
    assert all(reply for reply in chatbot.reply(["ba be", "", "ku"]))
    # once more: nothing is trained, the same chatbot comes out
    told.clear()
    again = train_chatbot(settings, talk, seed=1, folder=tmp_path, report=told.append)
    assert told == []
    assert load_chatbot(f"seq2seq:{again}").fingerprint == chatbot.fingerprint


@pytest.mark.parametrize("architecture", MULTI_TURN)
def test_turns_before_are_trained_on_as_far_as_asked(architecture: str, tmp_path: Path) -> None:
    perplexities = []
    for turns in (0, 3):
        settings = settings_of(architecture, context_turns=turns)
        folder = tmp_path / str(turns)
        model = train_chatbot(settings, conversations(), seed=1, folder=folder)
        description = json.loads((model / "model.json").read_text())
        perplexities.append(description["validation_perplexity"])
    assert perplexities[0] != perplexities[1]


def test_one_turn_networks_do_not_look_at_the_setting(tmp_path: Path) -> None:
    weights = []
    for turns in (0, 3):
        settings = settings_of("lstm", context_turns=turns)
        model = train_chatbot(settings, conversations(), seed=1, folder=tmp_path / str(turns))
        weights.append((model / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_a_new_rule_of_decoding_needs_no_new_training(tmp_path: Path) -> None:
    told: list[Progress] = []
    prints = set()
    for decoding in (
        DecodingSettings(),
        DecodingSettings(temperature=0.8),
        DecodingSettings(context=("ba be", "ku")),
    ):
        settings = settings_of("hred", decoding=decoding)
        talk = conversations()
        folder = train_chatbot(settings, talk, seed=1, folder=tmp_path, report=told.append)
        prints.add(load_chatbot(f"seq2seq:{folder}").fingerprint)
    assert len(prints) == 3
    assert sum(progress.valid_perplexity is not None for progress in told) == 1


def test_a_context_for_a_network_that_reads_one_turn_is_told_before_training(
    tmp_path: Path,
) -> None:
    settings = settings_of("gru", decoding=DecodingSettings(context=("ba",)))
    with pytest.raises(SetupError, match=r"decoding\.context is for .*hred, vhred; gru reads"):
        train_chatbot(settings, conversations(), seed=1, folder=tmp_path)
    assert not (tmp_path / "state").exists()


def vectors_file(folder: Path, rows: dict[str, list[float]], name: str = "toy.txt") -> str:
    path = folder / name
    lines = (" ".join([word, *map(str, row)]) for word, row in rows.items())
    path.write_text("\n".join(lines) + "\n")
    return str(path)


ROWS = {
    "ba": [0.5 * i for i in range(8)],
    "ku": [-2.0, *[0.25] * 7],
    "unheard": [9.0] * 8,
    "<unk>": [9.0] * 8,
    "Ge": [9.0] * 8,  # tokens are lower-case
}


def initial_weights(folder: Path, embeddings: str | None) -> dict[str, Any]:
    """Give the weights that training starts from: a step of 1e-30 rounds to none."""
    settings = settings_of("lstm", embeddings=embeddings)
    slow = settings.training.model_copy(update={"optimizer": "sgd", "learning_rate": 1e-30})
    settings = settings.model_copy(update={"training": slow})
    model = train_chatbot(settings, conversations(), seed=1, folder=folder)
    network, vocabulary, _ = load_model(model, kind="chatbot")
    weights = dict(network.state_dict())
    rows = weights.pop("embedding.weight").tolist()
    words = [*SPECIALS, *vocabulary.words]
    return {**dict(zip(words, rows, strict=True)), "others": weights}


def test_known_words_start_from_their_vectors_and_nothing_else_changes(tmp_path: Path) -> None:
    file = vectors_file(tmp_path, ROWS)
    plain = initial_weights(tmp_path / "plain", None)
    started = initial_weights(tmp_path / "started", file)
    assert started.keys() == plain.keys() >= {"ba", "ku", "ge", "<unk>", "<pad>"}
    others, as_before = started.pop("others"), plain.pop("others")
    changed = {word for word in plain if plain[word] != started[word]}
    assert changed == {"ba", "ku"}  # of the file's words, those that the vocabulary has
    # all these numbers are exact in the float16 of a checkpoint
    assert (started["ba"], started["ku"]) == (ROWS["ba"], ROWS["ku"])
    assert all(torch.equal(others[name], as_before[name]) for name in as_before)


def test_vectors_change_what_is_learned_and_are_in_the_description(tmp_path: Path) -> None:
    file, talk = vectors_file(tmp_path, ROWS), conversations()
    weights, descriptions = [], []
    for name, embeddings in (("none", None), ("one", file), ("two", file)):
        settings = settings_of("lstm", embeddings=embeddings)
        model = train_chatbot(settings, talk, seed=1, folder=tmp_path / name)
        weights.append((model / "weights.safetensors").read_bytes())
        descriptions.append(json.loads((model / "model.json").read_text()))
    assert weights[0] != weights[1] == weights[2]
    used = load_vectors(file).restrict(["ba", "ku"])
    assert descriptions[1]["embeddings"] == descriptions[2]["embeddings"] == used.fingerprint
    # without vectors, all is as it was before there was the setting
    assert "embeddings" not in descriptions[0]
    assert "embeddings" not in descriptions[0]["settings"]


@pytest.mark.parametrize("began_with", ["one file", "none"])
def test_a_training_does_not_go_on_with_other_vectors(tmp_path: Path, began_with: str) -> None:
    one = vectors_file(tmp_path, ROWS)
    same = vectors_file(tmp_path, {"other": [0.0] * 8, **ROWS}, "same.txt")
    other = vectors_file(tmp_path, {**ROWS, "ku": [1.0] * 8}, "other.txt")
    talk, first = conversations(), one if began_with == "one file" else None

    def train(embeddings: str | None) -> None:
        settings = settings_of("lstm", embeddings=embeddings)
        train_chatbot(settings, talk, seed=1, folder=tmp_path / "work")

    train(first)
    for embeddings in {one, None, other} - {first}:
        with pytest.raises(CheckpointError, match="holds a training with other network"):
            train(embeddings)
    train(first)
    if first:
        train(same)  # another file, and the same vectors of all words that count


def test_vectors_that_do_not_fit_are_told_before_training(tmp_path: Path) -> None:
    wide = vectors_file(tmp_path, {"ba": [1.0] * 9}, "wide.txt")
    expected = {
        wide: r"wide\.txt has 9 numbers a word, but network\.embedding is 8; make them equal",
        "no/glove.840B.300d.txt": r"nlp\.stanford\.edu.*--set chatbot_training\.embeddings=null$",
    }
    for embeddings, message in expected.items():
        settings = settings_of("lstm", embeddings=embeddings)
        with pytest.raises(SetupError, match=message):
            train_chatbot(settings, conversations(), seed=1, folder=tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_may_start_from_vectors(architecture: str, tmp_path: Path) -> None:
    settings = settings_of(architecture, embeddings=vectors_file(tmp_path, ROWS))
    model = train_chatbot(settings, conversations(), seed=1, folder=tmp_path)
    assert "embeddings" in json.loads((model / "model.json").read_text())


def test_another_remedy_against_collapse_is_another_training(tmp_path: Path) -> None:
    weights = []
    for share in (0.0, 0.5):
        settings = settings_of("vhred", variational=VariationalSettings(word_dropout=share))
        model = train_chatbot(settings, conversations(), seed=1, folder=tmp_path / str(share))
        weights.append((model / "weights.safetensors").read_bytes())
    assert weights[0] != weights[1]
