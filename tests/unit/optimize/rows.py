"""Rows told apart after a change, which puts them in an order of its own."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians


def kept_first(before: Gaussians, after: Gaussians) -> Tensor:
    """Places in `after`: of the rows that were there before, in their order, then of the others.

    A row is known by its mean; of several with the same one the first is the one that was kept.
    """
    left = list(range(len(after)))
    kept = []
    for mean in before.means:
        same = [place for place in left if torch.equal(after.means[place], mean)]
        if same:
            kept.append(same[0])
            left.remove(same[0])
    return torch.tensor(kept + left)
