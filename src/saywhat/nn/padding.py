"""Id lists of different length as one tensor, and the decoder's inputs from its labels.

Sources are padded on the left, so that the last real symbol is always at the end; labels on the
right, so that the first one is always at the start.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from saywhat.text.vocabulary import BOS, PAD


def left_pad(rows: Sequence[list[int]], *, width: int = 0) -> Int[Tensor, "batch source"]:
    """Stack id lists of different length, padding on the left to the longest or to ``width``.

    Example:
        >>> left_pad([[5, 2], [2]]).tolist()
        [[5, 2], [0, 2]]
    """
    longest = max([width, *map(len, rows)])
    padded = [[PAD] * (longest - len(row)) + row for row in rows]
    return torch.tensor(padded, dtype=torch.long).reshape(len(rows), longest)


def right_pad(rows: Sequence[list[int]]) -> Int[Tensor, "batch time"]:
    """Stack id lists of different length, padding on the right.

    Example:
        >>> right_pad([[5, 2], [2]]).tolist()
        [[5, 2], [2, 0]]
    """
    longest = max(map(len, rows), default=0)
    padded = [row + [PAD] * (longest - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.long).reshape(len(rows), longest)


def right_to_left(labels: Int[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
    """Move the padding of right-padded ids to the left.

    Example:
        >>> right_to_left(torch.tensor([[5, 2, 0], [4, 5, 2]])).tolist()
        [[0, 5, 2], [4, 5, 2]]
    """
    missing = (labels == PAD).sum(dim=1, keepdim=True)
    places = torch.arange(labels.shape[1]) - missing
    return labels.gather(1, places.clamp(min=0)).masked_fill(places < 0, PAD)


def shift_right(labels: Int[Tensor, "batch time"]) -> Int[Tensor, "batch time"]:
    """Give the decoder's inputs: the begin symbol, then the labels but the last.

    Example:
        >>> shift_right(torch.tensor([[5, 6, 2]])).tolist()
        [[1, 5, 6]]
    """
    start = torch.full((labels.shape[0], 1), BOS, dtype=labels.dtype)
    return torch.cat([start, labels[:, :-1]], dim=1)
