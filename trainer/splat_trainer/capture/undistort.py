"""Turns a photo of a distorting camera into one of a pinhole camera.

The pinhole keeps focal length and principal point and is cut to the largest frame without
blank pixels, as COLMAP's image_undistorter does with blank_pixels = 0 (COLMAP,
src/colmap/image/undistortion.cc), so that people get the sizes that they know.
"""

from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.fault import invalid
from splat_trainer.capture.pixel_map import PixelMap, pixel_map
from splat_trainer.capture.pixels import Photo
from splat_trainer.capture.resample import sample
from splat_trainer.contract import TrainerError

MIN_SCALE, MAX_SCALE = 0.2, 2.0
"""COLMAP's bounds on how far a side may shrink or grow."""

_MAPS_KEPT = 8

_FEW = 64
"""Points of each side of an image that tell the size of the undistorted one well enough to plan."""


def undistorted_camera(camera: Camera) -> Camera:
    """Give the pinhole camera that an undistorted photo of `camera` has."""
    return _undistorted(camera, max(camera.width, camera.height))


def about_undistorted(camera: Camera) -> Camera:
    """Give nearly `undistorted_camera`, or its fault, in a millisecond for any size of image."""
    try:
        return _undistorted(camera, _FEW)
    except TrainerError:
        return undistorted_camera(camera)  # what more points see can be enough


def _undistorted(camera: Camera, points: int) -> Camera:
    """The undistorted camera by so many points of each side of the border, at most."""
    if camera.is_pinhole:
        return _as_pinhole(camera)
    if camera.model.base == "equirectangular":
        raise invalid(
            f"camera {camera.camera_id} is {camera.model.name}: a panorama fits in no pinhole "
            "image; cut it into perspective views first"
        )
    w, h = camera.width, camera.height
    left, right, top, bottom = _border(camera, points)
    if not all(np.any(np.isfinite(side)) for side in (left, right, top, bottom)):
        raise invalid(
            f"camera {camera.camera_id} ({camera.model.name}) has a distortion that cannot be "
            "undone at the border of its image: calibrate it again"
        )
    cx, cy = camera.cx, camera.cy
    with np.errstate(divide="ignore"):
        blank_free_x = max(cx / (cx - np.nanmax(left)), (w - 0.5 - cx) / (np.nanmin(right) - cx))
        blank_free_y = max(cy / (cy - np.nanmax(top)), (h - 0.5 - cy) / (np.nanmin(bottom) - cy))
    width = int(max(1.0, np.clip(1 / blank_free_x, MIN_SCALE, MAX_SCALE) * w))
    height = int(max(1.0, np.clip(1 / blank_free_y, MIN_SCALE, MAX_SCALE) * h))
    pinhole = _as_pinhole(camera)
    return replace(pinhole, width=width, height=height, cx=cx * width / w, cy=cy * height / h)


class Undistorter:
    """Undistorts photos; those of one camera share its map, which is made once.

    May be used from several threads. Keeps the maps of the last few cameras only: a capture
    may have as many cameras as photos.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._slots: dict[Camera, _Slot] = {}

    def __call__(self, photo: Photo, camera: Camera) -> tuple[Photo, Camera]:
        """Resample `photo`, of `camera`, bilinearly to the pinhole camera that is returned.

        A pixel counts where all that it is made of does: none that counts has a hidden color in it.
        """
        if camera.is_pinhole:
            return photo, _as_pinhole(camera)
        target = self._map(camera)
        if photo.mask is None:
            return Photo(sample(photo.rgb, target.where), target.mask), target.camera
        seen = sample(np.dstack([photo.rgb, photo.mask * np.uint8(255)]), target.where)
        mask = seen[..., 3] == 255
        if target.mask is not None:
            mask &= target.mask
        rgb = np.ascontiguousarray(seen[..., :3])
        return Photo(rgb, None if mask.all() else mask), target.camera

    def _map(self, camera: Camera) -> PixelMap:
        with self._guard:
            slot = self._slots.setdefault(camera, _Slot())
            if len(self._slots) > _MAPS_KEPT:
                del self._slots[next(iter(self._slots))]
        with slot.lock:
            if slot.map is None:
                slot.map = pixel_map(camera, undistorted_camera(camera))
            return slot.map


@dataclass
class _Slot:
    lock: Lock = field(default_factory=Lock)
    map: PixelMap | None = None


def _border(camera: Camera, points: int) -> list[NDArray[np.float64]]:
    """Where the pinhole of the same focal length sees the border of `camera`'s image.

    x of its left and right, y of its top and bottom, each at so many pixels at most, the corners
    among them; NaN where no ray comes from.
    """
    w, h = camera.width, camera.height
    x, y = _centres(w, points), _centres(h, points)
    across = np.concatenate([np.full(len(y), 0.5), np.full(len(y), w - 0.5), x, x])
    down = np.concatenate([y, y, np.full(len(x), 0.5), np.full(len(x), h - 0.5)])
    rays = camera.rays_from_pixels(np.stack([across, down], axis=-1))
    seen_x, seen_y = rays[:, 0] * camera.fx + camera.cx, rays[:, 1] * camera.fy + camera.cy
    return [*np.split(seen_x[: 2 * len(y)], 2), *np.split(seen_y[2 * len(y) :], 2)]


def _centres(size: int, points: int) -> NDArray[np.float64]:
    return np.round(np.linspace(0, size - 1, min(size, points))) + 0.5


def _as_pinhole(camera: Camera) -> Camera:
    return Camera(
        camera.camera_id,
        MODEL_BY_NAME["PINHOLE"],
        camera.width,
        camera.height,
        camera.fx,
        camera.fy,
        camera.cx,
        camera.cy,
    )
