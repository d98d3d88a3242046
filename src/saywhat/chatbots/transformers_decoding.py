"""What ``generate`` of the transformers library is given to draw with, and to end replies at texts.

They are called by the library with the ids so far, ``(rows, time)``, and the scores of the next
token, ``(rows, vocab)``.
"""

from collections.abc import Sequence
from typing import Any, Final, final

import torch
from torch import Tensor

from saywhat.chatbots.transformers_loading import library
from saywhat.errors import SetupError

_TOP_K: Final = 50  # the library's, where a model's own settings say nothing (0 is none)
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


def check_drawn(config: Any) -> None:
    """Check that a model's replies can be drawn as its settings of generation say.

    Args:
        config: of the library.

    Raises:
        SetupError: they ask for more than ``top_k`` and ``top_p``; the message names each.
    """
    asked = {
        "min_p": (config.min_p or 0) > 0,
        "typical_p": config.typical_p is not None and config.typical_p < 1,
        "epsilon_cutoff": 0 < (config.epsilon_cutoff or 0) < 1,
        "eta_cutoff": 0 < (config.eta_cutoff or 0) < 1,
        "top_h": getattr(config, "top_h", None) is not None,
    }
    if names := [name for name, is_asked in asked.items() if is_asked]:
        raise SetupError(
            f"The model's generation_config.json asks for {', '.join(names)}, which is not "
            "followed when replies are drawn (top_k and top_p are). Set model.temperature to 0, or "
            "take it out in a copy of the model."
        )


def narrowing(config: Any, temperature: float) -> list[Any]:
    """Give what the library does to scores before it draws, in its order.

    Args:
        config: the model's settings of generation.
        temperature: divides the scores.
    """
    made = library()
    top_k = _TOP_K if config.top_k is None else config.top_k
    processors: list[Any] = [made.TemperatureLogitsWarper(temperature)]
    if top_k:
        processors.append(made.TopKLogitsWarper(top_k))
    if config.top_p is not None and config.top_p < 1:
        processors.append(made.TopPLogitsWarper(config.top_p))
    return processors


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
