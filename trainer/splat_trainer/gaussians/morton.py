"""An order in which rows that are near each other in space are near each other in memory.

What a view shows lies then in fewer places: kernels that read visible rows alone share what they
fetch (docs/benchmarks.md).
"""

import torch
from torch import Tensor

_BITS = 21
"""Bits of each coordinate: three of them fill an int64."""

_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


@torch.no_grad()
def morton_order(means: Tensor) -> Tensor:
    """Indices [N] that sort points [N, 3] by their Morton codes (Morton 1966) in their box.

    The same points give the same order, on every GPU of a kind.
    """
    if not len(means):
        return torch.zeros(0, dtype=torch.long, device=means.device)
    low, high = means.amin(0), means.amax(0)
    places = (means - low) / (high - low).clamp_min(1e-30)
    cells = (places * (2**_BITS - 1)).long().clamp(0, 2**_BITS - 1)
    x, y, z = (_spread(one) for one in cells.unbind(1))
    return torch.argsort(x | (y << 1) | (z << 2), stable=True)


def _spread(cells: Tensor) -> Tensor:
    """Numbers of 21 bits with two zeros after each bit."""
    for shift, mask in _SPREAD:
        cells = (cells | (cells << shift)) & mask
    return cells
