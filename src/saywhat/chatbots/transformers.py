"""Language models in this process: ``transformers:DIR``, ``transformers:MODEL.gguf``, a hub id.

Beams, penalties and end tokens are those of the model's ``generation_config.json``: they are part
of the chatbot.

A query's reply does not depend on its company. The rounding of a matrix product depends on its
shape, so passes have a fixed number of rows and a width that depends on the query alone, and either
all rows of a pass are padded or none. Both are trusted after a trial only: a model that reads the
padding gets queries of equal length together, and one whose rows mix gets one query at a time.

Replies that are drawn (temperature over 0): the library draws from one global source for all rows,
so a reply would depend on its company and on whatever drew before. Here each row has a source of
its own (``GumbelNoise``). With a seed, a reply is a function of the seed and the query.
"""

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor

from saywhat.chatbots.batches import settled
from saywhat.chatbots.transformers_decoding import GumbelNoise, StopTexts, check_drawn, narrowing
from saywhat.chatbots.transformers_loading import Loaded, first_line, library, load, quiet
from saywhat.chatbots.transformers_texts import Texts, failure
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, SetupError
from saywhat.rng import derive_seed

_CODE: Final = "transformers-2"  # in the fingerprint: new whenever this code may reply otherwise
_WIDTH_STEP: Final = 16
_TRIAL_TOKENS: Final = 3
_PASSES: Final = 8  # in a call: enough that queries of like length meet
_TOLERANCE: Final = 1e-3  # of the scores' spread: rounding is a hundred times less


class _Shape(NamedTuple):
    """What queries of one pass have in common: tokens of a row, and of the longest reply."""

    width: int
    longest: int


@final
class TransformersChatbot:
    """Answers with a model of the transformers library, on the CPU.

    Args:
        loaded: the model, its tokenizer, and what they were made of.
        settings: how it is asked. The batch size changes the last bits of the arithmetic only, and
            is not in the fingerprint.

    Raises:
        SetupError: the model cannot generate, or not with these settings.
    """

    def __init__(self, loaded: Loaded, settings: ModelSettings) -> None:
        self._model, self._tokenizer, self._name = loaded.model, loaded.tokenizer, loaded.name
        self._settings = settings
        if settings.temperature:
            check_drawn(self._model.generation_config)
        self._fingerprint = _fingerprint(loaded.sha256, settings)
        with quiet():
            self._texts = Texts(loaded, settings)
            self._rows, self._step = self._trusted()

    @property
    def name(self) -> str:
        """The folder's, the file's or the hub's name."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of the model's files, the settings and the library's version."""
        return self._fingerprint

    @property
    def batch_size(self) -> int:
        """Several passes in a call, so that queries of like length can share one."""
        return _PASSES * self._rows

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: a query is longer than the model's context, or the model failed. It tells
                what came of each if there were several.
        """
        outcomes: list[str | ChatbotError] = [""] * len(queries)
        prompts: dict[int, list[int]] = {}
        alike: dict[_Shape, list[int]] = {}
        with quiet():
            for index, query in enumerate(queries):
                try:
                    prompts[index] = self._texts.read(query)
                except ChatbotError as error:
                    outcomes[index] = error
                else:
                    alike.setdefault(self._shape(len(prompts[index])), []).append(index)
            for shape, indices in alike.items():
                for start in range(0, len(indices), self._rows):
                    tile = indices[start : start + self._rows]
                    asked = [(queries[index], prompts[index]) for index in tile]
                    for index, outcome in zip(tile, self._pass(asked, shape), strict=True):
                        outcomes[index] = outcome
        return settled(outcomes)

    def _shape(self, length: int) -> _Shape:
        context, step = self._texts.context, self._step
        # one column of padding at least: without any, other kernels do the work
        width = (length // step + 1) * step if step else length
        room = context - (1 if self._texts.encodes else length)
        longest = min(_longest_reply(self._model, self._settings), room)
        return _Shape(width if width <= context else length, longest)

    def _pass(
        self, asked: Sequence[tuple[str, list[int]]], shape: _Shape
    ) -> Sequence[str | ChatbotError]:
        """Answer (query, its tokens) of one shape, at most as many as a pass has rows."""
        try:
            return self._replies(asked, shape)
        except Exception as error:  # noqa: BLE001  (a model's code, which can raise anything)
            return [failure(error, "The model", query) for query, _ in asked]

    def _replies(self, asked: Sequence[tuple[str, list[int]]], shape: _Shape) -> list[str]:
        rows = [tokens for _, tokens in asked]
        rows += [rows[0]] * (self._rows - len(rows))
        ids, mask = self._padded(rows, shape.width)
        start, stop = (1 if self._texts.encodes else shape.width), self._settings.stop
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                generation_config=self._generation(max_new_tokens=shape.longest),
                logits_processor=self._drawing([query for query, _ in asked]),
                stopping_criteria=[StopTexts(self._tokenizer, stop, start)] if stop else [],
            )
        return [self._texts.write(row) for row in written[: len(asked), start:].tolist()]

    def _padded(self, rows: Sequence[list[int]], width: int) -> tuple[Tensor, Tensor]:
        """Fill rows up: before a prompt that the reply goes on from, after one that is encoded."""
        ids = torch.full((len(rows), width), self._texts.pad)  # (B, T)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(rows):
            size = len(tokens)
            where = slice(size) if self._texts.encodes else slice(width - size, width)
            ids[row, where], mask[row, where] = torch.tensor(tokens), 1
        return ids, mask

    def _generation(self, **change: object) -> Any:
        config = copy.deepcopy(self._model.generation_config)
        config.do_sample, config.num_return_sequences = False, 1
        config.eos_token_id, config.pad_token_id = list(self._texts.ends) or None, self._texts.pad
        if self._settings.temperature:
            config.num_beams = 1
        config.update(**change)
        return config

    def _drawing(self, queries: Sequence[str]) -> list[Any]:
        """Give what turns the choice of the likeliest token into a draw, if there is one."""
        temperature, seed = self._settings.temperature, self._settings.seed
        if not temperature:
            return []
        sources = [torch.Generator() for _ in queries]
        for source, query in zip(sources, queries, strict=True):
            if seed is None:
                source.seed()
            else:
                source.manual_seed(derive_seed(seed, "reply", query))
        return [*narrowing(self._model.generation_config, temperature), GumbelNoise(sources)]

    def _trusted(self) -> tuple[int, int]:
        """Try which passes give the scores of a row on its own: their rows and width step."""
        ids, room = self._texts.trial(), self._texts.context
        tokens = min(_TRIAL_TOKENS, room - (1 if self._texts.encodes else len(ids)))
        padding = min(_WIDTH_STEP, room - len(ids) - tokens)
        penalty = "encoder_repetition_penalty" if self._texts.encodes else "repetition_penalty"
        counts = getattr(self._model.generation_config, penalty, None) not in {None, 1.0}
        try:
            alone = self._scores([ids], len(ids), tokens)
            tries = {_WIDTH_STEP: 0 if counts else padding, 0: 0}  # it would count padding as words
            for step, more in tries.items():
                if more or not step:
                    made = self._scores([ids, ids], len(ids) + more, tokens)
                    if bool((made - alone).abs().max() <= _TOLERANCE * alone.std()):
                        return self._settings.batch_size, step
        except Exception as error:
            raise SetupError(
                f"{self._name} cannot generate: {type(error).__name__}: {first_line(error)}"
            ) from error
        return 1, 0

    @torch.inference_mode()
    def _scores(self, rows: Sequence[list[int]], width: int, tokens: int) -> Tensor:
        """Give the scores of the last row's first tokens: (time, vocab)."""
        ids, mask = self._padded(rows, width)
        config = self._generation(
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            num_beams=1,
            output_logits=True,
            return_dict_in_generate=True,
        )
        out = self._model.generate(input_ids=ids, attention_mask=mask, generation_config=config)
        return torch.stack([scores[-1] for scores in out.logits])


def make(argument: str, _: ConnectionSettings, model: ModelSettings) -> TransformersChatbot:
    """Make the chatbot of a model on this machine: the factory of ``transformers:DIR-OR-ID``.

    Raises:
        SetupError: the extra is not installed, there is no such model, or it cannot be used.
    """
    if not all(model.stop):
        raise SetupError(f"Expected texts of a character at least in model.stop, got {model.stop}.")
    return TransformersChatbot(load(argument), model)


def _longest_reply(model: Any, settings: ModelSettings) -> int:
    fallback = ModelSettings.model_fields["max_tokens"].default
    return int(settings.max_tokens or model.generation_config.max_new_tokens or fallback)


def _fingerprint(sha256: str, settings: ModelSettings) -> str:
    temperature = settings.temperature or 0.0
    identity = [
        _CODE,
        library().__version__,
        sha256,
        settings.system_prompt,
        settings.max_tokens,
        settings.stop,
        temperature,
        settings.seed if temperature else None,
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()
