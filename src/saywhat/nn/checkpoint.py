"""Weights on disk: safetensors with a description beside them, written atomically. No pickle.

A checkpoint folder holds ``weights.safetensors`` (tensors) and ``model.json`` (kind, sizes,
vocabulary, settings, hash). The description is written last: where it is, the weights are too.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from saywhat.errors import CheckpointError, CorpusError
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.make import network_of_size
from saywhat.runs.files import file_hash
from saywhat.text.vocabulary import Vocabulary

WEIGHTS: Final = "weights.safetensors"
DESCRIPTION: Final = "model.json"


def write_json(data: Mapping[str, Any], path: Path) -> None:
    """Write a JSON object; the file is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(data, ensure_ascii=False, indent=1)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: the file.
        what: what it should be, for the message.

    Raises:
        CheckpointError: it is missing or is not a JSON object.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Expected {what}: cannot read {path} ({error}).") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"Expected {what}: {path} holds no JSON object.")
    return data


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a safetensors file; the file is whole or not there."""
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"Expected a safetensors file at {path}; it is missing or damaged ({error})."
        ) from error


def load_weights(module: torch.nn.Module, tensors: Mapping[str, Tensor], *, source: Path) -> None:
    """Put tensors into a module.

    Raises:
        CheckpointError: names or shapes do not fit; the message names ``source``.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        problems = " ".join(str(error).split())
        raise CheckpointError(
            f"The weights in {source} do not fit the network: {problems:.300}"
        ) from error


def check_vocabulary(network: EncoderDecoder[Any], vocabulary: Vocabulary) -> None:
    """Make sure that a network has an id for each word, and a word for each id.

    Raises:
        CheckpointError: network and vocabulary do not belong together.
    """
    if network.size.vocabulary != len(vocabulary):
        raise CheckpointError(
            f"The network has {network.size.vocabulary} token ids, the vocabulary "
            f"{len(vocabulary)}; they are of different models."
        )


def save_model(
    model: EncoderDecoder[Any],
    vocabulary: Vocabulary,
    folder: Path,
    *,
    kind: str,
    extra: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Save a network and all that is needed to use it.

    Args:
        model: the network.
        vocabulary: its words.
        folder: made if it does not exist.
        kind: ``"chatbot"`` or ``"generator"``.
        extra: JSON-able settings that belong to it (decoding rule, provenance).
        dtype: on disk; half precision halves the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors({k: v.to(dtype) for k, v in model.state_dict().items()}, folder / WEIGHTS)
    description = {
        "schema": 1,
        "kind": kind,
        "architecture": model.architecture,
        "size": dataclasses.asdict(model.size),
        "sha256": file_hash(folder / WEIGHTS),
        **extra,
        "vocabulary": list(vocabulary.words),
    }
    write_json(description, folder / DESCRIPTION)


def load_model(
    folder: Path, *, kind: str
) -> tuple[EncoderDecoder[Any], Vocabulary, dict[str, Any]]:
    """Load what ``save_model`` wrote, in single precision and evaluation mode.

    Returns:
        The network, its vocabulary and the whole description.

    Raises:
        CheckpointError: the folder is not a checkpoint, is of another kind, or is damaged.
    """
    path, weights = folder / DESCRIPTION, folder / WEIGHTS
    description = read_json(path, what=f"a {kind} checkpoint in {folder}")
    if description.get("kind") != kind:
        found = description.get("kind")
        raise CheckpointError(f"Expected a {kind} checkpoint in {folder}, found a {found!r}.")
    if file_hash(weights) != description.get("sha256"):
        raise CheckpointError(
            f"{weights} is missing or is not the file that {path} describes (SHA-256 differs); "
            "restore both."
        )
    try:
        vocabulary = Vocabulary(description["vocabulary"])
        # checkpoints had one architecture before they named it
        architecture = description.get("architecture", "lstm")
        model = network_of_size(architecture, description["size"])
    except (KeyError, TypeError, ValueError, RuntimeError, CorpusError) as error:
        raise CheckpointError(
            f"{path} does not describe a {kind}: {type(error).__name__} ({error})."
        ) from error
    try:
        check_vocabulary(model, vocabulary)
    except CheckpointError as error:
        raise CheckpointError(f"{path} contradicts itself; restore it. {error}") from error
    tensors = {name: tensor.float() for name, tensor in load_tensors(weights).items()}
    load_weights(model, tensors, source=weights)
    return model.eval(), vocabulary, description


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Flatten an optimizer's state into named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{index}.{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Undo ``optimizer_tensors``; the learning rate of the live optimizer is kept."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, entry = name.split(".", 2)
            state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
