"""A tiny, valid COLMAP model and capture, to be broken in tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_write import write_model
from splat_trainer.capture.model import Observations, Points, PosedImage

IMAGES = 3
POINTS = 20
WIDTH, HEIGHT = 32, 24
CAMERA = Camera(1, MODEL_BY_NAME["PINHOLE"], WIDTH, HEIGHT, 30.0, 31.0, 16.0, 12.0)

FISHEYE = replace(CAMERA, model=MODEL_BY_NAME["SIMPLE_FISHEYE"], fx=12.0, fy=12.0)
"""Undistorted, its images are some three times as large."""


def posed(image_id: int, **changes: object) -> PosedImage:
    """Give one of three cameras in a row that look along z."""
    values: dict[str, object] = {
        "image_id": image_id,
        "name": f"{image_id}.png",
        "camera_id": 1,
        "qvec": (1.0, 0.0, 0.0, 0.0),
        "tvec": (float(-image_id), 0.0, 0.0),
    }
    return PosedImage(**{**values, **changes})  # type: ignore[arg-type]


def points(count: int = POINTS) -> Points:
    """Give points before the cameras."""
    draw = np.random.default_rng(0)
    return Points(
        ids=np.arange(1, count + 1),
        xyz=draw.uniform((-1, -1, 4), (5, 1, 6), (count, 3)),
        rgb=draw.integers(0, 256, (count, 3), dtype=np.uint8),
        errors=np.full(count, 0.5),
        track_lengths=np.full(count, 1, np.int64),
    )


def write_small_model(
    folder: Path,
    *,
    camera: Camera = CAMERA,
    cameras: tuple[Camera, ...] | None = None,
    images: tuple[PosedImage, ...] | None = None,
    sparse: Points | None = None,
) -> None:
    """Write a model into `folder`; each point is seen in the first image."""
    images = tuple(map(posed, range(1, IMAGES + 1))) if images is None else images
    sparse = points() if sparse is None else sparse
    nothing = Observations(np.zeros((0, 2)), np.zeros(0, np.int64))
    observations = {image.image_id: nothing for image in images}
    if images:
        seen = Observations(np.ones((len(sparse), 2)), sparse.ids)
        observations[images[0].image_id] = seen
    write_model(folder, cameras or [camera], images, sparse, observations)


def write_small_capture(folder: Path, **model: object) -> Path:
    """Write a model and its images."""
    write_small_model(folder / "sparse" / "0", **model)  # type: ignore[arg-type]
    (folder / "images").mkdir(parents=True)
    draw = np.random.default_rng(1)
    for i in range(1, IMAGES + 1):
        pixels = draw.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{i}.png")
    return folder


def write_capture_at(folder: Path, offset: tuple[float, float, float]) -> Path:
    """Write the small capture moved away from its frame's origin."""
    images = []
    for image in map(posed, range(1, IMAGES + 1)):
        tvec = tuple(np.subtract(image.tvec, offset).tolist())  # cameras look along the axes
        images.append(replace(image, tvec=tvec))
    sparse = replace(points(), xyz=points().xyz + offset)
    return write_small_capture(folder, images=tuple(images), sparse=sparse)
