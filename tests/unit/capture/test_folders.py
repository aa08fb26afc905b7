"""Where a capture's parts are looked for."""

from pathlib import Path

import pytest

from splat_trainer.capture.folders import (
    find_converted_image,
    find_folders,
    find_image,
    find_mask,
    suffixes_in,
)
from splat_trainer.contract import Reason, TrainerError
from tests.unit.capture.small_model import write_small_model


@pytest.mark.parametrize("where", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_the_model_is_found_in_each_of_the_usual_places(where: str, tmp_path: Path) -> None:
    write_small_model(tmp_path / where)
    (tmp_path / "images").mkdir()
    found = find_folders(tmp_path)
    assert found.model.resolve() == (tmp_path / where).resolve()
    assert found.images == tmp_path / "images"
    assert found.masks is None


def test_a_model_named_by_itself_finds_the_images_above_it(tmp_path: Path) -> None:
    write_small_model(tmp_path / "sparse_opencv" / "0")
    (tmp_path / "images").mkdir()
    assert find_folders(tmp_path / "sparse_opencv" / "0").images.samefile(tmp_path / "images")


def test_a_capture_without_its_images_does_not_take_those_of_its_neighbours(
    tmp_path: Path,
) -> None:
    write_small_model(tmp_path / "one" / "sparse" / "0")
    (tmp_path / "images").mkdir()
    with pytest.raises(TrainerError, match="no folder of images: looked for images, images_2"):
        find_folders(tmp_path / "one")


@pytest.mark.parametrize("name", ["images", "images_2", "images_4", "images_8", "input"])
def test_each_usual_folder_of_images_is_found(name: str, tmp_path: Path) -> None:
    write_small_model(tmp_path / "sparse" / "0")
    (tmp_path / name).mkdir()
    assert find_folders(tmp_path).images == tmp_path / name


def test_full_size_images_are_preferred(tmp_path: Path) -> None:
    write_small_model(tmp_path / "sparse" / "0")
    for name in ("images_8", "images_2", "images"):
        (tmp_path / name).mkdir()
    assert find_folders(tmp_path).images == tmp_path / "images"


@pytest.mark.parametrize(("make", "said"), [("nothing", "is not there"), ("file", "is a file")])
def test_no_folder_is_not_found(make: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    if make == "file":
        path.write_text("")
    with pytest.raises(TrainerError, match=said) as caught:
        find_folders(path)
    assert caught.value.reason is Reason.CAPTURE_NOT_FOUND


def test_a_folder_without_a_model_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="sparse/0, sparse, colmap/sparse/0") as caught:
        find_folders(tmp_path)
    assert caught.value.reason is Reason.CAPTURE_NOT_FOUND


def test_images_are_found_by_nested_names(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "1.png").write_text("")
    assert find_image(tmp_path, "left/1.png") == tmp_path / "left" / "1.png"
    assert find_image(tmp_path, "left\\1.png") == tmp_path / "left" / "1.png"
    assert find_image(tmp_path, "left/1.PNG") == tmp_path / "left" / "1.png"
    assert find_image(tmp_path, "left/1.JPG") is None
    assert find_image(tmp_path, "left/2.png") is None


def test_another_suffix_counts_where_none_of_the_files_has_the_models(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "1.png").write_text("")
    assert suffixes_in(tmp_path) == {".png"}
    assert find_converted_image(tmp_path, "left/1.JPG", {".png"}) == tmp_path / "left" / "1.png"
    assert find_converted_image(tmp_path, "left/1", {".png", ""}) == tmp_path / "left" / "1.png"
    assert find_converted_image(tmp_path, "left/2.JPG", {".png"}) is None
    assert find_converted_image(tmp_path, "left/1.JPG", {".png", ".JPG"}) is None


def test_masks_are_found_as_colmap_and_as_others_name_them(tmp_path: Path) -> None:
    (tmp_path / "1.jpg.png").write_text("")
    (tmp_path / "2.png").write_text("")
    assert find_mask(tmp_path, "1.jpg") == tmp_path / "1.jpg.png"
    assert find_mask(tmp_path, "2.jpg") == tmp_path / "2.png"
    assert find_mask(tmp_path, "3.jpg") is None
    assert find_mask(None, "1.jpg") is None


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/passwd", "a/../../b.png", "..\\b.png", ".", "a\0.png"]
)
def test_a_name_that_leads_out_of_the_images_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="leads out of the folder") as caught:
        find_image(tmp_path, name)
    assert caught.value.reason is Reason.INVALID_CAPTURE
    assert caught.value.message.isprintable()


def test_a_name_longer_than_the_system_takes_is_one_short_line(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="File name too long") as caught:
        find_image(tmp_path, "x" * 4000)
    assert len(caught.value.message) < 300
