"""Networks by the name of their architecture: from settings, and from what a checkpoint says."""

from collections.abc import Mapping
from typing import Any, Final

import torch

from saywhat.config import NetworkSettings
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.hred import Hred, HredSize
from saywhat.nn.language_model import LanguageModel, LanguageModelSize
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.nn.transformer import Transformer, TransformerSize
from saywhat.nn.vhred import Vhred, VhredSize

# architecture -> (its sizes, the network)
_NETWORKS: Final[Mapping[str, tuple[type[Any], type[EncoderDecoder[Any]]]]] = {
    "lstm": (Seq2SeqSize, Seq2Seq),
    "gru": (Seq2SeqSize, Seq2Seq),
    "transformer": (TransformerSize, Transformer),
    "hred": (HredSize, Hred),
    "vhred": (VhredSize, Vhred),
    "language-model": (LanguageModelSize, LanguageModel),
}

MULTI_TURN: Final = frozenset(name for name, (_, made) in _NETWORKS.items() if made.multi_turn)
"""The architectures that read the turns before the query."""


def make_network(
    settings: NetworkSettings, vocabulary: int, *, dropout: float, rng: torch.Generator
) -> EncoderDecoder[Any]:
    """Make a network with random weights.

    Args:
        settings: its architecture and sizes; those of other architectures are not looked at.
        vocabulary: token ids, special symbols included.
        dropout: in training mode.
        rng: source of the weights.
    """
    kind, network = _NETWORKS[settings.architecture]
    names = kind.__dataclass_fields__.keys()
    known = {"vocabulary": vocabulary, "cell": settings.architecture}
    sizes = {**settings.model_dump(include=set(names)), **known}
    made: EncoderDecoder[Any] = network(
        kind(**{name: sizes[name] for name in names}), dropout=dropout, rng=rng
    )
    return made


def network_of_size(architecture: str, size: Mapping[str, Any]) -> EncoderDecoder[Any]:
    """Make a network that takes the weights of a checkpoint, without dropout.

    Raises:
        KeyError: there is no such architecture.
        TypeError, ValueError, RuntimeError: the sizes are not those of one.
    """
    kind, network = _NETWORKS[architecture]
    made: EncoderDecoder[Any] = network(kind(**size), dropout=0.0, rng=torch.Generator())
    if made.architecture != architecture:
        raise ValueError(f"the sizes are of the architecture {made.architecture}")
    return made
