"""A map told at few places is, between them, the one that is told at all."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.pixel_map import PixelMap, pixel_map
from splat_trainer.capture.undistort import undistorted_camera
from tests.unit.capture.lenses import LENSES, lens
from tests.unit.capture.real import real

Asked = list[int]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """How many places were asked of cameras, call by call."""
    counts: Asked = []
    exact: Callable[[Camera, NDArray[np.float64]], NDArray[np.float64]] = Camera.pixels_from_plane

    def counted(camera: Camera, uv: NDArray[np.float64]) -> NDArray[np.float64]:
        counts.append(uv.size // 2)
        return exact(camera, uv)

    monkeypatch.setattr(Camera, "pixels_from_plane", counted)
    return counts


def exact_places(camera: Camera, pinhole: Camera) -> NDArray[np.float64]:
    """In the source, [H, W, 2]; they may lie outside."""
    x, y = np.meshgrid(np.arange(pinhole.width) + 0.5, np.arange(pinhole.height) + 0.5)
    plane = np.stack([(x - pinhole.cx) / pinhole.fx, (y - pinhole.cy) / pinhole.fy], axis=-1)
    return camera.pixels_from_plane(plane)


def mapped_places(found: PixelMap, width: int) -> NDArray[np.float64]:
    """What a map's index and weights stand for, in a source that is `width` pixels wide."""
    _, right, down, both = found.where.weights.astype(int)
    x = found.where.index % width + (right + both) / 256
    y = found.where.index // width + (down + both) / 256
    return np.stack([x, y], axis=-1) + 0.5


def furthest_off(camera: Camera, pinhole: Camera) -> float:
    """In pixels, of those that look into the source."""
    found = pixel_map(camera, pinhole)
    size = np.array([camera.width, camera.height])
    places = exact_places(camera, pinhole)
    within = ((places >= 0) & (places <= size)).all(-1)
    assert np.array_equal(within, np.ones_like(within) if found.mask is None else found.mask)
    clipped = np.clip(places, 0.5, size - 0.5)
    return float(np.abs(mapped_places(found, camera.width) - clipped)[within].max())


@pytest.mark.parametrize("scale", [1, 2, 5])
@pytest.mark.parametrize("name", LENSES)
def test_every_pixel_looks_where_the_lens_says(name: str, scale: int) -> None:
    camera = lens(name)
    camera = camera.resized(camera.width * scale, camera.height * scale)
    # Places are told to 1/256, the product of the weights rounds once more.
    assert furthest_off(camera, undistorted_camera(camera)) <= 2.5 / 256


@pytest.mark.parametrize("scene", ["beer/sparse/0", "binbin101/sparse/0", "fern/sparse/0"])
def test_few_places_are_asked_of_a_real_lens(scene: str, asked: Asked) -> None:
    camera = next(iter(read_model(real(scene)).cameras.values()))
    pixel_map(camera, undistorted_camera(camera))
    assert sum(asked) < camera.width * camera.height / 10
    assert furthest_off(camera, undistorted_camera(camera)) <= 2.5 / 256


def test_a_lens_that_bends_sharply_is_asked_for_every_pixel(asked: Asked) -> None:
    camera = Camera(1, MODEL_BY_NAME["RADIAL"], 64, 48, 40, 40, 32, 24, (0.9, 2.0))
    pinhole = undistorted_camera(camera)
    asked.clear()
    pixel_map(camera, pinhole)
    assert max(asked) == pinhole.width * pinhole.height
    assert furthest_off(camera, pinhole) <= 2.5 / 256


@pytest.mark.parametrize("size", [(2, 2), (3, 2), (17, 2), (2, 40), (33, 18)])
def test_an_image_of_a_few_pixels_has_a_map(size: tuple[int, int]) -> None:
    width, height = size
    model = MODEL_BY_NAME["SIMPLE_RADIAL"]
    camera = Camera(1, model, width, height, 20, 20, width / 2, height / 2, (-0.1,))
    pinhole = replace(camera, model=MODEL_BY_NAME["PINHOLE"], distortion=())
    assert furthest_off(camera, pinhole) <= 2.5 / 256
