"""A decoder taken one step at a time: what ``decoding`` chooses words by.

Any network will do. A stepper gives scores; a rule of ``decoding`` says which word is written.
"""

import math
from typing import Any, Final, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from saywhat.nn.encoder_decoder import EncoderDecoder, Memory
from saywhat.text.vocabulary import EOS, NEVER_WRITTEN

NEVER: Final = float("-inf")
# Rows are computed in multiples of this many: the matrix kernels then round a row alike in any
# company (measured with MKL), so what a row gets does not depend on which others there are
BLOCK: Final = 16


@runtime_checkable
class Stepper(Protocol):
    """A decoder as the decoding algorithms see it: it holds the state of its rows."""

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """Take the last tokens, move on, and give log-probabilities (or scores) of the next.

        The tensor belongs to the caller, who may change it.
        """
        ...

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """Keep these rows, in this order."""
        ...


@final
class Conditional:
    """The decoder given a source: ``log P(token | prefix, source)``.

    Args:
        model: the network.
        memory: of the sources, one a row.
    """

    def __init__(self, model: EncoderDecoder[Any], memory: Memory) -> None:
        self._model, self._memory = model, memory

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """See ``Stepper``."""
        logits, self._memory = self._model.decode(tokens[:, None], self._memory)
        return torch.log_softmax(logits[:, 0].float(), dim=-1)

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """See ``Stepper``."""
        self._memory = self._memory.select(rows)


@final
class _Unconditional:
    """The decoder on the null context: ``log P(token | prefix)``.

    Rows that have written the same so far get the same, and are computed once: most texts begin in
    one of a few ways.

    Args:
        model: the network.
        rows: how many.
    """

    def __init__(self, model: EncoderDecoder[Any], rows: int) -> None:
        self._decoder = Conditional(model, model.null_memory(BLOCK))
        self._vocabulary = model.embedding.num_embeddings
        self._prefix = torch.zeros(rows, dtype=torch.long)  # the place of each row's prefix

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """See ``Stepper``."""
        texts, self._prefix = torch.unique(
            self._prefix * self._vocabulary + tokens, return_inverse=True
        )
        texts = functional.pad(texts, (0, -len(texts) % BLOCK))
        self._decoder.reorder(texts // self._vocabulary)
        return self._decoder.step(texts % self._vocabulary)[self._prefix]

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """See ``Stepper``."""
        self._prefix = self._prefix[rows]


@final
class AntiLanguageModel:
    r"""MMI-antiLM decoding (Li et al., 2016, equation 9).

    ``log P(token | prefix, source) - weight * log P(token | prefix)`` on the first ``steps``
    tokens. It takes away what the decoder would say to anyone. The language model is the same
    decoder on the null context.

    Args:
        model: the network.
        memory: of the sources, one a row.
        weight: of the language model; 0 is plain decoding.
        steps: first tokens on which it acts.
        floor: only tokens with at least this share of the likeliest one's probability stand for
            election (the plausibility constraint of Li et al., 2023): a rare word is nowhere
            likely, and would win on the second term alone. 0 lets all stand.
    """

    def __init__(
        self,
        model: EncoderDecoder[Any],
        memory: Memory,
        *,
        weight: float,
        steps: int,
        floor: float = 0.0,
    ) -> None:
        self._given = Conditional(model, memory)
        self._prior = _Unconditional(model, memory.rows)
        self._weight, self._left = weight, steps
        self._floor = math.log(floor) if floor > 0 else NEVER
        self._first = True

    def step(self, tokens: Int[Tensor, " rows"]) -> Float[Tensor, "rows vocab"]:
        """See ``Stepper``."""
        given = self._given.step(tokens)
        if self._left <= 0:
            return given
        self._left -= 1
        scores = given - self._weight * self._prior.step(tokens)
        # what cannot be written sets no floor: it would leave nothing that can
        likely = ban(given, end=self._first)
        self._first = False
        least = likely.max(dim=-1, keepdim=True).values + self._floor
        return scores.masked_fill(likely < least, NEVER)

    def reorder(self, rows: Int[Tensor, " new_rows"]) -> None:
        """See ``Stepper``."""
        self._given.reorder(rows)
        self._prior.reorder(rows)


def ban(scores: Float[Tensor, "rows vocab"], *, end: bool) -> Float[Tensor, "rows vocab"]:
    """Rule out, in place, the symbols that are never written, and the end symbol if ``end``."""
    # a copy of (beams x vocabulary) costs as much as the softmax
    scores[:, [*NEVER_WRITTEN, *([EOS] if end else [])]] = NEVER
    return scores
