"""Small networks of each architecture, with random weights large enough to have opinions."""

from pathlib import Path
from typing import Any

import torch

from saywhat.config import DecodingSettings, NetworkSettings
from saywhat.nn.checkpoint import save_model
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.make import make_network
from saywhat.text.vocabulary import EOS, Vocabulary

ARCHITECTURES = ("lstm", "gru", "transformer", "hred", "vhred")
MULTI_TURN = ("hred", "vhred")
SIZES = {"embedding": 5, "hidden": 6, "layers": 2, "heads": 2, "feed_forward": 9, "latent": 3}
# a transformer normalises, so that larger weights are no larger opinions; its logits are scaled
SCALES = {"lstm": 8.0, "gru": 8.0, "transformer": 1.2, "hred": 2.0, "vhred": 2.0}
SOURCES = [[4, 5, 6, EOS], [7, EOS], [8, 9, 10, 11, 4, EOS], [EOS]]
# the same number of conversations of 3, 1, 2 and 1 turns
CONVERSATIONS = [[8, EOS, 9, 9, EOS, *SOURCES[0]], SOURCES[1], [5, EOS, *SOURCES[2]], SOURCES[3]]


def tiny_network(
    architecture: str, vocabulary: int = 12, *, seed: int = 0, dropout: float = 0.0, **change: Any
) -> EncoderDecoder[Any]:
    """Make a network in evaluation mode; ``scale`` takes the place of that of ``SCALES``."""
    scale = change.pop("scale", SCALES[architecture])
    settings = NetworkSettings(architecture=architecture, **SIZES | change)
    rng = torch.Generator().manual_seed(seed)
    network = make_network(settings, vocabulary, dropout=dropout, rng=rng)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
        if architecture == "transformer":
            network.project.weight.mul_(1.5)
    return network.eval()


def sources_for(network: EncoderDecoder[Any]) -> list[list[int]]:
    """Give four sources of different length, of several turns if the network reads them."""
    return CONVERSATIONS if network.multi_turn else SOURCES


def save_chatbot(
    folder: Path, architecture: str, words: tuple[str, ...], *, seed: int = 0, **decoding: Any
) -> Path:
    """Save a chatbot of random weights and give its folder."""
    network = tiny_network(architecture, len(words) + 4, seed=seed, hidden=16)
    settings = DecodingSettings(max_reply_tokens=6, **decoding)
    extra = {"decoding": settings.model_dump()}
    save_model(network, Vocabulary(words), folder, kind="chatbot", extra=extra)
    return folder
