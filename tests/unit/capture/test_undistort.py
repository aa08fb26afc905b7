"""Undistortion against pycolmap's own: the camera, the pixels, and what straight lines do."""

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.pixels import Photo, read_photo
from splat_trainer.capture.undistort import Undistorter, about_undistorted, undistorted_camera
from splat_trainer.contract import Reason, TrainerError
from tests.unit.capture.lenses import HEIGHT, LENSES, WIDTH, lens, pycolmap_camera
from tests.unit.capture.real import real


def pycolmaps(camera: Camera) -> pycolmap.Camera:
    return pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), pycolmap_camera(camera))


def assert_same_pinhole(ours: Camera, theirs: pycolmap.Camera) -> None:
    assert ours.model.name == theirs.model_name == "PINHOLE"
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-9)


def smooth_photo(width: int, height: int) -> NDArray[np.uint8]:
    """Waves a few pixels long: resampling at the wrong place shows."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = [np.sin(x / 5 + y / 9), np.cos(x / 7 - y / 4), np.sin((x * y) / 900)]
    return (127.5 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)


@pytest.mark.parametrize("name", LENSES)
def test_the_undistorted_camera_is_the_one_that_pycolmap_makes(name: str) -> None:
    camera = lens(name)
    assert_same_pinhole(undistorted_camera(camera), pycolmaps(camera))


@pytest.mark.parametrize("name", LENSES)
def test_few_points_of_the_border_tell_nearly_the_same_camera(name: str) -> None:
    camera = lens(name).resized(4000, 3000)
    exact, about = undistorted_camera(camera), about_undistorted(camera)
    assert about.width == pytest.approx(exact.width, rel=0.005)
    assert about.height == pytest.approx(exact.height, rel=0.005)


@pytest.mark.parametrize(
    ("scene", "size"),
    [("fern/sparse/0", (497, 372)), ("binbin101/sparse/0", (946, 532))],
)
def test_real_cameras_get_the_sizes_that_colmap_gives_them(
    scene: str, size: tuple[int, int]
) -> None:
    camera = next(iter(read_model(real(scene)).cameras.values()))
    pinhole = undistorted_camera(camera)
    assert (pinhole.width, pinhole.height) == size
    assert_same_pinhole(pinhole, pycolmaps(camera))


def test_every_camera_of_a_real_capture_is_undistorted_as_pycolmap_does() -> None:
    for camera in read_model(real("beer/sparse/0")).cameras.values():
        assert_same_pinhole(undistorted_camera(camera), pycolmaps(camera))


@pytest.mark.parametrize("name", LENSES)
def test_an_undistorted_photo_has_the_pixels_that_pycolmaps_has(name: str) -> None:
    camera = lens(name)
    rgb = smooth_photo(WIDTH, HEIGHT)
    theirs, _ = pycolmap.undistort_image(
        pycolmap.UndistortCameraOptions(),
        pycolmap.Bitmap.from_array(rgb),
        pycolmap_camera(camera),
    )
    ours, _ = Undistorter()(Photo(rgb, None), camera)
    expected = theirs.to_array()
    assert ours.rgb.shape == expected.shape
    off = np.abs(ours.rgb.astype(int) - expected.astype(int))[2:-2, 2:-2]
    assert off.max() <= 2
    assert off.mean() < 0.3


def test_a_real_photo_has_the_pixels_that_pycolmaps_has() -> None:
    folder = real("fern")
    model = read_model(folder / "sparse" / "0")
    image = model.images[0]
    camera = model.cameras[image.camera_id]
    path = folder / "images" / image.name
    photo, pinhole = Undistorter()(read_photo(path, None, camera), camera)
    read = pycolmap.Bitmap.read(path, True)
    assert read is not None
    theirs, _ = pycolmap.undistort_image(
        pycolmap.UndistortCameraOptions(), read, pycolmap_camera(camera)
    )
    expected = theirs.to_array().astype(int)
    assert photo.rgb.shape == expected.shape == (pinhole.height, pinhole.width, 3)
    assert np.abs(photo.rgb.astype(int) - expected)[2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize("name", LENSES)
def test_the_undistorted_photo_shows_what_the_pinhole_sees(name: str) -> None:
    """A photo that holds its own rays: each undistorted pixel must hold the pinhole's ray."""
    camera = lens(name)
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = camera.rays_from_pixels(np.stack([x, y], axis=-1))[..., :2]
    reach = np.abs(rays).max()
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., :2] = np.round((rays / reach + 1) * 127.5)
    photo, pinhole = Undistorter()(Photo(rgb, None), camera)
    x, y = np.meshgrid(np.arange(pinhole.width) + 0.5, np.arange(pinhole.height) + 0.5)
    expected = pinhole.rays_from_pixels(np.stack([x, y], axis=-1))[..., :2]
    seen = (photo.rgb[..., :2].astype(float) / 127.5 - 1) * reach
    assert np.abs(seen - expected)[2:-2, 2:-2].max() < 2.5 * reach / 127.5


def test_a_pinhole_photo_is_left_as_it_is() -> None:
    camera = Camera(1, MODEL_BY_NAME["SIMPLE_RADIAL"], 40, 30, 50, 50, 20, 15, (0.0,))
    photo = Photo(smooth_photo(40, 30), None)
    same, pinhole = Undistorter()(photo, camera)
    assert same is photo
    assert pinhole.model.name == "PINHOLE"
    assert pinhole.params == (50, 50, 20, 15)


def test_no_pixel_of_the_frame_is_blank_for_a_barrel_lens() -> None:
    photo, _ = Undistorter()(Photo(smooth_photo(WIDTH, HEIGHT), None), lens("SIMPLE_RADIAL"))
    assert photo.mask is None


def test_a_mask_moves_with_its_photo() -> None:
    camera = lens("RADIAL")
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, WIDTH // 2 :] = True
    rgb = np.where(mask, np.uint8(255), np.uint8(0))[..., None].repeat(3, axis=-1)
    photo, _ = Undistorter()(Photo(rgb, mask), camera)
    assert photo.mask is not None
    assert np.array_equal(photo.mask, photo.rgb[..., 0] == 255)


@pytest.mark.parametrize("name", ["RADIAL", "OPENCV_FISHEYE"])
def test_no_hidden_color_is_in_a_pixel_that_counts(name: str) -> None:
    camera = lens(name)
    rgb = smooth_photo(WIDTH, HEIGHT)
    mask = np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.02
    black, white = (np.where(mask[..., None], rgb, np.uint8(hidden)) for hidden in (0, 255))
    dark, _ = Undistorter()(Photo(black, mask), camera)
    bright, _ = Undistorter()(Photo(white, mask), camera)
    assert dark.mask is not None
    assert bright.mask is not None
    assert np.array_equal(dark.mask, bright.mask)
    assert 0.7 < dark.mask.mean() < 1
    assert np.array_equal(dark.rgb[dark.mask], bright.rgb[dark.mask])


def test_what_a_lens_does_not_see_is_masked() -> None:
    # Tangential terms this strong leave a wedge that no frame along the axes avoids.
    distortion = (-0.243, 0.029, 0.077, 0.003)
    camera = Camera(1, MODEL_BY_NAME["OPENCV"], 64, 48, 41.0, 50.4, 58.2, 31.5, distortion)
    photo, pinhole = Undistorter()(Photo(smooth_photo(64, 48), None), camera)
    assert photo.mask is not None
    assert photo.mask.shape == (pinhole.height, pinhole.width)
    assert 0.5 < photo.mask.mean() < 1
    x, y = np.meshgrid(np.arange(pinhole.width) + 0.5, np.arange(pinhole.height) + 0.5)
    source = camera.pixels_from_rays(pinhole.rays_from_pixels(np.stack([x, y], axis=-1)))
    assert np.all(source[photo.mask] >= 0)
    assert np.all(source[photo.mask] <= (64, 48))


def test_photos_of_many_cameras_on_many_threads_are_those_of_one() -> None:
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import replace

    cameras = [replace(lens("OPENCV"), camera_id=i, fx=200.0 + i) for i in range(20)] * 2
    photo = Photo(smooth_photo(WIDTH, HEIGHT), None)
    shared = Undistorter()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda camera: shared(photo, camera), cameras))
    for camera, (undistorted, pinhole) in zip(cameras, together, strict=True):
        alone, alone_pinhole = Undistorter()(photo, camera)
        assert pinhole == alone_pinhole
        assert np.array_equal(undistorted.rgb, alone.rgb)


def test_a_panorama_is_refused_with_what_to_do() -> None:
    camera = Camera.from_params(7, MODEL_BY_NAME["EQUIRECTANGULAR"], 100, 50, (100.0, 50.0))
    with pytest.raises(TrainerError, match=r"camera 7 is EQUIRECTANGULAR.*perspective") as caught:
        undistorted_camera(camera)
    with pytest.raises(TrainerError, match=r"camera 7 is EQUIRECTANGULAR"):
        about_undistorted(camera)
    assert caught.value.reason is Reason.INVALID_CAPTURE


def test_a_distortion_that_folds_the_border_over_is_refused() -> None:
    camera = Camera(3, MODEL_BY_NAME["SIMPLE_RADIAL"], 64, 48, 60, 60, 32, 24, (-40.0,))
    with pytest.raises(TrainerError, match=r"camera 3 \(SIMPLE_RADIAL\).*cannot be undone"):
        undistorted_camera(camera)
