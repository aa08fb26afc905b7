"""Moves a capture into a common frame: z up, centred on what the cameras look at, size one.

COLMAP's frame, origin and unit are arbitrary. After this, learning rates and sizes mean the
same for every capture. The similarity is kept, so that a splat can be given in either frame.
"""

import numpy as np
from numpy.typing import NDArray

SCENE_SCALE_MARGIN = 1.1
"""Kerbl et al. 2023 take 1.1 times the cameras' extent as the scene's."""

_FOCUS_CONDITION = 0.02
_FOCUS_REACH = 5.0


def normalizing_transform(
    camtoworlds: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give the similarity [4, 4] from the capture's frame to the normalised one.

    `camtoworlds` is [C, 4, 4], `points` [N, 3]. Mean camera up becomes +z; the point nearest to
    all optical axes becomes the origin, or the cameras' mean where the axes (nearly) agree in
    direction; the camera farthest from the cameras' mean comes to lie at distance 1 from it.
    Where the cameras share one place, the median distance of the points does that instead.
    """
    centers = camtoworlds[:, :3, 3]
    mean = centers.mean(axis=0)
    extent = float(np.linalg.norm(centers - mean, axis=1).max())
    point_distance = float(np.median(np.linalg.norm(points - mean, axis=1)))
    if extent <= 1e-6 * point_distance:
        extent, origin = point_distance, mean
    else:
        origin = _focus(camtoworlds, mean, extent)
    transform = np.eye(4)
    rotation = _rotation_to_up(-camtoworlds[:, :3, 1].mean(axis=0))
    scale = 1.0 / extent if extent > 0 else 1.0
    transform[:3, :3] = scale * rotation
    transform[:3, 3] = -scale * rotation @ origin
    return transform


def transform_poses(
    camtoworlds: NDArray[np.float64], similarity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move poses [C, 4, 4] by a similarity; their rotations stay rotations."""
    moved = similarity @ camtoworlds
    moved[:, :3, :3] /= np.cbrt(np.linalg.det(similarity[:3, :3]))
    return np.asarray(moved)


def scene_scale(camtoworlds: NDArray[np.float64]) -> float:
    """Give 1.1 times the largest distance of a camera from the cameras' mean, or 1.1."""
    centers = camtoworlds[:, :3, 3]
    extent = float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
    return SCENE_SCALE_MARGIN * (extent if extent > 1e-6 else 1.0)


def _focus(
    camtoworlds: NDArray[np.float64], mean: NDArray[np.float64], extent: float
) -> NDArray[np.float64]:
    """Find the point nearest, in the least-squares sense, to all optical axes."""
    axes = camtoworlds[:, :3, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.mean(axis=0)
    if np.linalg.eigvalsh(total)[0] < _FOCUS_CONDITION:
        return mean
    focus = np.linalg.solve(total, (across @ camtoworlds[:, :3, 3:]).mean(axis=0))[:, 0]
    return focus if np.linalg.norm(focus - mean) <= _FOCUS_REACH * extent else mean


def _rotation_to_up(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the smallest rotation that takes `up` to +z; none where up has no direction."""
    length = np.linalg.norm(up)
    if length < 1e-6:
        return np.eye(3)
    x, y, z = up / length
    if z < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + z))
