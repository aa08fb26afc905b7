"""Makes the synthetic capture: photos from a ring of cameras and their exact COLMAP model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_write import write_model
from splat_trainer.capture.model import Observations, Points, PosedImage, quaternion_from_rotation
from splat_trainer.capture.synthetic.render import (
    cast,
    colors_at,
    make_solids,
    rays_through,
    render,
)
from splat_trainer.capture.synthetic.solids import Array, Solid
from splat_trainer.contract import Reason, TrainerError
from splat_trainer.storage.fault import local_faults

POINTS = 2_000
TRACK_LIMIT = 6
_LOOK_AT = np.array([0.0, 0.0, 0.25])
_DISTANCE = 3.0
_FOCAL = 1.05


def make_synthetic_capture(
    folder: Path, *, views: int = 36, size: int = 128, seed: int = 0
) -> None:
    """Write a capture into `folder`: images/*.png and sparse/0/*.bin.

    `views` photos of `size` x 3/4 `size` pixels; the same arguments give the same bytes.
    """
    with local_faults("write", folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise TrainerError(
                Reason.INVALID_CONFIGURATION,
                f"{folder} is there and not empty: name another folder",
            )
        (folder / "images").mkdir(parents=True)
        _write_capture(folder, views, size, seed)


def _write_capture(folder: Path, views: int, size: int, seed: int) -> None:
    solids = make_solids(seed)
    camera = ring_camera(size)
    poses = ring_poses(views, seed)
    images = []
    for i, pose in enumerate(poses, start=1):
        name = f"view_{i:03d}.png"
        Image.fromarray(render(solids, camera, pose)).save(folder / "images" / name)
        images.append(_posed(i, name, camera.camera_id, pose))
    points, observations = observed_points(solids, camera, poses, seed)
    write_model(folder / "sparse" / "0", [camera], images, points, observations)


def ring_camera(size: int) -> Camera:
    """Give the pinhole camera whose longest side is `size`."""
    width, height = size, max(1, size * 3 // 4)
    focal = _FOCAL * size
    model = MODEL_BY_NAME["PINHOLE"]
    return Camera(1, model, width, height, focal, focal, width / 2, height / 2)


def ring_poses(views: int, seed: int) -> Array:
    """Give poses [views, 4, 4] around the scene, rising and sinking, each a little off."""
    draw = np.random.default_rng([seed, 1])
    turn = 2 * np.pi * (np.arange(views) + draw.uniform(-0.2, 0.2, views)) / views
    elevation = np.radians(33 + 13 * np.sin(2 * turn + 0.7) + draw.uniform(-2, 2, views))
    distance = _DISTANCE * draw.uniform(0.95, 1.05, views)
    flat = distance * np.cos(elevation)
    centers = _LOOK_AT + np.stack(
        [flat * np.cos(turn), flat * np.sin(turn), distance * np.sin(elevation)], axis=1
    )
    poses = np.tile(np.eye(4), (views, 1, 1))
    for pose, center in zip(poses, centers, strict=True):
        forward = (_LOOK_AT - center) / np.linalg.norm(_LOOK_AT - center)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
        pose[:3, 3] = center
    return poses


def observed_points(
    solids: Sequence[Solid], camera: Camera, poses: Array, seed: int
) -> tuple[Points, dict[int, Observations]]:
    """Pick points on the surfaces and find which views see them, by casting rays at them."""
    draw = np.random.default_rng([seed, 2])
    share = -(-POINTS // len(poses))
    places, colors = [], []
    for pose in poses:
        pixels = draw.uniform((0, 0), (camera.width, camera.height), (share, 2))
        origins, directions = rays_through(camera, pose, pixels)
        distances, _ = cast(solids, origins, directions)
        hit = np.isfinite(distances)
        places.append((origins + distances[:, None] * directions)[hit])
        colors.append(colors_at(solids, origins[hit], directions[hit]))
    xyz, rgb = np.concatenate(places), np.concatenate(colors)
    seen = np.stack([_sees(solids, camera, pose, xyz) for pose in poses])
    keep = seen.sum(axis=0) >= 2
    xyz, rgb, seen = xyz[keep], rgb[keep], seen[:, keep]
    seen = seen & (seen.cumsum(axis=0) <= TRACK_LIMIT)
    observations = {}
    for image_id, (pose, mask) in enumerate(zip(poses, seen, strict=True), start=1):
        ids = np.flatnonzero(mask)
        observations[image_id] = Observations(_project(camera, pose, xyz[ids])[0], ids + 1)
    lengths = seen.sum(axis=0).astype(np.int64)
    points = Points(np.arange(1, len(xyz) + 1), xyz, rgb, np.zeros(len(xyz)), lengths)
    return points, observations


def _project(camera: Camera, pose: Array, xyz: Array) -> tuple[Array, Array]:
    local = (xyz - pose[:3, 3]) @ pose[:3, :3]
    return camera.pixels_from_rays(local), local[:, 2]


def _sees(solids: Sequence[Solid], camera: Camera, pose: Array, xyz: Array) -> NDArray[np.bool_]:
    pixels, depth = _project(camera, pose, xyz)
    framed = np.all((pixels > 0) & (pixels < (camera.width, camera.height)), axis=1) & (depth > 0)
    towards = xyz - pose[:3, 3]
    reach = np.linalg.norm(towards, axis=1)
    first, _ = cast(solids, np.broadcast_to(pose[:3, 3], xyz.shape), towards / reach[:, None])
    return np.asarray(framed & (first > reach - 1e-3))


def _posed(image_id: int, name: str, camera_id: int, pose: Array) -> PosedImage:
    rotation = pose[:3, :3].T
    qw, qx, qy, qz = map(float, quaternion_from_rotation(rotation))
    tx, ty, tz = map(float, -rotation @ pose[:3, 3])
    return PosedImage(image_id, name, camera_id, (qw, qx, qy, qz), (tx, ty, tz))
