"""A chatbot that is an encoder-decoder LSTM: the built-in one, and what ``train chatbot`` makes.

The same query gets the same reply whatever else is in the batch: rows are computed in tiles of a
fixed number of rows and a width that depends on the query alone, so that the matrix kernels, whose
rounding depends on the shape, are always the same.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

import torch

from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, CheckpointError
from saywhat.nn.checkpoint import load_model
from saywhat.nn.decoding import AntiLanguageModel, greedy
from saywhat.nn.seq2seq import Seq2Seq, left_pad
from saywhat.registry import ASSETS
from saywhat.text.vocabulary import EOS, Vocabulary

_TILE: Final = 128
_WIDTH_STEP: Final = 8
_CODE: Final = "seq2seq-2"  # part of the fingerprint: new whenever this code may reply otherwise
_DECODING: Final = frozenset(
    {"anti_lm_weight", "anti_lm_steps", "anti_lm_floor", "max_source_tokens", "max_reply_tokens"}
)


@final
class Seq2SeqChatbot:
    """Answers greedily, with MMI-antiLM scores if its decoding settings ask for them.

    Args:
        model: the network.
        vocabulary: its words.
        name: for tables.
        decoding: ``anti_lm_weight``, ``anti_lm_steps``, ``anti_lm_floor``, ``max_source_tokens``
            and ``max_reply_tokens``.
        weights_hash: SHA-256 of the weights file; part of the fingerprint.
    """

    def __init__(
        self,
        model: Seq2Seq,
        vocabulary: Vocabulary,
        *,
        name: str,
        decoding: dict[str, float | int],
        weights_hash: str,
    ) -> None:
        self._model, self._vocabulary, self._name = model.eval(), vocabulary, name
        self._decoding = decoding
        identity = json.dumps([_CODE, weights_hash, sorted(decoding.items()), vocabulary.words])
        self._fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    @classmethod
    def load(cls, folder: Path, *, name: str = "") -> "Seq2SeqChatbot":
        """Load a chatbot checkpoint.

        Raises:
            CheckpointError: the folder does not hold one.
        """
        model, vocabulary, description = load_model(folder, kind="chatbot")
        decoding = description.get("decoding")
        if (
            not isinstance(decoding, dict)
            or not set(decoding) >= _DECODING
            or not all(isinstance(decoding[name], int | float) for name in _DECODING)
        ):
            raise CheckpointError(
                f"Expected numbers for the decoding settings {', '.join(sorted(_DECODING))} in the "
                f"description in {folder}, got {decoding!r:.200}."
            )
        return cls(
            model,
            vocabulary,
            name=name or folder.name,
            decoding=decoding,
            weights_hash=description["sha256"],
        )

    @property
    def name(self) -> str:
        """See ``Chatbot``."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """See ``Chatbot``."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``Chatbot``. A query without any token gets the reply to the empty text."""
        for query in queries:
            if not isinstance(query, str):
                raise ChatbotError(f"Expected text, got {type(query).__name__}.", query=repr(query))
        limit = int(self._decoding["max_source_tokens"])
        sources = [self._vocabulary.encode(query, max_tokens=limit) for query in queries]
        widths: dict[int, list[int]] = {}
        for index, source in enumerate(sources):
            widths.setdefault(-(-len(source) // _WIDTH_STEP) * _WIDTH_STEP, []).append(index)
        replies = [""] * len(sources)
        for width, rows in widths.items():
            for start in range(0, len(rows), _TILE):
                tile = rows[start : start + _TILE]
                texts = self._reply_tile([sources[i] for i in tile], width)
                for index, text in zip(tile, texts, strict=True):
                    replies[index] = text
        return replies

    @torch.no_grad()
    def _reply_tile(self, sources: list[list[int]], width: int) -> list[str]:
        rows = len(sources)
        padded = left_pad(sources + [[EOS]] * (_TILE - rows), width=width)
        stepper = AntiLanguageModel(
            self._model,
            self._model.encode(padded),
            weight=self._decoding["anti_lm_weight"],
            steps=int(self._decoding["anti_lm_steps"]),
            floor=self._decoding["anti_lm_floor"],
        )
        ids = greedy(stepper, _TILE, max_tokens=int(self._decoding["max_reply_tokens"]))
        return [self._vocabulary.decode(row) for row in ids[:rows].tolist()]


def builtin(_: str, __: ConnectionSettings, ___: ModelSettings) -> Seq2SeqChatbot:
    """Make the chatbot that ships with saywhat: the factory of ``builtin``."""
    return Seq2SeqChatbot.load(ASSETS / "chatbot", name="builtin")


def make(folder: str, _: ConnectionSettings, __: ModelSettings) -> Seq2SeqChatbot:
    """Make the chatbot of a folder: the factory of ``seq2seq:DIR``.

    Raises:
        CheckpointError: the folder does not hold one.
    """
    return Seq2SeqChatbot.load(Path(folder))
