"""What the replicas of one splat have to tell each other while they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # whoever loads a capture does not wait for PyTorch
    from torch import Tensor

    from splat_trainer.gaussians.gaussians import Gaussians


class PeerLost(Exception):  # noqa: N818 - what happened, not whose error it is
    """Another rank is gone; why, it told elsewhere or could not tell."""


class Exchange(Protocol):
    """A rank's way to the others, of which there are `size` with it. All take part in each call.

    Every method may raise PeerLost.
    """

    @property
    def rank(self) -> int:
        """Which of them this is; 0 leads."""

    @property
    def size(self) -> int:
        """How many there are."""

    def add_up(self, leaves: Sequence[Tensor], sums: Sequence[Tensor]) -> None:
        """Make the gradients of `leaves` and each of `sums` those of all ranks together.

        A leaf without a gradient counts as one whose gradient is zero.
        """

    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with rank 0's, which are of the same shapes."""

    def compare(self, gaussians: Gaussians, step: int) -> None:
        """Raise TrainerError where the replicas are not the same, bit by bit."""

    def stops(self, step: int, *, wanted: bool) -> bool:
        """Whether all ranks stop after `step` views were seen, because rank 0 `wanted` it."""


class Alone:
    """The exchange of a process that trains alone: there is nobody to tell anything."""

    rank = 0
    size = 1

    def add_up(self, leaves: Sequence[Tensor], sums: Sequence[Tensor]) -> None:
        """They are those of all ranks already."""

    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """They are rank 0's."""

    def compare(self, gaussians: Gaussians, step: int) -> None:
        """One is like itself."""

    def stops(self, step: int, *, wanted: bool) -> bool:
        """At once, where it is wanted."""
        return wanted
