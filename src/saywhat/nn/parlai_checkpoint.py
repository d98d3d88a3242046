"""The weights of ParlAI's ``seq2seq`` checkpoints: what is in the file, read as data.

``torch.load`` is used in its ``weights_only`` mode alone: a file that asks for anything but tensors
and plain values is refused, and nothing of it is run.
"""

import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from saywhat.errors import CheckpointError
from saywhat.nn.parlai import ParlaiSeq2Seq, ParlaiShape

# A damaged or hostile file can fail the reader in any of these ways
_UNREADABLE: Final = (
    OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, EOFError,
    ArithmeticError, MemoryError, AssertionError, UnpicklingError, struct.error,
)  # fmt: skip
_CONVERT: Final = (
    "If you trust it, convert it where it was made: the page on `parlai:` chatbots shows how."
)
# The modules' names, ours to ParlAI's; ``output`` is its own in the last version
_NAMES: Final = {
    "encoder_embedding": "encoder.lt",
    "encoder": "encoder.rnn",
    "decoder_embedding": "decoder.lt",
    "decoder": "decoder.rnn",
    "attention.combine": "decoder.attention.attn_combine",
    "attention.score": "decoder.attention.attn",
    "attention.vector": "decoder.attention.attn_v",
}
_LEGACY_NAMES: Final = _NAMES | {
    "project": "decoder.o2e",
    "output": "decoder.e2s",
    "prior": "decoder.prior",
    "latent": "decoder.latent",
}
_LAST_NAMES: Final = _NAMES | {
    "project": "output.o2e",
    "prior": "output.prior",
    "latent": "output.latent",
}


class ParlaiStates(NamedTuple):
    """What a checkpoint file holds.

    Attributes:
        tensors: by ParlAI's names, still as they are in the file.
        longest: tokens of the longest label that training saw (1 if the file does not tell).
        mapped: whether the tensors are in the file rather than in memory.
    """

    tensors: dict[str, Tensor]
    longest: int
    mapped: bool


def read_states(path: Path) -> ParlaiStates:
    """Read a checkpoint file.

    Args:
        path: the model file.

    Raises:
        CheckpointError: the file is missing, damaged, holds more than data, or is no checkpoint.
    """
    if not path.is_file():
        raise CheckpointError(f"Expected a ParlAI model file at {path}; there is none.")
    if TorchVersion(torch.__version__) < "2.6":  # could be made to run code (CVE-2025-32434)
        raise CheckpointError(
            f"{path} can be read safely with PyTorch 2.6 or later alone; this is "
            f"{torch.__version__}: upgrade it."
        )
    form = _form(path)
    mapped = form == "zip"
    if form == "tar":
        raise CheckpointError(
            f"{path} is in the tar format of PyTorch before 0.1.10, which cannot be read without "
            f"running what it holds; nothing of it was run. {_CONVERT}"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of damage, which is told below
            # mapped, so that an optimiser's state is never brought into memory
            states: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UnpicklingError as error:
        problem = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, or is damaged; nothing of it was "
            f"run. {_CONVERT} (The reader says: {_the_point(problem):.200})"
        ) from error
    except _UNREADABLE as error:
        raise CheckpointError(
            f"Expected a ParlAI model file at {path}; it is damaged or of another kind "
            f"({type(error).__name__}: {' '.join(str(error).split()):.200}). Restore it."
        ) from error
    model = states.get("model") if isinstance(states, dict) else None
    if not isinstance(model, dict) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in model.items()
    ):
        raise CheckpointError(
            f"Expected a ParlAI model file at {path}: a dictionary with the tensors under 'model'."
        )
    longest = states.get("longest_label", 1)
    if type(longest) is not int or not 1 <= longest <= 100_000:
        raise CheckpointError(f"'longest_label' in {path} is not a number from 1 to 100,000.")
    return ParlaiStates(dict(model), longest, mapped)


def is_legacy(tensors: Mapping[str, Tensor], path: Path) -> bool:
    """Tell whether tensors are those of ``legacy:seq2seq:0`` rather than of the last ``seq2seq``.

    Raises:
        CheckpointError: they are of neither.
    """
    if "decoder.e2s.weight" in tensors:
        return True
    embedding, output = tensors.get("decoder.lt.weight"), tensors.get("output.weight")
    if embedding is None or (output is None and "output.e2s.weight" not in tensors):
        raise CheckpointError(
            f"{path} holds no weights of ParlAI's `seq2seq` agent; other agents are not read. Ask "
            "the agent itself through `python:` or `command:`."
        )
    # version 1 had an inner layer, or shared the embeddings without the row of padding
    if output is None or output.shape != embedding.shape:
        raise CheckpointError(
            f"{path} is of version 1 of ParlAI's `seq2seq` agent, which is not read (versions 0, "
            "`legacy:seq2seq:0`, and the last one are). Ask the agent itself through `python:` or "
            "`command:`."
        )
    return False


def check_shared(
    tensors: Mapping[str, Tensor], path: Path, *, lookuptable: str, shared_layers: bool
) -> None:
    """Check that what the options call shared is the same in the file.

    Args:
        tensors: by ParlAI's names.
        path: the model file, for messages.
        lookuptable: the option: ``unique``, ``enc_dec``, ``dec_out`` or ``all``.
        shared_layers: whether encoder and decoder are one recurrent network.

    Raises:
        CheckpointError: it differs.
    """
    encoder, decoder = "encoder.lt.weight", "decoder.lt.weight"
    output = "decoder.e2s.weight" if "decoder.e2s.weight" in tensors else "output.weight"
    pairs = {"enc_dec": [(encoder, decoder)], "dec_out": [(decoder, output)]}
    pairs |= {"all": pairs["enc_dec"] + pairs["dec_out"], "unique": []}
    layers = [name for name in tensors if name.startswith("encoder.rnn.") and shared_layers]
    alike = pairs[lookuptable] + [(name, name.replace("encoder", "decoder")) for name in layers]
    for first, second in alike:
        left, right = tensors.get(first), tensors.get(second)
        if left is None or right is None or not torch.equal(left, right):
            raise CheckpointError(
                f"{first} and {second} differ in {path}, where the options beside it say that they "
                "are shared: these options belong to another model."
            )


def build(shape: ParlaiShape, states: ParlaiStates, path: Path) -> ParlaiSeq2Seq:
    """Make the network, in single precision and evaluation mode.

    Args:
        shape: what the checkpoint's options say.
        states: what the file holds.
        path: the model file, for messages.

    Raises:
        CheckpointError: names, shapes or values do not fit; the message tells which.
    """
    tensors = states.tensors
    start = tensors.get("START")
    if start is None or start.shape != (1,) or start.dtype != torch.long or int(start) != 1:
        raise CheckpointError(f"Expected the start symbol of the model in {path} to be token 1.")
    try:
        with torch.device("meta"):  # nothing is allocated before the shapes are known to fit
            network = ParlaiSeq2Seq(shape)
        names = {name: _their_name(name, legacy=shape.legacy) for name in network.state_dict()}
        expected = {names[name]: tensor for name, tensor in network.state_dict().items()}
        problems = _problems(expected, {k: v for k, v in tensors.items() if k != "START"})
        if problems:
            raise CheckpointError(
                f"The weights in {path} do not fit the options beside it: {'; '.join(problems)}."
            )
        copies: dict[tuple[int, torch.Size], Tensor] = {}
        weights = {
            our: _copy(tensors[name], copies, always=states.mapped) for our, name in names.items()
        }
    except (RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"The weights in {path} cannot be brought into memory ({error!s:.200})."
        ) from error
    wrong = [names[our] for our, tensor in weights.items() if not bool(tensor.isfinite().all())]
    if wrong:
        raise CheckpointError(f"{wrong[0]} in {path} has values that are not numbers; restore it.")
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(requires_grad=False).eval()


def _problems(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    for name, tensor in tensors.items():
        if name not in expected:
            problems.append(f"{name!r:.80} has no place")
        elif tensor.shape != expected[name].shape:
            shapes = tuple(tensor.shape), tuple(expected[name].shape)
            problems.append(f"{name} has shape {shapes[0]}, not {shapes[1]}")
        elif not _is_plain(tensor):
            problems.append(f"{name} is no plain array of numbers")
    return problems[:5]


def _is_plain(tensor: Tensor) -> bool:
    # what is not contiguous can be larger than the file
    strided = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return strided and tensor.is_floating_point() and tensor.is_contiguous()


def _form(path: Path) -> Literal["zip", "tar", ""]:
    """Tell the container by its first bytes, as torch does."""
    with path.open("rb") as file:
        head = file.read(262)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    return "tar" if head.endswith(b"ustar") else ""


def _copy(tensor: Tensor, copies: dict[tuple[int, torch.Size], Tensor], *, always: bool) -> Tensor:
    # out of a mapped file; what is shared in the file (tied embeddings) stays shared
    key = (tensor.data_ptr(), tensor.shape)
    if key not in copies:
        copies[key] = tensor.to(torch.float32, copy=always)
    return copies[key]


def _their_name(name: str, *, legacy: bool) -> str:
    module, _, leaf = name.rpartition(".")
    table = _LEGACY_NAMES if legacy else _LAST_NAMES
    return f"{table.get(module, module)}.{leaf}"


def _the_point(problem: str) -> str:
    # torch wraps the reason in advice to load the file without protection
    _, _, reason = problem.partition("WeightsUnpickler error: ")
    return (reason or problem).partition(" Check the documentation")[0]
