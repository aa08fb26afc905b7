"""A COLMAP model in memory: cameras, posed images and sparse points."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import Camera


@dataclass(frozen=True)
class PosedImage:
    """An image with its pose: `qvec` (w, x, y, z) and `tvec` take world to camera (OpenCV)."""

    image_id: int
    name: str
    camera_id: int
    qvec: tuple[float, float, float, float]
    tvec: tuple[float, float, float]

    @property
    def camtoworld(self) -> NDArray[np.float64]:
        """The pose [4, 4] that takes the camera's frame to the world."""
        rotation = rotation_from_quaternion(np.array(self.qvec))
        pose = np.eye(4)
        pose[:3, :3] = rotation.T
        pose[:3, 3] = -rotation.T @ np.array(self.tvec)
        return pose


@dataclass(frozen=True)
class Points:
    """Sparse points: `ids` [N], `xyz` [N, 3] float64, `rgb` [N, 3] uint8, mean reprojection
    `errors` [N] in pixels (-1 where COLMAP has none), `track_lengths` [N].
    """

    ids: NDArray[np.int64]
    xyz: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    errors: NDArray[np.float64]
    track_lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True)
class Observations:
    """2D points of one image: `xy` [K, 2] pixels and `point_ids` [K], the ids of 3D points."""

    xy: NDArray[np.float64]
    point_ids: NDArray[np.int64]


@dataclass(frozen=True)
class ColmapModel:
    """What the three files of a model hold; `folder` is where they lie."""

    folder: Path
    cameras: Mapping[int, Camera]
    images: tuple[PosedImage, ...]
    points: Points


def rotation_from_quaternion(qvec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a quaternion (w, x, y, z) of any length but zero into a rotation [3, 3]."""
    w, x, y, z = qvec / np.linalg.norm(qvec)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a rotation [3, 3] into its unit quaternion (w, x, y, z), w >= 0.

    Bar-Itzhack 2000: the eigenvector of a symmetric 4x4, which has no case distinctions.
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation
    symmetric = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    _, vectors = np.linalg.eigh(symmetric)
    q = vectors[:, -1]
    return np.asarray(-q if q[0] < 0 else q)
