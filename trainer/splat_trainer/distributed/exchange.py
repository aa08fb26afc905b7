"""What the replicas of one splat have to tell each other while they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # whoever loads a capture does not wait for PyTorch
    import torch
    from torch import Tensor

    from splat_trainer.gaussians.gaussians import Gaussians
    from splat_trainer.optimize.gathered import Gathered
    from splat_trainer.optimize.scattered import Scattered


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

    @property
    def narrow(self) -> bool:
        """Whether what is gathered in `memory` is to be narrow (`Gathered`).

        It is where `sums_of_all` are `Scattered`.
        """

    def memory(self, floats: int, most: int) -> Tensor:
        """Memory on this rank's device in which it gathers gradients, until the next call.

        What it holds is undefined. `most` is how much may be asked for later, 0 if that is
        unknown.
        """

    def sums_of_all(self, gathered: Gathered) -> AbstractContextManager[Gathered | Scattered]:
        """What all ranks have gathered together, each in the memory of its last `memory`.

        It holds until the end of the block.
        """

    def add_up(self, sums: Sequence[Tensor]) -> None:
        """Make each of `sums` that of all ranks together."""

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
    narrow = False

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def memory(self, floats: int, most: int) -> Tensor:
        """Of its own."""
        import torch  # noqa: PLC0415 - as above

        return torch.empty(floats, device=self._device)

    def sums_of_all(self, gathered: Gathered) -> AbstractContextManager[Gathered | Scattered]:
        """It is that of all ranks already."""
        return nullcontext(gathered)

    def add_up(self, sums: Sequence[Tensor]) -> None:
        """They are those of all ranks already."""

    def take_from_first(self, tensors: Sequence[Tensor]) -> None:
        """They are rank 0's."""

    def compare(self, gaussians: Gaussians, step: int) -> None:
        """One is like itself."""

    def stops(self, step: int, *, wanted: bool) -> bool:
        """At once, where it is wanted."""
        return wanted
