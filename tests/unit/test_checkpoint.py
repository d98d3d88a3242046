"""Checkpoints: what is loaded is what was saved, bit for bit, and damage is told plainly."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.errors import CheckpointError
from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.checkpoint import (
    load_model,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_model,
    save_tensors,
)
from saywhat.nn.seq2seq import Seq2Seq
from saywhat.text.vocabulary import Vocabulary
from saywhat.training.state import load_state, save_state

MakeGenerator = Callable[..., Seq2SeqGenerator]
MakeNetwork = Callable[..., Seq2Seq]


@pytest.fixture
def saved(make_generator: MakeGenerator, tmp_path: Path) -> Path:
    make_generator().save(tmp_path / "generator", extra={"note": "ünïcode"})
    return tmp_path / "generator"


def test_single_precision_comes_back_bit_for_bit(
    make_generator: MakeGenerator, tmp_path: Path
) -> None:
    generator = make_generator()
    generator.save(tmp_path, extra={"seed": 3})
    loaded = Seq2SeqGenerator.load(tmp_path)
    ours, theirs = generator.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert loaded.vocabulary.words == generator.vocabulary.words
    assert loaded.max_tokens == generator.max_tokens
    labels = generator.encode_queries(["a b", "c"])
    assert torch.equal(generator.log_prob(["a"], labels), loaded.log_prob(["a"], labels))
    assert loaded.propose(["a b c"], 5) == generator.propose(["a b c"], 5)


def test_half_precision_is_rounded_once(make_network: MakeNetwork, tmp_path: Path) -> None:
    network, vocabulary = make_network(7), Vocabulary(["a", "b", "c"])
    save_model(network, vocabulary, tmp_path, kind="chatbot", extra={}, dtype=torch.float16)
    loaded, _, _ = load_model(tmp_path, kind="chatbot")
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float())


def test_the_description_holds_what_was_given(saved: Path) -> None:
    _, vocabulary, description = load_model(saved, kind="generator")
    assert description["note"] == "ünïcode"
    assert description["kind"] == "generator"
    assert vocabulary.words == ("a", "b", "c")
    assert not list(saved.glob("*.partial"))


def test_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Expected a chatbot .* found a 'generator'"):
        Seq2SeqChatbot.load(saved)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"Expected a generator checkpoint in .*nowhere"):
        Seq2SeqGenerator.load(tmp_path / "nowhere")


def test_missing_weights_are_told(saved: Path) -> None:
    (saved / "weights.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing"):
        Seq2SeqGenerator.load(saved)


def test_truncated_weights_are_told(saved: Path) -> None:
    path = saved / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        Seq2SeqGenerator.load(saved)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        load_tensors(path)


def test_a_changed_weight_is_told(saved: Path) -> None:
    path = saved / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match="SHA-256 differs"):
        Seq2SeqGenerator.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": ["a", "a", "b"]}, "does not describe a generator"),
        ({"vocabulary": None}, "does not describe a generator"),
        ({"size": {"hidden": 3}}, "does not describe a generator"),
        ({"vocabulary": ["a", "b"]}, "token ids"),
        ({"max_tokens": "many"}, "positive max_tokens"),
        ({"sha256": "0" * 64}, "SHA-256 differs"),
    ],
)
def test_a_description_that_does_not_fit_is_told(
    saved: Path, change: dict[str, object], message: str
) -> None:
    path = saved / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        Seq2SeqGenerator.load(saved)


def test_weights_of_another_shape_are_told(saved: Path) -> None:
    path = saved / "model.json"
    description = json.loads(path.read_text())
    description["size"]["hidden"] += 1
    path.write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match="do not fit"):
        Seq2SeqGenerator.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_description_is_told(saved: Path, text: str) -> None:
    (saved / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"model\.json"):
        Seq2SeqGenerator.load(saved)


def test_a_chatbot_needs_its_decoding_settings(make_network: MakeNetwork, tmp_path: Path) -> None:
    vocabulary = Vocabulary(["a", "b", "c"])
    save_model(make_network(7), vocabulary, tmp_path, kind="chatbot", extra={"decoding": {}})
    with pytest.raises(CheckpointError, match="anti_lm_weight"):
        Seq2SeqChatbot.load(tmp_path)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD])
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(
    make_network: MakeNetwork, tmp_path: Path, kind: type[torch.optim.Optimizer]
) -> None:
    def step(network: Seq2Seq, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        sum(p.square().sum() for p in network.parameters()).backward()
        optimizer.step()

    first = make_network()
    optimizer = kind(first.parameters(), lr=0.01)
    step(first, optimizer)
    save_tensors({**first.state_dict(), **optimizer_tensors(optimizer)}, tmp_path / "both")
    step(first, optimizer)

    second = make_network(seed=9)
    restored = kind(second.parameters(), lr=0.01)
    tensors = load_tensors(tmp_path / "both")
    second.load_state_dict({k: v for k, v in tensors.items() if not k.startswith("optimizer.")})
    restore_optimizer(restored, tensors)
    step(second, restored)
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_a_training_state_replaces_the_one_before(tmp_path: Path) -> None:
    tensors = {"x": torch.arange(3)}
    save_state(tmp_path, "1", numbers={"identity": {"seed": 1}, "step": 1}, tensors=tensors)
    save_state(tmp_path, "2", numbers={"identity": {"seed": 1}, "step": 2}, tensors=tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state-2.safetensors", "state.json"]
    found = load_state(tmp_path, {"seed": 1, "a key of later": True})
    assert found is not None
    assert found[0]["step"] == 2
    assert torch.equal(found[1]["x"], torch.arange(3))


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    assert load_state(tmp_path, {"seed": 1}) is None
    save_state(tmp_path, "1", numbers={"identity": {"seed": 1}}, tensors={"x": torch.ones(1)})
    with pytest.raises(CheckpointError, match="with other seed"):
        load_state(tmp_path, {"seed": 2})
    (tmp_path / "state-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match="missing or damaged"):
        load_state(tmp_path, {"seed": 1})
    (tmp_path / "state.json").write_text('{"torn')
    with pytest.raises(CheckpointError, match="cannot read"):
        load_state(tmp_path, {"seed": 1})
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not the state"):
        load_state(tmp_path, {"seed": 1})
