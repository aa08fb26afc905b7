"""From a folder to a scene: real captures, and captures that lack or lie."""

import errno
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat_trainer.capture import load
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.load import load_scene, split_views
from splat_trainer.capture.scene import View
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from tests.unit.capture.loading import fault, names
from tests.unit.capture.real import real, real_subset
from tests.unit.capture.small_model import (
    CAMERA,
    FISHEYE,
    points,
    posed,
    write_small_capture,
)
from tests.unit.unprivileged import unprivileged


@pytest.mark.parametrize(
    ("name", "every", "train", "test", "size"),
    [
        ("fern", 1, 17, 3, (497, 372)),
        ("binbin101", 4, 22, 4, (946, 532)),
        ("beer", 8, 7, 2, None),
        ("bonsai", 9, 28, 5, (800, 533)),
        ("bonsai/sparse_opencv/0", 9, 28, 5, (799, 532)),
    ],
)
def test_a_real_capture_is_a_scene(
    name: str, every: int, train: int, test: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    folder = real_subset(name, tmp_path, every)
    scene = load_scene(folder, TrainConfig(lens="model", allow_missing_images=every > 1))
    assert (len(scene.train_views), len(scene.test_views)) == (train, test)
    for view in (*scene.train_views, *scene.test_views):
        if size is not None:
            assert view.image.shape == (size[1], size[0], 3)
        assert view.image.dtype == np.uint8
        np.testing.assert_allclose(
            view.camtoworld[:3, :3] @ view.camtoworld[:3, :3].T, np.eye(3), atol=1e-9
        )
    assert scene.scene_scale == pytest.approx(1.1)
    assert scene.points.dtype == np.float32
    assert scene.points_rgb.shape == scene.points.shape


@pytest.mark.parametrize("name", ["fern", "beer", "binbin101", "bonsai/sparse_opencv/0"])
def test_points_land_on_the_pixels_that_observed_them(name: str, tmp_path: Path) -> None:
    """The whole chain at once: pose, lens, frame and scale against COLMAP's own observations."""
    import pycolmap

    folder = real_subset(name, tmp_path, 12)
    config = TrainConfig(max_side=400, holdout_every=0, allow_missing_images=True)
    scene = load_scene(folder, config)
    theirs = pycolmap.Reconstruction(folder / "sparse" / "0")
    by_name = {image.name: image for image in theirs.images.values()}
    # Points come in the order of the file; find each of pycolmap's by its place.
    xyz = read_model(folder / "sparse" / "0").points.xyz
    row_of = {place.tobytes(): row for row, place in enumerate(xyz)}
    errors = []
    for view in scene.train_views[:5]:
        image = by_name[view.name]
        camera = theirs.cameras[image.camera_id]
        for observed in image.points2D:
            place = theirs.points3D[observed.point3D_id].xyz
            ray = camera.cam_from_img(observed.xy)
            assert ray is not None
            expected = view.K @ np.array([*ray, 1.0])
            row = row_of[place.tobytes()]
            local = view.camtoworld[:3, :3].T @ (scene.points[row] - view.camtoworld[:3, 3])
            assert local[2] > 0
            seen = view.K @ (local / local[2])
            errors.append(np.linalg.norm(seen[:2] - expected[:2]))
    assert len(errors) > 100
    assert np.median(errors) < 0.6


def test_every_eighth_image_by_name_is_held_out_the_first_included() -> None:
    scene = load_scene(real("fern"), TrainConfig(max_side=64))
    train, test = names(scene)
    assert test == ["image000.png", "image008.png", "image016.png"]
    assert sorted(train + test) == [f"image{i:03d}.png" for i in range(20)]


def test_no_image_is_held_out_where_none_is_asked_for(tmp_path: Path) -> None:
    scene = load_scene(write_small_capture(tmp_path), TrainConfig(holdout_every=0))
    assert names(scene) == (["1.png", "2.png", "3.png"], [])


def test_views_are_split_by_their_place_in_the_list() -> None:
    image = np.zeros((1, 1, 3), np.uint8)
    views = [View(name, np.eye(4), np.eye(3), image) for name in "abcdefgh"]
    train, test = split_views(views, 3)
    assert "".join(view.name for view in test) == "adg"
    assert "".join(view.name for view in train) == "bcefh"


def test_downscaling_scales_the_intrinsics(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    full = load_scene(folder, TrainConfig()).train_views[0]
    half = load_scene(folder, TrainConfig(max_side=16)).train_views[0]
    np.testing.assert_allclose(half.K[:2], full.K[:2] / 2)
    assert (half.width, half.height) == (16, 12)


def test_images_of_half_the_cameras_size_have_half_its_intrinsics(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    for path in (folder / "images").iterdir():
        Image.open(path).resize((16, 12)).save(path)
    view = load_scene(folder, TrainConfig()).train_views[0]
    expected = np.array([[15, 0, 8], [0, 15.5, 6], [0, 0, 1]])
    np.testing.assert_allclose(view.K, expected)


def test_nested_names_and_masks_reach_the_views(tmp_path: Path) -> None:
    images = tuple(posed(i, name=f"left/{i}.jpg") for i in (1, 2, 3))
    folder = write_small_capture(tmp_path, images=images)
    (folder / "images").rename(folder / "left")
    (folder / "images").mkdir()
    (folder / "left").rename(folder / "images" / "left")
    mask = np.zeros((24, 32), np.uint8)
    mask[:, :10] = 255
    (folder / "masks" / "left").mkdir(parents=True)
    Image.fromarray(mask).save(folder / "masks" / "left" / "2.jpg.png")
    scene = load_scene(folder, TrainConfig(holdout_every=0))
    assert names(scene)[0] == ["left/1.jpg", "left/2.jpg", "left/3.jpg"]
    with_mask = scene.train_views[1]
    assert with_mask.mask is not None
    assert np.array_equal(with_mask.mask, mask > 0)
    assert scene.train_views[0].mask is None


def write_photos(folder: Path, suffix: str) -> Path:
    """The small capture, whose model names JPEGs, with photos of a suffix."""
    write_small_capture(folder, images=tuple(posed(i, name=f"{i}.jpg") for i in (1, 2, 3)))
    for path in (folder / "images").iterdir():
        path.rename(path.with_suffix(suffix))
    return folder


def test_a_file_of_the_same_stem_beside_photos_is_not_the_absent_one(tmp_path: Path) -> None:
    folder = write_photos(tmp_path, ".jpg")
    for i in (1, 2, 3):
        Image.new("RGB", (32, 24)).save(folder / "images" / f"{i}.png")  # say, depth maps
    (folder / "images" / "2.jpg").unlink()
    error = fault(folder)
    assert error.reason is Reason.CAPTURE_NOT_FOUND
    assert "lacks 1 of the 3 images of the model, '2.jpg' first" in error.message


def test_photos_that_were_converted_are_taken_and_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_photos(tmp_path, ".png")
    with caplog.at_level(logging.INFO):
        scene = load_scene(folder, TrainConfig(lens="model"))
    assert len(scene.train_views) + len(scene.test_views) == 3
    (told,) = caplog.messages
    assert told.startswith(
        "3 of 3 images have another suffix than in the model: '1.jpg', the first"
    )


def masked_whole(folder: Path, *names: str) -> Path:
    (folder / "masks").mkdir(exist_ok=True)
    for name in names:
        Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / "masks" / name)
    return folder


def test_an_image_that_its_mask_hides_whole_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its PSNR would be that of nothing: none, or without end."""
    folder = masked_whole(write_small_capture(tmp_path), "1.png")
    scene = load_scene(folder, TrainConfig())
    assert names(scene) == (["3.png"], ["2.png"])
    assert "1 of 3 images, '1.png' first, are hidden whole by their masks" in caplog.text


def test_masks_that_hide_all_images_leave_nothing_to_train_on(tmp_path: Path) -> None:
    folder = masked_whole(write_small_capture(tmp_path), "1.png", "2.png", "3.png")
    assert "0 usable images" in fault(folder).message


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["1.jpg", "2.jpg", "3.jpg"], "none of 3 images finds a mask"),
        (["2.png"], "2 of 3 images, '1.png' first, find no mask"),
        (["1.png", "2.png", "3.png"], ""),
        ([], ""),
    ],
)
def test_masks_that_no_image_finds_are_told(
    names: list[str], said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "masks").mkdir()
    for name in names:
        Image.new("L", (32, 24), 255).save(folder / "masks" / name)
    load_scene(folder, TrainConfig())
    assert said in caplog.text
    assert bool(caplog.text) == bool(said)


def test_memory_is_counted_of_undistorted_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_small_capture(tmp_path, camera=FISHEYE)
    views = load_scene(folder, TrainConfig(holdout_every=0)).train_views
    needed = sum(view.image.nbytes for view in views)
    assert needed > 2 * 3 * 3 * CAMERA.width * CAMERA.height
    monkeypatch.setattr(load, "available_bytes", lambda: needed - 100)
    error = fault(folder)
    assert error.reason is Reason.OUT_OF_MEMORY
    side = int(error.message.rpartition(" ")[2])
    load_scene(folder, TrainConfig(max_side=side))


def test_an_empty_folder_of_images_says_so(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    shutil.rmtree(folder / "images")
    (folder / "images").mkdir()
    assert "the folder is empty" in fault(folder).message


def test_one_image_is_not_enough(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path, images=(posed(1),))
    error = fault(folder)
    assert error.reason is Reason.INVALID_CAPTURE
    assert "at least 2 are needed" in error.message


def test_holding_out_every_image_is_the_configurations_fault(tmp_path: Path) -> None:
    error = fault(write_small_capture(tmp_path), TrainConfig(holdout_every=1))
    assert error.reason is Reason.INVALID_CONFIGURATION
    assert "holdoutEvery 1 holds out all 3 images" in error.message


def test_too_few_points_are_counted(tmp_path: Path) -> None:
    error = fault(write_small_capture(tmp_path, sparse=points(3)))
    assert error.reason is Reason.INVALID_CAPTURE
    assert "3 points: at least 4" in error.message


def test_an_image_of_another_size_than_its_camera_is_named(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    Image.new("RGB", (24, 32)).save(folder / "images" / "3.png")
    error = fault(folder)
    assert error.reason is Reason.INVALID_CAPTURE
    assert "3.png is 24x32 pixels, and its camera 1 is 32x24" in error.message


@pytest.mark.parametrize("name", ["two\nlines.png", "bell\a.png", "right\u202eleft.png"])
def test_a_name_of_strange_characters_is_told_on_one_line(name: str, tmp_path: Path) -> None:
    images = (posed(1), posed(2), posed(3, name=name))
    folder = write_small_capture(tmp_path, images=images)
    (folder / "images" / name).write_bytes(b"")
    assert "is no image" in fault(folder).message  # which also sees that it is printable


def test_a_name_that_climbs_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    images = (posed(1), posed(2, name="../../secret.png"))
    assert "leads out" in fault(write_small_capture(tmp_path, images=images)).message


@pytest.mark.parametrize("part", ["", "sparse", "sparse/0/points3D.bin", "images", "images/2.png"])
def test_what_may_not_be_read_is_denied_not_called_broken(part: str, tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path / "capture")
    everybodys = Path(tempfile.gettempdir())
    for parent in (tmp_path, *tmp_path.parents):
        if parent.is_relative_to(everybodys) and parent != everybodys:
            parent.chmod(0o755)
    (folder / part).chmod(0)
    with unprivileged():
        error = fault(folder)
    (folder / part).chmod(0o755)
    assert error.reason is Reason.STORAGE_DENIED
    assert part in error.message
    assert "let user" in error.message


def test_storage_that_fails_while_an_image_is_read_may_be_tried_again() -> None:
    from splat_trainer.capture.fault import reading

    with pytest.raises(TrainerError, match="try again") as caught, reading(Path("images/a.png")):
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.reason is Reason.STORAGE_UNAVAILABLE


def test_loading_the_same_capture_twice_gives_the_same_scene(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    one, other = (load_scene(folder, TrainConfig()) for _ in range(2))
    assert np.array_equal(one.points, other.points)
    for view, same in zip(one.train_views, other.train_views, strict=True):
        assert np.array_equal(view.image, same.image)
        assert np.array_equal(view.camtoworld, same.camtoworld)
