"""What `inspect` finds in a capture, and what it calls a problem."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.inspect import inspect_capture
from splat_trainer.capture.undistort import undistorted_camera
from splat_trainer.contract import TrainerError
from tests.unit.capture.real import real
from tests.unit.capture.small_model import (
    CAMERA,
    points,
    posed,
    write_capture_at,
    write_small_capture,
    write_small_model,
)


def problems(folder: Path) -> str:
    return "\n".join(inspect_capture(folder).problems)


def test_a_sound_real_capture_has_no_problems() -> None:
    report = inspect_capture(real("fern"))
    assert report.problems == ()
    assert (report.images, report.readable_images, report.points) == (20, 20, 10_091)
    assert report.image_sizes == {"504x378": 20}
    (camera,) = report.cameras
    assert (camera.model, camera.undistorted_width, camera.undistorted_height) == (
        "SIMPLE_RADIAL",
        497,
        372,
    )
    assert report.image_bytes == 20 * 497 * 372 * 3  # as they are trained on
    assert report.largest_pixels == 497 * 372


def test_seventy_one_cameras_are_one_line() -> None:
    (camera,) = inspect_capture(real("beer")).cameras
    assert (camera.cameras, camera.images) == (71, 71)


def test_a_small_capture_is_told_to_be_small(tmp_path: Path) -> None:
    said = problems(write_small_capture(tmp_path))
    assert "only 3 images" in said
    assert "only 20 points" in said


def test_missing_unreadable_and_unposed_images_are_all_told(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "images" / "1.png").unlink()
    (folder / "images" / "2.png").write_bytes(b"")
    Image.new("RGB", (32, 24)).save(folder / "images" / "extra.png")
    said = problems(folder)
    assert "1 of 3 images ('1.png') of the model have no file" in said
    assert "2.png is no image" in said
    assert "1 of 3 images ('extra.png')" in said
    assert "have no pose" in said
    assert inspect_capture(folder).readable_images == 1


def test_photos_that_were_converted_are_a_notice(tmp_path: Path) -> None:
    images = tuple(posed(i, name=f"{i}.jpg") for i in (1, 2, 3))
    report = inspect_capture(write_small_capture(tmp_path, images=images))
    assert report.readable_images == 3
    (notice,) = report.notices
    assert "'1.jpg', the first, is read from '1.png'" in notice


def test_masks_are_counted(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "masks").mkdir()
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / "masks" / "1.png")
    report = inspect_capture(folder)
    assert report.mask_folder == str(folder / "masks")
    assert report.masked_images == 1


def test_images_that_their_masks_hide_whole_are_told(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "masks").mkdir()
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(folder / "masks" / "1.png")
    assert "1 of 3 images ('1.png') are hidden whole by their masks" in problems(folder)


def write_masks(folder: Path, *names: str) -> Path:
    (folder / "masks").mkdir()
    for name in names:
        Image.new("L", (32, 24), 255).save(folder / "masks" / name)
    return folder


def test_masks_of_other_names_are_a_problem_with_the_names_that_are_looked_for(
    tmp_path: Path,
) -> None:
    folder = write_masks(write_small_capture(tmp_path), "1.jpg", "2.jpg", "3.jpg")
    said = problems(folder)
    assert "none of 3 images finds a mask" in said
    assert "looked for '1.png.png' or '1.png', and so on" in said
    assert "begins with '1.jpg'" in said
    assert inspect_capture(folder).notices == ()


def test_masks_of_some_images_alone_may_be_meant_so(tmp_path: Path) -> None:
    folder = write_masks(write_small_capture(tmp_path), "2.png", "3.png.png")
    report = inspect_capture(folder)
    assert "mask" not in "".join(report.problems)
    (notice,) = report.notices
    assert "1 of 3 images, '1.png' first, find no mask" in notice


def test_masks_of_all_images_or_of_none_in_an_empty_folder_are_nothing_to_tell(
    tmp_path: Path,
) -> None:
    whole = write_masks(write_small_capture(tmp_path / "whole"), "1.png", "2.png", "3.png")
    empty = write_masks(write_small_capture(tmp_path / "empty"))
    (empty / "masks" / ".DS_Store").write_bytes(b"")
    for folder in (whole, empty):
        report = inspect_capture(folder)
        assert "mask" not in "".join((*report.problems, *report.notices))


def test_a_capture_too_far_from_its_origin_is_told(tmp_path: Path) -> None:
    assert "far from its origin" not in problems(write_small_capture(tmp_path / "near"))
    far = write_capture_at(tmp_path / "far", (500_000.0, 4_649_776.0, 120.0))
    assert "set frame to normalized" in problems(far)


def test_a_poor_reconstruction_is_told(tmp_path: Path) -> None:
    sparse = replace(points(), errors=np.full(20, 3.5))
    assert "reprojection error is 3.50 pixels" in problems(
        write_small_capture(tmp_path, sparse=sparse)
    )


def test_points_without_a_known_error_have_no_mean(tmp_path: Path) -> None:
    sparse = replace(points(), errors=np.full(20, -1.0))
    report = inspect_capture(write_small_capture(tmp_path, sparse=sparse))
    assert report.mean_reprojection_error is None


def test_a_reconstruction_in_parts_is_told(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "sparse" / "1").mkdir()
    assert "fell into 2 parts" in problems(folder)


def test_a_lens_that_cannot_be_undistorted_is_told(tmp_path: Path) -> None:
    camera = replace(CAMERA, model=MODEL_BY_NAME["OPENCV"], distortion=(-90.0, 0.0, 0.0, 0.0))
    folder = write_small_capture(tmp_path, camera=camera)
    assert "cannot be undone" in problems(folder)
    assert inspect_capture(folder).cameras[0].undistorted_width is None


FOLDED = replace(CAMERA, model=MODEL_BY_NAME["OPENCV"], distortion=(-90.0, 0.0, 0.0, 0.0))
SOUND = replace(FOLDED, distortion=(-0.05, 0.0, 0.0, 0.0))


def write_cameras(folder: Path, *cameras: Camera) -> Path:
    """The small capture, whose images are of the first cameras in turn."""
    images = tuple(posed(i, camera_id=min(i, len(cameras))) for i in (1, 2, 3))
    write_small_capture(folder)
    write_small_model(
        folder / "sparse" / "0",
        cameras=tuple(replace(camera, camera_id=i) for i, camera in enumerate(cameras, 1)),
        images=images,
    )
    return folder


def test_every_camera_that_an_image_uses_is_looked_at(tmp_path: Path) -> None:
    folder = write_cameras(tmp_path, SOUND, FOLDED, FOLDED)
    assert "camera 2 (OPENCV) has a distortion that cannot be undone" in problems(folder)
    assert "calibrate it again (1 more likewise)" in problems(folder)
    (camera,) = inspect_capture(folder).cameras
    assert (camera.cameras, camera.images) == (3, 3)
    pinhole = undistorted_camera(SOUND)
    assert (camera.undistorted_width, camera.undistorted_height) == (pinhole.width, pinhole.height)


def test_a_camera_that_no_image_uses_is_no_problem(tmp_path: Path) -> None:
    folder = write_cameras(tmp_path, SOUND, SOUND, SOUND, FOLDED)
    assert "cannot be undone" not in problems(folder)
    wide = replace(FOLDED, width=64)
    folder = write_cameras(tmp_path / "other", SOUND, SOUND, SOUND, wide)
    report = inspect_capture(folder)
    assert "cannot be undone" not in "".join(report.problems)
    assert [camera.images for camera in report.cameras] == [3, 0]


@pytest.mark.parametrize("errors", [[np.inf], [1e308, 1e308]])
def test_errors_without_end_are_no_mean(errors: list[float], tmp_path: Path) -> None:
    sparse = replace(points(), errors=np.array(errors + [-1.0] * (20 - len(errors))))
    report = inspect_capture(write_small_capture(tmp_path, sparse=sparse))
    assert report.mean_reprojection_error is None
    assert "reprojection error" not in "".join(report.problems)


def test_a_model_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path, images=(posed(1, qvec=(0.0, 0.0, 0.0, 0.0)),))
    with pytest.raises(TrainerError, match="length zero"):
        inspect_capture(folder)
