"""COLMAP's text model files: cameras.txt, images.txt, points3D.txt.

Format: https://colmap.github.io/format.html#text-format
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.fault import invalid, reading
from splat_trainer.capture.model import Observations, Points, PosedImage
from splat_trainer.contract.failure import shown

Line = tuple[int, str]
_IMAGE_FIELDS = 10
_POINT_FIELDS = 8
_ID_LIMIT = 2**64
_EXACT_LIMIT = 2.0**53  # of whole numbers that were read as floats


def read_cameras(path: Path) -> dict[int, Camera]:
    """Read cameras.txt: CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]."""
    cameras: dict[int, Camera] = {}
    for number, line in _records(path):
        fields = line.split()
        if len(fields) < 4:
            raise _fault(path, number, "a camera is an id, a model, a width, a height, parameters")
        model = MODEL_BY_NAME.get(fields[1])
        if model is None:
            raise _fault(
                path,
                number,
                f"the camera model {shown(fields[1])} is unknown: "
                f"COLMAP's are {', '.join(MODEL_BY_NAME)}",
            )
        if len(fields) - 4 != len(model.params):
            raise _fault(
                path,
                number,
                f"a camera of model {model.name} has {len(model.params)} parameters "
                f"({', '.join(model.params)}), not {len(fields) - 4}",
            )
        camera_id, width, height = _integers(
            path, number, (fields[0], fields[2], fields[3]), "an id, a width or a height"
        )
        if camera_id in cameras:
            raise _fault(path, number, f"camera {camera_id} is there twice")
        params = _floats(path, number, fields[4:], "a parameter")
        cameras[camera_id] = Camera.from_params(camera_id, model, width, height, params)
    return cameras


def read_images(path: Path) -> list[PosedImage]:
    """Read images.txt: two lines an image, the second (2D points, maybe empty) stepped over."""
    return [image for image, _ in _images(path)]


def read_observations(path: Path) -> dict[int, Observations]:
    """Read images.txt again: the 2D points that are of 3D points, by image id."""
    found = {}
    for image, (number, line) in _images(path):
        fields = line.split()
        if len(fields) % 3:
            raise _fault(path, number, "2D points are X Y POINT3D_ID, over and over")
        values = _floats(path, number, fields, "a 2D point")
        table = np.array(values, np.float64).reshape(-1, 3)
        table = table[(table[:, 2] >= 0) & (table[:, 2] < _EXACT_LIMIT)]
        ids = table[:, 2].astype(np.int64)
        found[image.image_id] = Observations(table[:, :2], ids)
    return found


def _images(path: Path) -> Iterator[tuple[PosedImage, Line]]:
    lines = _lines(path)
    for number, line in lines:
        if _is_blank(line):
            continue
        fields = line.split(maxsplit=_IMAGE_FIELDS - 1)
        if len(fields) < _IMAGE_FIELDS:
            raise _fault(
                path,
                number,
                "an image is IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, "
                f"and {len(fields)} of these 10 are here",
            )
        image_id, camera_id = _integers(path, number, (fields[0], fields[8]), "an id")
        qw, qx, qy, qz, tx, ty, tz = _floats(path, number, fields[1:8], "a part of the pose")
        name = fields[9].rstrip()
        image = PosedImage(image_id, name, camera_id, (qw, qx, qy, qz), (tx, ty, tz))
        yield image, next(lines, (number + 1, ""))


def read_points(path: Path) -> Points:
    """Read points3D.txt: POINT3D_ID X Y Z R G B ERROR TRACK[]."""
    ids: list[int] = []
    numbers: list[tuple[float, ...]] = []
    colors: list[tuple[int, ...]] = []
    tracks: list[int] = []
    for number, line in _records(path):
        fields = line.split()
        if len(fields) < _POINT_FIELDS:
            raise _fault(
                path,
                number,
                f"a point is POINT3D_ID X Y Z R G B ERROR, and {len(fields)} of these 8 are here",
            )
        ids += _integers(path, number, fields[:1], "an id")
        rgb = _integers(path, number, fields[4:7], "a colour")
        if max(rgb) > 255:
            raise _fault(path, number, "a colour is more than 255")
        numbers.append(_floats(path, number, (*fields[1:4], fields[7]), "a coordinate or error"))
        colors.append(rgb)
        tracks.append((len(fields) - _POINT_FIELDS) // 2)
    table = np.array(numbers, np.float64).reshape(-1, 4)
    return Points(
        ids=np.array(ids, np.uint64).astype(np.int64),
        xyz=table[:, :3],
        rgb=np.array(colors, np.uint8).reshape(-1, 3),
        errors=table[:, 3],
        track_lengths=np.array(tracks, np.int64),
    )


def _lines(path: Path) -> Iterator[Line]:
    try:
        with reading(path), path.open(encoding="utf-8") as file:
            yield from enumerate(file, start=1)
    except UnicodeDecodeError as error:
        raise invalid(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error


def _records(path: Path) -> Iterator[Line]:
    return ((number, line) for number, line in _lines(path) if not _is_blank(line))


def _is_blank(line: str) -> bool:
    stripped = line.strip()
    return not stripped or stripped.startswith("#")


def _integers(
    path: Path, number: int, fields: "tuple[str, ...] | list[str]", what: str
) -> tuple[int, ...]:
    try:
        values = tuple(int(field) for field in fields)
    except ValueError as error:
        raise _fault(
            path, number, f"{what} is no whole number: {shown(' '.join(fields))}"
        ) from error
    if min(values) < 0 or max(values) >= _ID_LIMIT:
        raise _fault(path, number, f"{what} is out of range: {shown(' '.join(fields))}")
    return values


def _floats(
    path: Path, number: int, fields: "tuple[str, ...] | list[str]", what: str
) -> tuple[float, ...]:
    try:
        return tuple(float(field) for field in fields)
    except ValueError as error:
        raise _fault(path, number, f"{what} is no number: {shown(' '.join(fields))}") from error


def _fault(path: Path, number: int, what: str) -> Exception:
    return invalid(f"{path}: line {number}: {what}")
