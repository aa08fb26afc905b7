"""Writes a COLMAP binary model, byte for byte as COLMAP does: the inverse of colmap_binary."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from splat_trainer.capture.camera import Camera
from splat_trainer.capture.model import Observations, Points, PosedImage


def write_model(
    folder: Path,
    cameras: Sequence[Camera],
    images: Sequence[PosedImage],
    points: Points,
    observations: Mapping[int, Observations],
) -> None:
    """Write cameras.bin, images.bin and points3D.bin; `observations` goes by image id."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.bin").write_bytes(b"".join(_cameras(cameras)))
    (folder / "images.bin").write_bytes(b"".join(_images(images, observations)))
    (folder / "points3D.bin").write_bytes(b"".join(_points(points, observations)))


def _cameras(cameras: Sequence[Camera]) -> Iterable[bytes]:
    yield struct.pack("<Q", len(cameras))
    for camera in cameras:
        params = camera.params
        yield struct.pack(
            f"<IiQQ{len(params)}d",
            camera.camera_id,
            camera.model.model_id,
            camera.width,
            camera.height,
            *params,
        )


def _images(
    images: Sequence[PosedImage], observations: Mapping[int, Observations]
) -> Iterable[bytes]:
    yield struct.pack("<Q", len(images))
    for image in images:
        yield struct.pack("<I7dI", image.image_id, *image.qvec, *image.tvec, image.camera_id)
        yield image.name.encode() + b"\0"
        seen = observations[image.image_id]
        yield struct.pack("<Q", len(seen.xy))
        for (x, y), point_id in zip(seen.xy, seen.point_ids, strict=True):
            yield struct.pack("<ddQ", x, y, point_id)


def _points(points: Points, observations: Mapping[int, Observations]) -> Iterable[bytes]:
    tracks: dict[int, list[tuple[int, int]]] = {point_id: [] for point_id in points.ids.tolist()}
    for image_id, seen in observations.items():
        for index, point_id in enumerate(seen.point_ids.tolist()):
            tracks[point_id].append((image_id, index))
    yield struct.pack("<Q", len(points))
    rows = zip(tracks.items(), points.xyz, points.rgb, points.errors, strict=True)
    for (point_id, track), xyz, rgb, error in rows:
        yield struct.pack("<Q3d3BdQ", point_id, *xyz, *rgb.tolist(), error, len(track))
        yield struct.pack(f"<{2 * len(track)}I", *(value for pair in track for value in pair))
