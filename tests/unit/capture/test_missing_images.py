"""Images of a model with no file, or one that cannot be decoded: named, or left out and told."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from splat_trainer.capture.camera import MODEL_BY_NAME
from splat_trainer.capture.load import load_scene
from splat_trainer.contract import Reason, TrainConfig
from tests.unit.capture.loading import fault, names
from tests.unit.capture.small_model import CAMERA, posed, write_small_capture, write_small_model


def test_a_missing_image_is_named_and_what_to_do(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "images" / "2.png").unlink()
    error = fault(folder)
    assert error.reason is Reason.CAPTURE_NOT_FOUND
    assert "lacks 1 of the 3 images of the model, '2.png' first" in error.message


def test_training_goes_on_without_missing_images_when_asked_and_tells_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "images" / "2.png").unlink()
    scene = load_scene(folder, TrainConfig(allow_missing_images=True, holdout_every=0))
    assert names(scene)[0] == ["1.png", "3.png"]
    assert scene.missing_images == 1
    assert "1 of 3 images, '2.png' first, have no file: left out" in caplog.text


def test_a_capture_that_is_whole_lacks_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = load_scene(write_small_capture(tmp_path), TrainConfig(allow_missing_images=True))
    assert scene.missing_images == 0
    assert caplog.text == ""


def test_an_unreadable_image_is_named_and_may_be_left_out_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_small_capture(tmp_path)
    (folder / "images" / "2.png").write_bytes(b"")
    error = fault(folder)
    assert error.reason is Reason.INVALID_CAPTURE
    assert "2.png is no image" in error.message
    scene = load_scene(folder, TrainConfig(allow_missing_images=True, holdout_every=0))
    assert names(scene)[0] == ["1.png", "3.png"]
    assert scene.missing_images == 1
    assert "1 of 3 images cannot be decoded: left out; first, " in caplog.text
    assert "2.png is no image" in caplog.text


def test_absent_and_undecodable_images_are_counted_together(tmp_path: Path) -> None:
    images = tuple(posed(i, name=f"{i}.png") for i in (1, 2, 3, 4))
    folder = write_small_capture(tmp_path, images=images)  # of which it writes three
    (folder / "images" / "2.png").write_bytes((folder / "images" / "2.png").read_bytes()[:200])
    assert load_scene(folder, TrainConfig(allow_missing_images=True)).missing_images == 2


def spoil_a_mask(folder: Path) -> None:
    (folder / "masks").mkdir()
    Image.new("L", (8, 6), 255).save(folder / "masks" / "2.png")


def break_a_mask(folder: Path) -> None:
    (folder / "masks").mkdir()
    (folder / "masks" / "2.png").write_bytes(b"")


def turn_a_photo(folder: Path) -> None:
    Image.new("RGB", (24, 32)).save(folder / "images" / "2.png")


def deepen_a_photo(folder: Path) -> None:
    Image.new("I;16", (32, 24)).save(folder / "images" / "2.png")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_a_mask, "2.png is 8x6 pixels, and its image 32x24"),
        (break_a_mask, "masks/2.png is no image"),
        (turn_a_photo, "2.png is 24x32 pixels, and its camera 1 is 32x24"),
        (deepen_a_photo, "2.png has more than 8 bits a channel"),
    ],
)
def test_allowing_missing_images_forgives_nothing_else(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = write_small_capture(tmp_path)
    spoil(folder)
    (folder / "images" / "1.png").write_bytes(b"")
    error = fault(folder, TrainConfig(allow_missing_images=True))
    assert error.reason is Reason.INVALID_CAPTURE
    assert said in error.message
    assert "and so" not in error.message


def test_a_lens_that_cannot_be_undone_is_no_missing_image(tmp_path: Path) -> None:
    lens = replace(CAMERA, model=MODEL_BY_NAME["OPENCV"], distortion=(-90.0, 0.0, 0.0, 0.0))
    images = (posed(1), posed(2), posed(3, camera_id=2))
    folder = write_small_capture(tmp_path, images=images)
    write_small_model(
        folder / "sparse" / "0", cameras=(CAMERA, replace(lens, camera_id=2)), images=images
    )
    error = fault(folder, TrainConfig(allow_missing_images=True))
    assert "camera 2 (OPENCV) has a distortion that cannot be undone" in error.message


def test_several_unreadable_images_are_counted(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    for name in ("1.png", "2.png", "3.png"):
        (folder / "images" / name).write_bytes(b"")
    assert "(and so are 2 more)" in fault(folder).message
    assert "1.png" in fault(folder, TrainConfig(allow_missing_images=True)).message


@pytest.mark.parametrize("allow", [False, True])
def test_images_that_are_none_of_the_models_are_told_by_name(allow: bool, tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    for path in (folder / "images").iterdir():
        path.rename(path.with_name(f"IMG_{path.name}"))
    error = fault(folder, TrainConfig(allow_missing_images=allow))
    assert error.reason is Reason.CAPTURE_NOT_FOUND
    assert "none of the 3 images of the model: it names '1.png'" in error.message
    assert "begins with 'IMG_1.png'" in error.message
