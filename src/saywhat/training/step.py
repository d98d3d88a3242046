"""What both trainers do around one step: mixed precision, and dropout from a named source."""

import contextlib
from collections.abc import Iterator

import torch


def autocast(precision: str) -> contextlib.AbstractContextManager[object]:
    """Give the mixed-precision context of a setting (``"bf16"`` or ``"fp32"``)."""
    if precision == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def dropout_from(rng: torch.Generator) -> Iterator[None]:
    """Let dropout draw from ``rng``'s state, and leave the global source as it was.

    ``nn.Dropout`` and ``nn.LSTM`` take no source of their own. With a source named by the step, a
    resumed run draws what an uninterrupted one does.
    """
    state = torch.random.get_rng_state()
    torch.random.set_rng_state(rng.get_state())
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
