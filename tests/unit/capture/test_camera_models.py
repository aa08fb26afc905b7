"""Projection and its inverse of each camera model, against pycolmap's and against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from tests.unit.capture.lenses import HEIGHT, LENSES, WIDTH, lens, pycolmap_camera


def some_pixels(seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform((0, 0), (WIDTH, HEIGHT), (500, 2))


@pytest.mark.parametrize("name", LENSES)
def test_rays_project_where_pycolmap_projects_them(name: str) -> None:
    camera = lens(name)
    theirs = pycolmap_camera(camera)
    reach = 0.45 if "FISHEYE" not in name else 1.2
    rays = np.random.default_rng(1).uniform(-reach, reach, (500, 3))
    rays[:, 2] = 1
    rays[0, :2] = 0
    expected = np.asarray(theirs.img_from_cam(rays), np.float64)
    np.testing.assert_allclose(camera.pixels_from_rays(rays), expected, atol=1e-6)


@pytest.mark.parametrize("name", LENSES)
def test_a_pixel_seen_along_its_ray_is_that_pixel(name: str) -> None:
    camera = lens(name)
    pixels = some_pixels()
    rays = camera.rays_from_pixels(pixels)
    assert np.all(np.isfinite(rays))
    np.testing.assert_allclose(camera.pixels_from_rays(rays), pixels, atol=1e-5)


@pytest.mark.parametrize("name", LENSES)
def test_rays_of_pixels_are_pycolmaps(name: str) -> None:
    camera = lens(name)
    pixels = some_pixels()
    theirs = np.asarray(pycolmap_camera(camera).cam_from_img(pixels))
    np.testing.assert_allclose(camera.rays_from_pixels(pixels)[:, :2], theirs, atol=1e-5)


@pytest.mark.parametrize("omega", [1e-3, 5e-3, 0.02])
def test_a_field_of_view_of_almost_nothing_is_almost_a_pinhole(omega: float) -> None:
    model = MODEL_BY_NAME["FOV"]
    camera = Camera.from_params(1, model, 200, 150, (200.0, 200.0, 100.0, 75.0, omega))
    rays = np.array([[0.3, -0.2, 1.0], [0.0, 0.0, 1.0]])
    pinhole = rays[:, :2] * 200 + [100, 75]
    np.testing.assert_allclose(camera.pixels_from_rays(rays), pinhole, atol=0.01)


@given(
    name=st.sampled_from(sorted(LENSES)),
    scale=st.floats(-50, 50),
    pixels=st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=1, max_size=5),
)
@settings(max_examples=150)
def test_any_lens_answers_with_a_true_ray_or_with_none(
    name: str, scale: float, pixels: list[tuple[float, float]]
) -> None:
    sane = lens(name)
    camera = Camera(
        1,
        sane.model,
        WIDTH,
        HEIGHT,
        sane.fx,
        sane.fy,
        sane.cx,
        sane.cy,
        tuple(scale * k for k in sane.distortion),
    )
    rays = camera.rays_from_pixels(np.array(pixels))
    solved = np.all(np.isfinite(rays), axis=1)
    back = camera.pixels_from_rays(rays[solved])
    np.testing.assert_allclose(back, np.array(pixels)[solved], atol=1e-2)
