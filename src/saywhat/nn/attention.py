"""Multi-head attention to keys and values that can be kept, and positions (Vaswani et al., 2017).

Axes: ``rows`` (that share keys and values: a batch, or its sources), ``time``, ``hidden``,
``heads``, ``head`` (units of one).
"""

import dataclasses
from typing import Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from typing_extensions import override

_SLOWEST: Final = 10_000.0  # of the sinusoids' wavelengths, over 2 pi


@dataclasses.dataclass(frozen=True, slots=True)
class KeysValues:
    """Keys and values of one layer's attention.

    Attributes:
        k: *Shape:* (rows, heads, time, head).
        v: *Shape:* (rows, heads, time, head).
    """

    k: Float[Tensor, "rows heads time head"]
    v: Float[Tensor, "rows heads time head"]

    def select(self, rows: Int[Tensor, " new_rows"]) -> "KeysValues":
        """Give those of some rows."""
        return KeysValues(self.k[rows], self.v[rows])

    def then(self, later: "KeysValues") -> "KeysValues":
        """Put later ones behind."""
        if not self.k.shape[2]:
            return later
        return KeysValues(torch.cat([self.k, later.k], 2), torch.cat([self.v, later.v], 2))


@final
class Attention(nn.Module):
    """Multi-head attention of ``x`` to given keys and values.

    Args:
        hidden: units.
        heads: that share them.
    """

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.q = nn.Linear(hidden, hidden, bias=False)
        self.kv = nn.Linear(hidden, 2 * hidden, bias=False)
        self.out = nn.Linear(hidden, hidden, bias=False)

    def keys_values(self, x: Float[Tensor, "rows time hidden"]) -> KeysValues:
        """Give the keys and values of some positions."""
        k, v = self.kv(x).chunk(2, dim=-1)
        return KeysValues(self._split(k), self._split(v))

    @override
    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        given: KeysValues,
        mask: Bool[Tensor, "..."] | None,
    ) -> Float[Tensor, "batch time hidden"]:
        """Attend.

        Args:
            x: asks; rows that share keys and values stand together.
            given: what is attended to; ``batch`` is a multiple of its rows.
            mask: true where attending is allowed; of a shape that broadcasts to
                (rows, heads, time, given time).
        """
        # (B, T, H) -> (N, B/N * T, H) -> (N, heads, B/N * T, head)
        q = self._split(self.q(x.reshape(len(given.k), -1, x.shape[2])))
        # written out: the fused kernel's backward pass is twenty times slower at these sizes
        scores = q @ given.k.transpose(2, 3) * q.shape[3] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        mixed = torch.softmax(scores, dim=-1).to(given.v.dtype) @ given.v
        joined: Tensor = self.out(mixed.transpose(1, 2).reshape(x.shape))
        return joined

    def _split(self, x: Float[Tensor, "rows time hidden"]) -> Float[Tensor, "rows heads time head"]:
        # (N, T, H) -> (N, T, heads, head) -> (N, heads, T, head)
        return x.reshape(*x.shape[:2], self._heads, -1).transpose(1, 2)


def sinusoids(places: Int[Tensor, "batch time"], hidden: int) -> Float[Tensor, "batch time hidden"]:
    """Give the encodings of positions: sines, then cosines, of geometric wavelengths.

    Example:
        >>> sinusoids(torch.tensor([[0]]), 4).tolist()
        [[[0.0, 0.0, 1.0, 1.0]]]
    """
    half = -(-hidden // 2)
    # (B, T) -> (B, T, H/2) -> (B, T, H)
    angles = places[..., None] * _SLOWEST ** -(torch.arange(half) / half)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :hidden]
