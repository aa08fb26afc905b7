"""Our reading of a COLMAP model against pycolmap's own, binary and text."""

from pathlib import Path

import numpy as np
import pycolmap
import pytest

from splat_trainer.capture.camera import CAMERA_MODELS, MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.model import ColmapModel
from tests.unit.capture.real import MODELS, real
from tests.unit.capture.small_model import write_small_model


def assert_same(ours: ColmapModel, theirs: pycolmap.Reconstruction) -> None:
    assert set(ours.cameras) == set(theirs.cameras)
    for camera_id, camera in ours.cameras.items():
        other = theirs.cameras[camera_id]
        assert (camera.model.name, camera.width, camera.height) == (
            other.model_name,
            other.width,
            other.height,
        )
        assert camera.params == tuple(other.params)
    assert {image.image_id for image in ours.images} == set(theirs.images)
    for image in ours.images:
        other_image = theirs.images[image.image_id]
        assert image.name == other_image.name
        assert image.camera_id == other_image.camera_id
        world_to_camera = np.linalg.inv(image.camtoworld)[:3]
        np.testing.assert_allclose(
            world_to_camera, other_image.cam_from_world().matrix(), atol=1e-9
        )
    rows = [
        (point_id, *point.xyz, *point.color, point.error, point.track.length())
        for point_id, point in sorted(theirs.points3D.items())
    ]
    points = ours.points
    mine = np.column_stack(
        [points.ids, points.xyz, points.rgb, points.errors, points.track_lengths]
    )
    np.testing.assert_allclose(mine[np.argsort(points.ids)], np.array(rows), rtol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_real_binary_model_reads_as_pycolmap_reads_it(name: str) -> None:
    folder = real(name)
    assert_same(read_model(folder), pycolmap.Reconstruction(folder))


@pytest.mark.parametrize("name", ["fern/sparse/0", "beer/sparse/0"])
def test_a_real_model_as_text_reads_as_pycolmap_reads_it(name: str, tmp_path: Path) -> None:
    pycolmap.Reconstruction(real(name)).write_text(tmp_path)
    assert_same(read_model(tmp_path), pycolmap.Reconstruction(tmp_path))


def test_the_table_of_camera_models_is_pycolmaps() -> None:
    theirs = {
        name: int(value)
        for name, value in pycolmap.CameraModelId.__members__.items()
        if name != "INVALID"
    }
    assert {model.name: model.model_id for model in CAMERA_MODELS} == theirs
    for model in CAMERA_MODELS:
        info = pycolmap.Camera.create_from_model_name(1, model.name, 100, 200, 100).params_info
        assert tuple(part.strip() for part in info.split(",")) == model.params


@pytest.mark.parametrize("name", MODEL_BY_NAME)
@pytest.mark.parametrize("form", ["binary", "text"])
def test_each_camera_model_goes_through_pycolmap_and_back(
    name: str, form: str, tmp_path: Path
) -> None:
    model = MODEL_BY_NAME[name]
    params = (100.0, 50.0) if name == "EQUIRECTANGULAR" else (
        90.0, *(50.0, 25.0, 0.01, 0.02, 0.03, 0.04, 0.05)[: len(model.params) - 1],
        *([0.001] * max(0, len(model.params) - 8)),
    )  # fmt: skip
    camera = Camera.from_params(1, model, 100, 50, params)
    assert camera.params == params
    write_small_model(tmp_path, camera=camera)
    theirs = pycolmap.Reconstruction(tmp_path)
    assert_same(read_model(tmp_path), theirs)
    again = tmp_path / "again"
    again.mkdir()
    theirs.write_text(again) if form == "text" else theirs.write_binary(again)
    assert_same(read_model(again), theirs)


def test_names_with_spaces_and_folders_survive_as_text(tmp_path: Path) -> None:
    from tests.unit.capture.small_model import posed

    names = ("left/a b.png", "left/ä.png", "right/a b.png")
    images = tuple(posed(i, name=name) for i, name in enumerate(names, start=1))
    write_small_model(tmp_path, images=images)
    assert [image.name for image in read_model(tmp_path).images] == sorted(names)
    text = tmp_path / "text"
    text.mkdir()
    pycolmap.Reconstruction(tmp_path).write_text(text)
    assert [image.name for image in read_model(text).images] == sorted(names)


def test_binary_is_read_where_both_forms_lie(tmp_path: Path) -> None:
    write_small_model(tmp_path)
    for name in ("cameras", "images", "points3D"):
        (tmp_path / f"{name}.txt").write_text("no model\n")
    assert len(read_model(tmp_path).images) == 3
