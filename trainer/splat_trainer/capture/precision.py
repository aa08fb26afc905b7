"""How finely the numbers of a splat's file place what a capture holds.

Files of splats hold positions as 32-bit floats. A capture that lies far from its origin, as one
that was georeferenced does, has few of their bits left for what its photos show.
"""

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.model import ColmapModel
from splat_trainer.capture.scene import Scene
from splat_trainer.contract import Reason, TrainerError

MOST_PIXELS = 0.5
"""Between neighbouring positions: those of Gaussians are then rounded by up to a quarter."""


def pixels_apart(
    points: NDArray[np.float64], centers: NDArray[np.float64], focals: NDArray[np.float64]
) -> float:
    """Neighbouring 32-bit positions where the points are, in pixels as the cameras see them.

    `points` [N, 3] and the cameras' `centers` [V, 3] are in the capture's frame, `focals` [V] in
    pixels. 0 where the cameras see nothing in front of them.
    """
    middle = np.median(points, axis=0)
    pixel = float(np.median(np.linalg.norm(centers - middle, axis=1) / focals))
    return float(np.spacing(np.float32(np.abs(middle).max()))) / pixel if pixel > 0 else 0.0


def model_pixels_apart(model: ColmapModel) -> float:
    """`pixels_apart` of a model as COLMAP wrote it."""
    centers = np.stack([image.camtoworld[:3, 3] for image in model.images])
    focals = np.array([model.cameras[image.camera_id].fx for image in model.images])
    return pixels_apart(model.points.xyz, centers, focals)


def check_capture_frame(scene: Scene) -> None:
    """Refuse to train a splat that could not be written in the capture's frame.

    Raises:
        TrainerError: InvalidConfiguration.
    """
    capture_from_normalized = np.linalg.inv(scene.normalized_from_capture)
    linear, origin = capture_from_normalized[:3, :3], capture_from_normalized[:3, 3]
    views = (*scene.train_views, *scene.test_views)
    centers = np.stack([view.camtoworld[:3, 3] for view in views]) @ linear.T + origin
    points = scene.points.astype(np.float64) @ linear.T + origin
    apart = pixels_apart(points, centers, np.array([view.K[0, 0] for view in views]))
    if apart > MOST_PIXELS:
        raise TrainerError(Reason.INVALID_CONFIGURATION, far_away(apart))


def far_away(apart: float) -> str:
    """What is wrong with such a capture, and what to do."""
    return (
        f"the capture is so far from its origin that the positions in a splat's file would be "
        f"{apart:.1f} of its pixels apart: set frame to normalized, or move the model to its origin"
    )
