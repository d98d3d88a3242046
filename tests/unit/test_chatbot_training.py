"""Training a chatbot of each architecture: one command, the same conversations, the same pairs."""

import json
from pathlib import Path
from typing import Any

import pytest

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
from saywhat.errors import SetupError
from saywhat.nn.checkpoint import load_model
from saywhat.registry import load_chatbot
from saywhat.rng import derive
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


def test_another_remedy_against_collapse_is_another_training(tmp_path: Path) -> None:
    weights = []
    for share in (0.0, 0.5):
        settings = settings_of("vhred", variational=VariationalSettings(word_dropout=share))
        model = train_chatbot(settings, conversations(), seed=1, folder=tmp_path / str(share))
        weights.append((model / "weights.safetensors").read_bytes())
    assert weights[0] != weights[1]
