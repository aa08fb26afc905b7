"""A capture's views where training wants them: on the device, drawn in a fixed random order."""

from collections.abc import Sequence
from copy import copy

import numpy as np
import torch
from torch import Tensor

from splat_trainer.capture.scene import View
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.train.canvas import common_sizes, masks_on_canvas, on_canvas

_RESIDENT_SHARE = 0.4
"""Images that need more of the free GPU memory than this stay in the host's, pinned."""


_LEAST_SIDE = 16
"""Pixels that a smaller image keeps on its shorter side."""


class DeviceViews:
    """Cameras and images of V views; nothing that is asked of it makes the host wait.

    Those of nearly one size are of one, where black that the mask leaves out is added to the right
    and below (`canvas.py`).
    """

    def __init__(self, views: Sequence[View], device: torch.device) -> None:
        self._device = device
        self._pinned = device.type == "cuda" and (
            sum(view.image.nbytes for view in views)
            > _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
        )
        viewmats = np.linalg.inv(np.stack([view.camtoworld for view in views]))
        intrinsics = np.stack([view.K for view in views])
        all_viewmats = torch.from_numpy(viewmats).float().to(device)
        all_intrinsics = torch.from_numpy(intrinsics).float().to(device)
        own = [(view.width, view.height) for view in views]
        sizes = common_sizes(own)
        self._cameras = [
            Cameras(all_viewmats[i : i + 1], all_intrinsics[i : i + 1], *size)
            for i, size in enumerate(sizes)
        ]
        self._images = [
            self._hold(on_canvas(torch.tensor(view.image), size))
            for view, size in zip(views, sizes, strict=True)
        ]
        masks = [None if view.mask is None else torch.tensor(view.mask) for view in views]
        self._masks = [
            None if mask is None else self._hold(mask)
            for mask in masks_on_canvas(masks, own, sizes)
        ]

    def shrunk(self, divisor: int) -> "DeviceViews":
        """The same views, so many times smaller on each side, though never tiny.

        A pixel is the mean of those that it covers; what fills none at the right and lower border
        is cut off.
        """
        small = copy(self)
        divisors = [
            max(1, min(divisor, min(camera.width, camera.height) // _LEAST_SIDE))
            for camera in self._cameras
        ]
        small._cameras = [
            _shrunk_camera(camera, by) for camera, by in zip(self._cameras, divisors, strict=True)
        ]
        small._images = [
            self._hold(shrink(image.to(self._device), by))
            for image, by in zip(self._images, divisors, strict=True)
        ]
        small._masks = [
            None if mask is None else self._hold(shrink(mask.to(self._device), by))
            for mask, by in zip(self._masks, divisors, strict=True)
        ]
        return small

    def __len__(self) -> int:
        return len(self._cameras)

    def _hold(self, pixels: Tensor) -> Tensor:
        return pixels.cpu().pin_memory() if self._pinned else pixels.to(self._device)

    def camera(self, index: int) -> Cameras:
        """The camera of one view, as the only one of a batch."""
        return self._cameras[index]

    def pixels(self, index: int) -> Tensor:
        """The image of one view, [H, W, 3] uint8."""
        return self._images[index].to(self._device, non_blocking=True)

    def image(self, index: int) -> Tensor:
        """The image of one view, [H, W, 3] float32 in 0..1."""
        return self.pixels(index).float() / 255

    def mask(self, index: int) -> Tensor | None:
        """Where the image counts, [H, W] bool; None where all of it does."""
        mask = self._masks[index]
        return None if mask is None else mask.to(self._device, non_blocking=True)


def _shrunk_camera(camera: Cameras, divisor: int) -> Cameras:
    intrinsics = camera.Ks.clone()
    intrinsics[:, :2] /= divisor
    return Cameras(camera.viewmats, intrinsics, camera.width // divisor, camera.height // divisor)


def shrink(pixels: Tensor, divisor: int) -> Tensor:
    """Means over squares of an image [H, W, 3] uint8; of a mask [H, W] bool, where all of it is."""
    height, width = pixels.shape[0] // divisor, pixels.shape[1] // divisor
    cut = pixels[: height * divisor, : width * divisor]
    squares = cut.reshape(height, divisor, width, divisor, *pixels.shape[2:])
    if pixels.dtype == torch.bool:
        return squares.all(3).all(1)
    return squares.float().mean((1, 3)).round().to(pixels.dtype)


class ViewOrder:
    """Which view each step trains on: all of them in each epoch, shuffled anew.

    It is a function of seed and step alone, so that a resumed run goes on in the same order.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._epoch = -1
        self._order: list[int] = []

    def at(self, step: int) -> int:
        """The view of a step; steps count from 1."""
        epoch, place = divmod(step - 1, self._count)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
            self._order = torch.randperm(self._count, generator=generator).tolist()
            self._epoch = epoch
        return self._order[place]
