"""The synthetic capture: exact, the same each time, and readable by others."""

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.load import load_scene
from splat_trainer.capture.pixels import Photo
from splat_trainer.capture.synthetic import make_synthetic_capture
from splat_trainer.capture.synthetic.make import ring_poses
from splat_trainer.capture.synthetic.render import make_solids, render
from splat_trainer.capture.undistort import Undistorter
from splat_trainer.contract import Reason, TrainConfig, TrainerError


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "capture"
    make_synthetic_capture(folder, views=10, size=64, seed=3)
    return folder


def test_it_loads_as_a_scene(capture: Path) -> None:
    scene = load_scene(capture, TrainConfig())
    assert (len(scene.train_views), len(scene.test_views)) == (8, 2)
    assert scene.train_views[0].image.shape == (48, 64, 3)
    assert len(scene.points) > 1000


def test_pycolmap_finds_its_model_exact(capture: Path) -> None:
    model = pycolmap.Reconstruction(capture / "sparse" / "0")
    assert model.num_reg_images() == 10
    assert model.compute_mean_track_length() > 2
    errors = []
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        for observed in image.points2D:
            place = model.points3D[observed.point3D_id].xyz
            seen = camera.img_from_cam(image.cam_from_world() * place)
            assert seen is not None
            errors.append(np.linalg.norm(seen - observed.xy))
    assert max(errors) < 1e-6


def test_the_photos_show_the_points_in_their_colours(capture: Path) -> None:
    scene = load_scene(capture, TrainConfig(holdout_every=0))
    model = pycolmap.Reconstruction(capture / "sparse" / "0")
    off = []
    by_name = {image.name: image for image in model.images.values()}
    for view in scene.train_views:
        image = by_name[view.name]
        for observed in image.points2D:
            x, y = observed.xy.astype(int)
            color = model.points3D[observed.point3D_id].color
            off.append(np.abs(view.image[y, x].astype(int) - color).mean())
    assert np.median(off) < 8


def test_the_same_seed_gives_the_same_bytes_and_another_another_scene(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_synthetic_capture(tmp_path / name, views=3, size=32, seed=seed)

    def contents(name: str) -> dict[str, bytes]:
        root = tmp_path / name
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    assert contents("a") == contents("b")
    assert contents("a").keys() == contents("c").keys()
    assert contents("a") != contents("c")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TrainerError, match="not empty") as caught:
        make_synthetic_capture(tmp_path)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainerError, match="file") as caught:
        make_synthetic_capture(tmp_path / "file" / "capture")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("OPENCV", (70.0, 68.0, 33.0, 23.0, -0.2, 0.05, 0.004, -0.003)),
        ("OPENCV_FISHEYE", (45.0, 44.0, 32.0, 24.5, -0.03, 0.01, -0.004, 0.001)),
    ],
)
def test_a_photo_through_a_lens_is_undistorted_to_what_a_pinhole_sees(
    name: str, params: tuple[float, ...]
) -> None:
    solids = make_solids(0)
    pose = ring_poses(4, 0)[1]
    size = 4  # times larger than the numbers above: bilinear resampling blurs a little
    params = tuple(p * size if i < 4 else p for i, p in enumerate(params))
    camera = Camera.from_params(1, MODEL_BY_NAME[name], 64 * size, 48 * size, params)
    photo, pinhole = Undistorter()(Photo(render(solids, camera, pose), None), camera)
    expected = render(solids, pinhole, pose)
    error = (photo.rgb.astype(float) - expected)[1:-1, 1:-1] / 255
    assert -10 * np.log10(np.mean(error**2)) > 33


def test_the_photos_are_worth_looking_at(capture: Path) -> None:
    """Bright enough, coloured, and not one plain field."""
    pixels = np.asarray(Image.open(capture / "images" / "view_001.png")).astype(float)
    assert 40 < pixels.mean() < 200
    assert pixels.std() > 40
    assert np.ptp(pixels, axis=-1).mean() > 10
