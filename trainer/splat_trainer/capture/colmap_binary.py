"""COLMAP's binary model files: cameras.bin, images.bin, points3D.bin. All little-endian.

Layout: COLMAP, src/colmap/scene/reconstruction_io.cc. A count is believed only as far as
the file has bytes for it, so that a lying one costs neither memory nor time.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from splat_trainer.capture.camera import MODEL_BY_ID, Camera
from splat_trainer.capture.fault import invalid, reading
from splat_trainer.capture.model import Observations, Points, PosedImage

_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")
_IMAGE = struct.Struct("<I7dI")
_POINT2D = np.dtype([("xy", "<f8", 2), ("point_id", "<u8")])
_POINT2D_BYTES = 24
_NAME_LIMIT = 4096
_TRACK_ELEMENT_BYTES = 8
_POINT = np.dtype(
    [("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")]
)


class _Reader:
    """A file read from front to back; running out of bytes is the capture's fault."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self._file: BinaryIO = self.path.open("rb")
        self._size = self.path.stat().st_size
        self.at = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def left(self) -> int:
        return self._size - self.at

    def fault(self, what: str, at: int | None = None) -> Exception:
        return invalid(f"{self.path}: byte {self.at if at is None else at}: {what}")

    def take(self, count: int, what: str) -> bytes:
        data = self._file.read(count) if count <= self.left else b""
        if len(data) < count:
            raise self.fault(f"the file ends within {what}: copy it again, it was cut off")
        self.at += count
        return data

    def skip(self, count: int, what: str) -> None:
        if count > self.left:
            raise self.fault(f"the file ends within {what}: copy it again, it was cut off")
        self._file.seek(count, 1)
        self.at += count

    def count(self, record_bytes: int, what: str) -> int:
        start = self.at
        (count,) = _COUNT.unpack(self.take(_COUNT.size, f"the number of {what}"))
        if count * record_bytes > self.left:
            raise self.fault(
                f"it promises {count} {what}, and has bytes for {self.left // record_bytes} "
                "at most: the file is cut off or damaged",
                at=start,
            )
        return int(count)

    def text(self, limit: int, what: str) -> str:
        """Read bytes up to a NUL."""
        chunk = self._file.peek(limit)[:limit] if hasattr(self._file, "peek") else b""
        if b"\0" not in chunk:
            chunk = self._file.read(min(limit, self.left))
            self._file.seek(self.at)
        length = chunk.find(b"\0")
        if length < 0:
            raise self.fault(f"{what} has no end within {limit} bytes")
        data = self.take(length + 1, what)[:-1]
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self.fault(f"{what} is not UTF-8", at=self.at - length - 1) from error


def read_cameras(path: Path) -> dict[int, Camera]:
    """Read cameras.bin."""
    cameras: dict[int, Camera] = {}
    with reading(path), _Reader(path) as reader:
        for _ in range(reader.count(_CAMERA.size + 2 * 8, "cameras")):
            start = reader.at
            camera_id, model_id, width, height = _CAMERA.unpack(
                reader.take(_CAMERA.size, "a camera")
            )
            model = MODEL_BY_ID.get(model_id)
            if model is None:
                raise reader.fault(
                    f"camera {camera_id} is of the unknown model number {model_id}: "
                    f"COLMAP's are 0 to {max(MODEL_BY_ID)}",
                    at=start,
                )
            length = len(model.params)
            params = struct.unpack(f"<{length}d", reader.take(8 * length, f"camera {camera_id}"))
            if camera_id in cameras:
                raise reader.fault(f"camera {camera_id} is there twice", at=start)
            cameras[camera_id] = Camera.from_params(camera_id, model, width, height, params)
    return cameras


def read_images(path: Path) -> list[PosedImage]:
    """Read images.bin: the poses; 2D observations are stepped over."""
    return [image for image, _ in _images(path, keep=False)]


def read_observations(path: Path) -> dict[int, Observations]:
    """Read images.bin again: the 2D points that are of 3D points, by image id."""
    found = {}
    for image, data in _images(path, keep=True):
        records = np.frombuffer(data, _POINT2D)
        ids = records["point_id"].astype(np.int64)  # 2^64 - 1, of no point, becomes -1
        found[image.image_id] = Observations(records["xy"][ids >= 0], ids[ids >= 0])
    return found


def _images(path: Path, *, keep: bool) -> Iterator[tuple[PosedImage, bytes]]:
    with reading(path), _Reader(path) as reader:
        for _ in range(reader.count(_IMAGE.size + 1 + _COUNT.size, "images")):
            image_id, *pose, camera_id = _IMAGE.unpack(reader.take(_IMAGE.size, "an image"))
            name = reader.text(_NAME_LIMIT, f"the name of image {image_id}")
            count = reader.count(_POINT2D_BYTES, f"2D points in image {image_id}")
            size, what = count * _POINT2D_BYTES, f"the 2D points of image {image_id}"
            data = b""
            if keep:
                data = reader.take(size, what)
            else:
                reader.skip(size, what)
            qw, qx, qy, qz, tx, ty, tz = pose
            yield PosedImage(image_id, name, camera_id, (qw, qx, qy, qz), (tx, ty, tz)), data


def read_points(path: Path) -> Points:
    """Read points3D.bin; tracks only as far as their length."""
    records = _point_records(path)
    return Points(
        ids=records["id"].astype(np.int64),
        xyz=records["xyz"].copy(),
        rgb=records["rgb"].copy(),
        errors=records["error"].copy(),
        track_lengths=records["track"].astype(np.int64),
    )


def _point_records(path: Path) -> NDArray[Any]:
    with reading(path), _Reader(path) as reader:
        count = reader.count(_POINT.itemsize, "points")
        start = reader.at
        data = reader.take(reader.left, "the points")
    unpack, track_at = _COUNT.unpack_from, _POINT.itemsize - _COUNT.size
    offsets = np.empty(count, np.int64)
    at = 0
    for i in range(count):
        if at + _POINT.itemsize > len(data):
            raise reader.fault(
                f"the file ends within point {i + 1} of {count}: copy it again, it was cut off",
                at=start + min(at, len(data)),
            )
        offsets[i] = at
        at += _POINT.itemsize + _TRACK_ELEMENT_BYTES * unpack(data, at + track_at)[0]
    if at > len(data):
        raise reader.fault("the file ends within the track of the last point: it was cut off")
    raw = np.frombuffer(data, np.uint8)
    return np.asarray(
        raw[offsets[:, None] + np.arange(_POINT.itemsize)].view(_POINT).reshape(count)
    )
