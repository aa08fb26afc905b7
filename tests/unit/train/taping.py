"""What a CUDA graph does, on the CPU: the same work again, on the same tensors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.train.look import Looked


class AgainTape:
    """Remembers work on leaves; `play` does it and writes to the tensors of the recording.

    Recording must change nothing: what the work adds to is put back.
    """

    def __init__(
        self, leaves: Callable[[], Gaussians], added_to: Callable[[], Sequence[Tensor]]
    ) -> None:
        self._leaves_now = leaves
        self._added_to = added_to

    def record(self, work: Callable[[], Looked]) -> Looked:
        self._work = work
        self._leaves = [leaf for _, leaf in self._leaves_now()]
        sums = [(one, one.clone()) for one in self._added_to()]
        self._looked = work()
        self._gradients = [leaf.grad for leaf in self._leaves]
        for one, before in sums:
            one.copy_(before)
        self._looked.loss.fill_(torch.nan)  # nobody may read what was only recorded
        for gradient in self._gradients:
            if gradient is not None:
                gradient.fill_(torch.nan)
        return self._looked

    def play(self) -> None:
        for leaf in self._leaves:
            leaf.grad = None
        looked = self._work()
        self._looked.loss.copy_(looked.loss)
        self._looked.visible.copy_(looked.visible)
        for leaf, gradient in zip(self._leaves, self._gradients, strict=True):
            if gradient is not None and leaf.grad is not None:
                gradient.copy_(leaf.grad)


class RoomyRasterizer(ReferenceRasterizer):
    """The reference, which needs no room, with room all the same."""

    def make_room(  # type: ignore[override]
        self, gaussians: Gaussians, cameras: Sequence[Cameras]
    ) -> TileRoom:
        return TileRoom(1 << 14, gaussians.device)
