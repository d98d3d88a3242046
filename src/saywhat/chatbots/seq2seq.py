"""A chatbot that is an encoder-decoder: the built-in one, and what ``train-chatbot`` makes.

The same query gets the same reply whatever else is in the batch: rows are computed in multiples of
a block, for which the matrix kernels round a row alike, and at a width that depends on the query
alone.

At a temperature above 0 it draws its replies, and a query gets another one each time it is asked:
the n-th query that this object is asked is answered with the n-th of a fixed series of random
numbers. So the same queries in the same order get the same replies, in batches of any size.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saywhat.chatbots.batches import check_text
from saywhat.config import ConnectionSettings, DecodingSettings, ModelSettings
from saywhat.nn.chatbot_checkpoint import ALWAYS, decoding_settings, load_chatbot
from saywhat.nn.decoding import greedy, sample_at
from saywhat.nn.encoder_decoder import EncoderDecoder, Variational
from saywhat.nn.steppers import BLOCK, AntiLanguageModel
from saywhat.registry import ASSETS
from saywhat.rng import derive
from saywhat.text.vocabulary import EOS, Vocabulary

_TILE: Final = 512  # rows computed together, which bounds the memory
_WIDTH_STEP: Final = 8
_CODE: Final = "seq2seq-2"  # part of the fingerprint: new whenever this code may reply otherwise


@final
class Seq2SeqChatbot:
    """Answers greedily or by drawing, with MMI-antiLM scores if its settings ask for them.

    Args:
        model: the network.
        vocabulary: its words.
        name: for tables.
        decoding: the fields of ``DecodingSettings``, with at least those of the anti-LM and the
            two limits.
        weights_hash: SHA-256 of the weights file; part of the fingerprint.

    Raises:
        CheckpointError: the decoding settings cannot be used, or not with this network.
    """

    def __init__(
        self,
        model: EncoderDecoder[Any],
        vocabulary: Vocabulary,
        *,
        name: str,
        decoding: Mapping[str, Any],
        weights_hash: str,
    ) -> None:
        self._model, self._vocabulary, self._name = model.eval(), vocabulary, name
        self._decoding = decoding_settings(decoding, model)
        self._context = [self._encode(turn) for turn in self._decoding.context]
        self._answered = 0
        deciding = _binding(decoding, self._decoding)
        identity: list[Any] = [_CODE, weights_hash, deciding, vocabulary.words]
        if model.architecture != "lstm":
            # not all of it shows in the weights: the number of heads does not
            identity.append([model.architecture, dataclasses.asdict(model.size)])
        self._fingerprint = hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    @classmethod
    def load(cls, folder: Path, *, name: str = "") -> "Seq2SeqChatbot":
        """Load a chatbot checkpoint.

        Args:
            folder: of the checkpoint.
            name: for tables; the folder's if empty.

        Raises:
            CheckpointError: the folder does not hold one.
        """
        found = load_chatbot(folder)
        return cls(
            found.model,
            found.vocabulary,
            name=name or folder.name,
            decoding=found.decoding,
            weights_hash=found.weights_hash,
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
            check_text(query)
        sources = [self._encode(query) for query in queries]
        widths: dict[int, list[int]] = {}
        for index, source in enumerate(sources):
            longest = max(map(len, [source, *self._context]))
            widths.setdefault(-(-longest // _WIDTH_STEP) * _WIDTH_STEP, []).append(index)
        replies = [""] * len(sources)
        for width, rows in widths.items():
            for start in range(0, len(rows), _TILE):
                tile = rows[start : start + _TILE]
                turns = [sources[i] for i in tile] + [[EOS]] * (-len(tile) % BLOCK)
                numbers = [self._answered + i for i in tile]
                for index, ids in zip(tile, self._reply_tile(turns, width, numbers), strict=False):
                    replies[index] = self._vocabulary.decode(ids)
        self._answered += len(queries)
        return replies

    def _encode(self, text: str) -> list[int]:
        return self._vocabulary.encode(text, max_tokens=self._decoding.max_source_tokens)

    @torch.no_grad()
    def _reply_tile(
        self, turns: list[list[int]], width: int, numbers: list[int]
    ) -> list[list[int]]:
        """Give the ids of a reply to each query; ``numbers`` says when each was asked."""
        settings, model, count = self._decoding, self._model, len(turns)
        before = [token for turn in self._context for token in turn]
        memory = model.encode(model.pad([before + turn for turn in turns], width=width))
        points = torch.zeros(count, 0)
        if settings.temperature > 0:
            latent = model.latent if isinstance(model, Variational) else 0
            noise, points = self._random(numbers, count, latent)
            if isinstance(model, Variational):
                memory = model.draw(memory, noise)
        stepper = AntiLanguageModel(
            model,
            memory,
            weight=settings.anti_lm_weight,
            steps=settings.anti_lm_steps,
            floor=settings.anti_lm_floor,
        )
        ids: Int[Tensor, "rows time"]
        if settings.temperature > 0:
            ids = sample_at(stepper, points, temperature=settings.temperature)
        else:
            ids = greedy(stepper, count, max_tokens=settings.max_reply_tokens)
        rows: list[list[int]] = ids.tolist()
        return rows

    def _random(
        self, numbers: list[int], count: int, latent: int
    ) -> tuple[Float[Tensor, "rows latent"], Float[Tensor, "rows time"]]:
        """Give ``count`` rows' normal noise and points in [0, 1); those of rows to spare are 0."""
        noise = torch.zeros(count, latent)
        points = torch.zeros(count, self._decoding.max_reply_tokens, dtype=torch.float64)
        for row, number in enumerate(numbers):
            rng = derive(self._decoding.seed, "reply", number)
            noise[row] = torch.tensor([rng.gauss(0.0, 1.0) for _ in range(latent)])
            points[row] = torch.tensor([rng.random() for _ in points[row]], dtype=torch.float64)
        return noise, points


def _binding(decoding: Mapping[str, Any], settings: DecodingSettings) -> list[tuple[str, Any]]:
    """Give what decides replies; for a checkpoint from before drawing and contexts, as it was."""
    # settings that every checkpoint has; others count where they do something
    deciding = {key: decoding[key] for key in ALWAYS}
    if settings.temperature > 0:
        deciding |= {"temperature": settings.temperature, "seed": settings.seed}
    if settings.context:
        deciding["context"] = settings.context
    return sorted(deciding.items())


def builtin(_: str, __: ConnectionSettings, ___: ModelSettings) -> Seq2SeqChatbot:
    """Make the chatbot that ships with saywhat: the factory of ``builtin``."""
    return Seq2SeqChatbot.load(ASSETS / "chatbot", name="builtin")


def make(folder: str, _: ConnectionSettings, __: ModelSettings) -> Seq2SeqChatbot:
    """Make the chatbot of a folder: the factory of ``seq2seq:DIR``.

    Raises:
        CheckpointError: the folder does not hold one.
    """
    return Seq2SeqChatbot.load(Path(folder))
