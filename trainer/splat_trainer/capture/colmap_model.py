"""Reads a COLMAP model, binary or text, and refuses one that cannot be trained on."""

from pathlib import Path

import numpy as np

from splat_trainer.capture import colmap_binary, colmap_text
from splat_trainer.capture.camera import Camera
from splat_trainer.capture.fault import invalid, missing
from splat_trainer.capture.model import ColmapModel, Points, PosedImage
from splat_trainer.contract.failure import shown

SIDE_LIMIT = 65_535
FARTHEST = 1e12
"""Coordinates beyond this are no place: their squares would leave float32."""


def read_model(folder: Path) -> ColmapModel:
    """Read the model in `folder`, binary where both kinds are there, as COLMAP itself does."""
    suffix = model_suffix(folder)
    if suffix is None:
        raise missing(f"{folder} holds no COLMAP model: cameras, images and points3D, .bin or .txt")
    reader = colmap_binary if suffix == ".bin" else colmap_text
    cameras_path, images_path, points_path = (
        folder / f"{stem}{suffix}" for stem in ("cameras", "images", "points3D")
    )
    cameras = reader.read_cameras(cameras_path)
    _check_cameras(cameras, cameras_path)
    images = sorted(reader.read_images(images_path), key=lambda image: image.name)
    _check_images(images, cameras, images_path)
    points = reader.read_points(points_path)
    _check_points(points, points_path)
    return ColmapModel(folder, cameras, tuple(images), points)


def model_suffix(folder: Path) -> str | None:
    """Tell in which form a model lies in `folder`: ".bin", ".txt" or None."""
    for suffix in (".bin", ".txt"):
        if (folder / f"cameras{suffix}").is_file() and (folder / f"images{suffix}").is_file():
            return suffix
    return None


def _check_cameras(cameras: dict[int, Camera], path: Path) -> None:
    if not cameras:
        raise invalid(f"{path} holds no cameras")
    for camera in cameras.values():
        where = f"{path}: camera {camera.camera_id} ({camera.model.name})"
        if not (0 < camera.width <= SIDE_LIMIT and 0 < camera.height <= SIDE_LIMIT):
            raise invalid(
                f"{where} is {camera.width}x{camera.height} pixels: "
                f"sides are from 1 to {SIDE_LIMIT}"
            )
        if camera.model.base == "equirectangular":
            continue
        params = np.array([camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion])
        if not np.all(np.isfinite(params)):
            raise invalid(f"{where} has a parameter that is not a finite number")
        if min(camera.fx, camera.fy) <= 0:
            raise invalid(f"{where} has a focal length of {min(camera.fx, camera.fy):g} pixels")
        if np.any(np.abs(params) > FARTHEST):
            raise invalid(f"{where} has a parameter of {np.abs(params).max():g}")


def _check_images(images: list[PosedImage], cameras: dict[int, Camera], path: Path) -> None:
    if not images:
        raise invalid(f"{path} holds no images: the reconstruction registered none")
    for before, image in zip([None, *images], images, strict=False):
        where = f"{path}: image {image.image_id} ({shown(image.name)})"
        if not image.name:
            raise invalid(f"{where} has no name")
        if before is not None and before.name == image.name:
            raise invalid(f"{where} has the name of image {before.image_id} too")
        if image.camera_id not in cameras:
            raise invalid(f"{where} is of camera {image.camera_id}, which cameras does not hold")
        pose = np.array([*image.qvec, *image.tvec])
        if not np.all(np.isfinite(pose)) or np.any(np.abs(pose) > FARTHEST):
            raise invalid(f"{where} has a pose that is not finite: {pose.tolist()}")
        if np.linalg.norm(image.qvec) < 1e-6:
            raise invalid(f"{where} has a rotation quaternion of length zero")


def _check_points(points: Points, path: Path) -> None:
    if not len(points):
        raise invalid(
            f"{path} holds no points, and training starts from them: "
            "triangulate them (colmap point_triangulator)"
        )
    bad = ~np.all(np.abs(points.xyz) <= FARTHEST, axis=1)  # NaN compares false
    if np.any(bad):
        first = int(np.argmax(bad))
        raise invalid(
            f"{path}: point {first + 1} of {len(points)} lies at {points.xyz[first].tolist()}"
            f"; {int(bad.sum())} of the points are nowhere"
        )
