"""The state of an unfinished training on disk: ``state.json`` and the tensors that it names.

The tensors of a new state are written beside the old ones, then ``state.json`` is replaced, then
the old tensors go: a crash at any point leaves one whole state.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import load_tensors, read_json, save_tensors, write_json

STATE: Final = "state.json"


def save_state(
    folder: Path, label: str, *, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Write a state and remove the one before it.

    Args:
        folder: made if it does not exist.
        label: names this state's tensor file, for example by its step.
        numbers: JSON-able; ``identity`` says whose state it is (see ``load_state``).
        tensors: weights and optimizer state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"state-{label}.safetensors"
    save_tensors(tensors, folder / name)
    write_json({**numbers, "tensors": name}, folder / STATE)
    for old in folder.glob("state-*.safetensors*"):
        if old.name != name:
            old.unlink()


def load_state(
    folder: Path, identity: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Read the state of a folder; ``None`` if there is none.

    Args:
        folder: where ``save_state`` wrote.
        identity: what must be equal for a training to go on from the state. Keys that the state
            does not have are not compared: it was written before they existed.

    Raises:
        CheckpointError: the state is damaged or is another training's.
    """
    path = folder / STATE
    if not path.exists():
        return None
    numbers = read_json(path, what=f"the state of a training in {folder}")
    saved, wanted = numbers.get("identity"), json.loads(json.dumps(identity))
    if not isinstance(saved, dict) or not isinstance(numbers.get("tensors"), str):
        raise CheckpointError(
            f"{path} is not the state of a training; remove {folder} to start anew."
        )
    if differing := sorted(key for key in saved if saved[key] != wanted.get(key)):
        raise CheckpointError(
            f"{folder} holds a training with other {', '.join(differing)}; "
            "give another folder, or remove this one to start anew."
        )
    return numbers, load_tensors(folder / numbers["tensors"])


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix before each name."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors whose name has the prefix, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
