"""What the rest of the trainer knows of a capture: posed pinhole images and sparse points."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """One posed, undistorted image.

    `camtoworld` is [4, 4] float64 in the OpenCV frame (x right, y down, z forward), in the
    normalised world; `K` is [3, 3] float64 in pixels of `image`, whose corner pixel's centre
    is at (0.5, 0.5) as in COLMAP. `image` is [H, W, 3] uint8; `mask` is [H, W] bool, true
    where a pixel counts, or None where all do.
    """

    name: str
    camtoworld: NDArray[np.float64]
    K: NDArray[np.float64]
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None = None

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.image.shape[1])


@dataclass(frozen=True)
class Scene:
    """A capture ready to train on, in the normalised world.

    `points` is [N, 3] float32, `points_rgb` [N, 3] uint8. `normalized_from_capture` is the
    [4, 4] similarity that took the capture's frame to this one. `scene_scale` is 1.1 times
    the largest distance of a camera from the cameras' mean, in normalised units: learning rates
    of positions and densification sizes are relative to it (Kerbl et al. 2023). `lens` tells of
    the lens that was fitted to the capture's tracks, in a line; None where none was asked for.
    `missing_images` counts those of the model that are left out, since they have no file or
    cannot be decoded.
    """

    train_views: tuple[View, ...]
    test_views: tuple[View, ...]
    points: NDArray[np.float32]
    points_rgb: NDArray[np.uint8]
    normalized_from_capture: NDArray[np.float64]
    scene_scale: float
    lens: str | None = None
    missing_images: int = 0
