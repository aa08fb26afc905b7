"""Points in the order of a Z curve: what is near in space comes near in memory, or in a file.

What a view shows lies then in fewer places, which kernels fetch sooner (docs/benchmarks.md), and
neighbours of a chunk in a file are alike.
"""

import torch
from torch import Tensor

_BITS = 21
"""Of each axis: three of them fill an int64, and a few points far away do not make it coarse."""

_SPREAD = (
    (32, 0x001F00000000FFFF),
    (16, 0x001F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)


@torch.no_grad()
def morton_order(points: Tensor) -> Tensor:
    """The order [N] of `points` [N, 3], finite, along a Z curve (Morton 1966).

    The same points have the same order on every GPU of a kind.
    """
    if not len(points):
        return torch.zeros(0, dtype=torch.int64, device=points.device)
    values = points.double()
    low = values.amin(0)
    extent = (values.amax(0) - low).clamp_min(torch.finfo(torch.float64).tiny)
    cells = ((values - low) / extent * (2**_BITS - 1)).long()
    code = _spread(cells[:, 0]) | _spread(cells[:, 1]) << 1 | _spread(cells[:, 2]) << 2
    return code.argsort(stable=True)


def _spread(cells: Tensor) -> Tensor:
    """Put two zero bits between any two bits of 21-bit numbers."""
    for shift, mask in _SPREAD:
        cells = (cells | cells << shift) & mask
    return cells
