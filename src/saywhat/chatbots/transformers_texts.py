"""Between texts and the tokens of a language model: queries in, replies out.

Three kinds of models, told apart by their own files: an encoder-decoder (BlenderBot) reads the
query; a causal model with a chat template reads the query as a user's turn; one without (DialoGPT)
reads the query and its end-of-text token.
"""

from typing import Any, Final, final

from saywhat.chatbots.batches import check_text
from saywhat.chatbots.transformers_loading import Loaded, first_line
from saywhat.config import ModelSettings
from saywhat.errors import ChatbotError, SetupError
from saywhat.text.whole import whole

_TRIAL: Final = "how are you ?"
_ENDLESS: Final = 10**9  # tokens: tokenizers that know no limit say far more


@final
class Texts:
    """Turns queries into tokens and tokens into replies.

    Args:
        loaded: a model and its tokenizer.
        settings: the system prompt and the texts that end a reply.

    Attributes:
        encodes: whether an encoder reads the query: the reply does not go on from it.
        ends: the tokens that end a reply.
        pad: the token that fills up a row.
        context: the most tokens that the model can see; for a pair, encoder and decoder each.

    Raises:
        SetupError: the model cannot be told where a query ends, or has no place for the system
            prompt.
    """

    def __init__(self, loaded: Loaded, settings: ModelSettings) -> None:
        model, self._tokenizer, self._name = loaded.model, loaded.tokenizer, loaded.name
        self._prompt, self._stop = settings.system_prompt, settings.stop
        self.encodes = bool(getattr(model.config, "is_encoder_decoder", False))
        self._templated = not self.encodes and bool(self._tokenizer.chat_template)
        self.ends = _end_tokens(model, self._tokenizer)
        pads = (self._tokenizer.pad_token_id, *self.ends, 0)
        self.pad = next(token for token in pads if isinstance(token, int))
        self.context = _context(model, self._tokenizer)
        self._most = self.context if self.encodes else self.context - 1  # room for a reply
        self._check()

    def read(self, query: str) -> list[int]:
        """Give the tokens that the model reads; at least one.

        Raises:
            ChatbotError: they are more than the model's context holds.
        """
        check_text(query)
        try:
            ids = self._encode(query, self._prompt)
        except Exception as error:
            raise failure(error, "The model's tokenizer", query) from error
        if len(ids) > self._most:
            raise ChatbotError(
                f"Expected a query of at most {self._most:,} tokens, got {len(ids):,}: the model's "
                "context ends there",
                query=query,
                kind="too long",
                retry="never",
            )
        return ids

    def write(self, ids: list[int]) -> str:
        """Give the reply: up to the first end token and the first text that ends a reply."""
        end = next((place for place, token in enumerate(ids) if token in self.ends), len(ids))
        text: str = self._tokenizer.decode(ids[:end], skip_special_tokens=True)
        cuts = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        text = text[: min(cuts, default=len(text))]
        return text.strip() if self.encodes else text  # the mark of its first word is a space

    def trial(self) -> list[int]:
        """Read an ordinary query."""
        return self._encode(_TRIAL, self._prompt)

    def _encode(self, query: str, prompt: str | None) -> list[int]:
        text = whole(query)  # no tokenizer takes lone surrogates
        if self._templated:
            turns = [{"role": "user", "content": text}]
            if prompt:
                turns.insert(0, {"role": "system", "content": prompt})
            read = self._tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=True
            )
            return list(read["input_ids"])
        ids = list(self._tokenizer(text)["input_ids"])
        if not ids or not (self.encodes or ids[-1] in self.ends):
            ids.append(next(iter(self.ends), self.pad))
        return ids

    def _check(self) -> None:
        name, prompt = self._name, self._prompt
        if not (self.encodes or self._templated or self.ends):
            raise SetupError(
                f"{name} has neither a chat template nor an end-of-text token, so it cannot be "
                "told where a query ends. Expected a model made for dialogue."
            )
        if prompt and not self._templated:
            raise SetupError(
                f"{name} has no chat template, so it has no place for model.system_prompt. "
                "Leave it out."
            )
        try:
            plain, ids = self._encode(_TRIAL, None), self.trial()
        except Exception as error:
            raise SetupError(
                f"The tokenizer or chat template of {name} refuses an ordinary query"
                f"{' with model.system_prompt' if prompt else ''}: {first_line(error)}"
            ) from error
        if prompt and ids == plain:
            raise SetupError(
                f"The chat template of {name} drops model.system_prompt. Leave it out."
            )
        if len(ids) > self._most:
            raise SetupError(
                f"The context of {name} is {self.context:,} tokens, and the query {_TRIAL!r} "
                f"already makes {len(ids):,}. Shorten model.system_prompt."
            )


def failure(error: Exception, what: str, query: str) -> ChatbotError:
    """Turn what a model's code raised into a failure of a query."""
    made = ChatbotError(
        f"{what} raised {type(error).__name__}: {first_line(error)}",
        query=query,
        kind=type(error).__name__,
        retry="never",
    )
    made.__cause__ = error
    return made


def _end_tokens(model: Any, tokenizer: Any) -> tuple[int, ...]:
    for holder in (model.generation_config, model.config, tokenizer):
        ends = getattr(holder, "eos_token_id", None)
        if ends is not None:
            return tuple(ends) if isinstance(ends, list | tuple) else (ends,)
    return ()


def _context(model: Any, tokenizer: Any) -> int:
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limit = own if isinstance(own, int) and own > 0 else tokenizer.model_max_length
    return min(int(limit), _ENDLESS)
