"""What ``generate`` of the transformers library is given to draw with, and to end replies at texts.

They are called by the library with the ids so far, ``(rows, time)``, and the scores of the next
token, ``(rows, vocab)``.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from torch import Tensor

_MARGIN: Final = 8  # tokens: special ones, and pieces of a character


@final
class GumbelNoise:
    """Adds Gumbel noise to scores, so that the likeliest token is a draw from their softmax.

    The maximum of ``s_i - log E_i``, with ``E_i`` exponential, is at ``i`` with probability
    ``softmax(s)_i`` (Gumbel, 1954; Maddison et al., 2014). Rows without a source stay as they are.

    Args:
        sources: the random source of each of the first rows.

    Example:
        >>> draws = GumbelNoise([torch.Generator().manual_seed(seed) for seed in range(2000)])
        >>> scores = torch.tensor([[0.0, 1.0]]).expand(2000, 2).log_softmax(-1)
        >>> ones = draws(torch.zeros(2000, 1), scores).argmax(-1).float().mean()
        >>> abs(float(ones) - 0.731) < 0.05  # softmax(0, 1) = 0.269, 0.731
        True
    """

    def __init__(self, sources: Sequence[torch.Generator]) -> None:
        self._sources = sources

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002
        """Give the scores with noise."""
        noisy = scores.clone()
        for row, source in zip(noisy, self._sources, strict=False):
            row.sub_(torch.empty_like(row).exponential_(generator=source).log_())
        return noisy


@final
class StopTexts:
    """Ends a row once one of some texts was written.

    Args:
        tokenizer: turns ids into text.
        texts: what ends a reply.
        start: where the reply begins: the prompt may hold such a text.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], start: int) -> None:
        self._tokenizer, self._texts, self._start = tokenizer, texts, start
        # a token is a byte at least: a text that has just ended is within so many
        self._tail = max(len(text.encode()) for text in texts) + _MARGIN

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:  # noqa: ARG002
        """Tell which rows are over."""
        tails = input_ids[:, max(self._start, input_ids.shape[1] - self._tail) :].tolist()
        written = [self._tokenizer.decode(tail, skip_special_tokens=True) for tail in tails]
        over = [any(text in tail for text in self._texts) for tail in written]
        return torch.tensor(over, device=input_ids.device)
