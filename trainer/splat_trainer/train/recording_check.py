"""Whether looks can be recorded on a device, and replays then leave what looks do."""

from collections.abc import Callable

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.self_check import DisagreementError, agree, use_if_right
from splat_trainer.optimize.losses import ImageLoss
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.rasterize.check_scene import (
    HEIGHT,
    WIDTH,
    check_camera,
    check_gaussians,
    leaves,
)
from splat_trainer.rasterize.interface import Rasterizer, Rendering
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.train.look import Look, Looked, Manner, Sight
from splat_trainer.train.recording import GraphTape, MakeTape, RecordedLook

_VIEWS = 4
"""The first is not recorded, the second is, the others are replays of it."""


def graph_tapes(
    rasterizer: Rasterizer, image_loss: ImageLoss, device: torch.device
) -> MakeTape | None:
    """What a device's looks can be recorded on; None where there is nothing, or nothing right."""
    if device.type != "cuda":
        return None
    return use_if_right(
        "CUDA graph of a step",
        lambda: GraphTape,
        lambda make_tape: check_tapes(make_tape, rasterizer, image_loss, device),
    )


def check_tapes(
    make_tape: MakeTape, rasterizer: Rasterizer, image_loss: ImageLoss, device: torch.device
) -> None:
    """Compare what replays leave with what looks leave that nobody recorded, view by view.

    Raises:
        DisagreementError: they differ by more than the order of sums explains.
    """
    drawn, room = check_gaussians(device), TileRoom(1 << 14, device)

    def all_of(
        look_at: Callable[[Gaussians, Sight, Manner], Looked], noting: _Count
    ) -> list[Tensor]:
        gaussians, found = leaves(drawn), []
        for sight in _sights(device):
            looked = look_at(gaussians, sight, Manner(sh_degree=1, observes=True))
            found += [looked.loss.clone(), looked.visible.float()]
            for _, leaf in gaussians:
                found += [] if leaf.grad is None else [leaf.grad.clone()]
                leaf.grad = None
        return [*found, noting.seen]

    def look_of(noting: _Count) -> Look:
        return Look(rasterizer, image_loss, Schedule(iterations=1), noting, room)

    plain, noted = _Count(len(drawn), device), _Count(len(drawn), device)
    recorded = RecordedLook(look_of(noted), room, lambda: [noted.seen], make_tape, strict=True)
    found = all_of(lambda *what: recorded(*what, lasts=lambda: True), noted)
    if recorded.replays != _VIEWS - 1:
        raise DisagreementError(f"{recorded.replays} of {_VIEWS} views were replays")
    agree(found, all_of(look_of(plain), plain), relative=1e-3)


def _sights(device: torch.device) -> list[Sight]:
    generator = torch.Generator().manual_seed(0)
    shape = (_VIEWS, HEIGHT, WIDTH, 3)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8).to(device)
    cameras = [check_camera(device, shift=0.3 * index) for index in range(_VIEWS)]
    return [Sight(camera, one, None) for camera, one in zip(cameras, pixels, strict=True)]


class _Count:
    """Counts how often each Gaussian was seen, as a strategy would."""

    absgrad = False

    def __init__(self, count: int, device: torch.device) -> None:
        self.seen = torch.zeros(count, device=device)

    def observe(self, rendering: Rendering) -> None:
        self.seen += rendering.visible[0]
