"""A chatbot on disk: a network, its words, and a way of writing that the network can follow."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pydantic

from saywhat.config import DecodingSettings
from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import load_model
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.text.vocabulary import Vocabulary

ALWAYS: Final = frozenset(
    {"anti_lm_weight", "anti_lm_steps", "anti_lm_floor", "max_source_tokens", "max_reply_tokens"}
)
"""The decoding settings that every checkpoint has."""


@dataclasses.dataclass(frozen=True, slots=True)
class ChatbotCheckpoint:
    """What a folder holds.

    Attributes:
        model: the network, in evaluation mode.
        vocabulary: its words.
        decoding: the settings as they are written.
        settings: the same, checked, with defaults for those that are not there.
        weights_hash: SHA-256 of the weights file.
    """

    model: EncoderDecoder[Any]
    vocabulary: Vocabulary
    decoding: Mapping[str, Any]
    settings: DecodingSettings
    weights_hash: str


def load_chatbot(folder: Path) -> ChatbotCheckpoint:
    """Load a chatbot checkpoint.

    Raises:
        CheckpointError: the folder does not hold one, or its settings cannot be used.
    """
    model, vocabulary, description = load_model(folder, kind="chatbot")
    own = description.get("decoding")
    if not isinstance(own, dict) or not set(own) >= ALWAYS:
        raise CheckpointError(
            f"Expected the decoding settings {', '.join(sorted(ALWAYS))} in the "
            f"description in {folder}, got {own!r:.200}."
        )
    try:
        settings = decoding_settings(own, model)
    except CheckpointError as error:
        raise CheckpointError(f"The description in {folder}: {error}") from error
    return ChatbotCheckpoint(model, vocabulary, own, settings, description["sha256"])


def decoding_settings(decoding: Mapping[str, Any], model: EncoderDecoder[Any]) -> DecodingSettings:
    """Check decoding settings, each alone and with the network.

    Raises:
        CheckpointError: they cannot be used, or not with this network.
    """
    try:
        settings = DecodingSettings.model_validate(decoding)
    except pydantic.ValidationError as errors:
        first = errors.errors()[0]
        key = ".".join(str(part) for part in ("decoding", *first["loc"]))
        raise CheckpointError(f"{key}: {first['msg']}, got {first['input']!r:.80}.") from errors
    check_context(settings, model)
    return settings


def check_context(settings: DecodingSettings, model: EncoderDecoder[Any]) -> None:
    """Make sure that a network reads the turns before the query, if there are any.

    Raises:
        CheckpointError: it does not.
    """
    if settings.context and not model.multi_turn:
        raise CheckpointError(
            f"decoding.context: expected none, since the architecture {model.architecture} reads "
            f"the query alone; got {settings.context!r:.80}."
        )
