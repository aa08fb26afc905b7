"""How much room a training gives its tiles' lists, and whether that was enough."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat_trainer.contract import Reason, TrainerError

MARGIN = 1.3
"""Times the most pairs that a view had: the room for the next ones."""

_SPARE = 1.1
"""Times the most pairs that a view had: the least room that is left alone."""

_LEAST = 1 << 14
"""Room comes in multiples of this, so that it changes seldom."""

_MOST = (1 << 31) - _LEAST
"""Kernels count pairs in 32 bits."""


def room_for(pairs: int) -> int:
    """Room for views of which the worst had `pairs`.

    Raises:
        TrainerError: they are more than kernels can count.
    """
    room = max(1, -(-int(pairs * MARGIN) // _LEAST)) * _LEAST
    if room > _MOST:
        raise TrainerError(
            Reason.OUT_OF_GPU_MEMORY,
            f"a view has {pairs:,} pairs of Gaussian and tile, more than can be counted: lower "
            "maxGaussians or maxSide",
        )
    return room


class TileRoom:
    """Room for `capacity` pairs of Gaussian and tile in the lists of one rendering.

    A rendering writes how many pairs it had, also where that is more than there is room for.
    Nobody waits for that number: `most` is what has arrived on the host by now.
    """

    def __init__(self, capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self._most = torch.zeros(1, dtype=torch.int64, device=device)
        self._arrived = torch.zeros(1, dtype=torch.int64, pin_memory=device.type == "cuda")
        self._view: NDArray[np.int64] = self._arrived.numpy()

    @torch.no_grad()
    def note(self, pairs: Tensor) -> Tensor:
        """Take down the pairs [1] of a rendering; tells, on the device, if all found room: [1]."""
        torch.maximum(self._most, pairs, out=self._most)
        return pairs <= self.capacity

    def fetch(self) -> None:
        """Have the most pairs so far sent to the host, without waiting for it."""
        self._arrived.copy_(self._most, non_blocking=True)

    @property
    def most(self) -> int:
        """The most pairs of a rendering, of those that the host knows about."""
        return int(self._view[0])

    @property
    def short(self) -> bool:
        """Whether some pairs found no room, as far as the host knows."""
        return self.most > self.capacity

    @property
    def tight(self) -> bool:
        """Whether another such view that is a little worse would find no room."""
        return self.most * _SPARE > self.capacity

    @torch.no_grad()
    def make(self, capacity: int) -> None:
        """Have room for so many pairs from now on, and forget how many there were."""
        self.capacity = capacity
        self._most.zero_()
        self._view[0] = 0


def room_for_views(pairs: Iterable[Tensor], device: torch.device) -> TileRoom:
    """Room for the views whose pairs [1] were counted; waits for the counts."""
    counts = list(pairs)
    return TileRoom(room_for(int(torch.cat(counts).max()) if counts else 0), device)
