"""A lens that a model left out is found in its tracks, and none is found where there is none."""

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from splat_trainer.capture import adjust as adjusting
from splat_trainer.capture.adjust import adjust, reprojection_errors
from splat_trainer.capture.camera import MODEL_BY_NAME, Camera
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.colmap_write import write_model
from splat_trainer.capture.fit_lens import fit_lens, with_fitted_lens
from splat_trainer.capture.inspect import inspect_capture
from splat_trainer.capture.load import load_scene
from splat_trainer.capture.model import (
    ColmapModel,
    Observations,
    Points,
    PosedImage,
    quaternion_from_rotation,
)
from splat_trainer.capture.tracks import read_tracks
from splat_trainer.contract import Reason, TrainConfig, TrainerError
from tests.unit.capture.real import real
from tests.unit.capture.small_model import write_small_capture

PINHOLE = MODEL_BY_NAME["PINHOLE"]
OPENCV = MODEL_BY_NAME["OPENCV"]
TRUE = (
    Camera(1, OPENCV, 400, 300, 410.0, 412.0, 201.0, 149.0, (-0.12, 0.05, 0.001, -0.002)),
    Camera(2, OPENCV, 300, 300, 300.0, 300.0, 150.0, 150.0, (0.08, -0.02, 0.0, 0.001)),
)
NONE = (Camera(1, PINHOLE, 400, 300, 410.0, 412.0, 200.0, 150.0),)
ASSUMED = (
    NONE[0],
    Camera(2, PINHOLE, 300, 300, 298.0, 298.0, 150.0, 150.0),
)


def written(
    folder: Path,
    true: tuple[Camera, ...],
    assumed: tuple[Camera, ...] | None = None,
    *,
    points: int = 900,
    views: int = 8,
    noise: float = 0.3,
) -> ColmapModel:
    """A model of points seen through `true` cameras in turn, that says `assumed` of them."""
    draw = np.random.default_rng(0)
    xyz = draw.uniform(-1, 1, (points, 3))
    images, observations = [], {}
    for index in range(views):
        angle = 2 * np.pi * index / views
        rotation = np.array(
            [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        )
        translation = np.array([0.0, 0.0, 3.0])
        camera = true[index % len(true)]
        xy = camera.pixels_from_rays(xyz @ rotation.T + translation)
        xy += draw.normal(0, noise, xy.shape)
        inside = np.all((xy > 0) & (xy < (camera.width, camera.height)), axis=1)
        qw, qx, qy, qz = (float(value) for value in quaternion_from_rotation(rotation))
        images.append(
            PosedImage(
                index + 1, f"{index}.png", camera.camera_id, (qw, qx, qy, qz), (0.0, 0.0, 3.0)
            )
        )
        observations[index + 1] = Observations(xy[inside], np.flatnonzero(inside) + 1)
    rgb = np.zeros((points, 3), np.uint8)
    errors, lengths = np.full(points, noise), np.full(points, views, np.int64)
    sparse = Points(np.arange(1, points + 1), xyz, rgb, errors, lengths)
    write_model(folder, assumed or true, images, sparse, observations)
    return read_model(folder)


def bends_alike(one: Camera, other: Camera) -> float:
    """The largest distance between where both see a ray of the image, in pixels."""
    x, y = np.meshgrid(np.linspace(0, one.width, 9), np.linspace(0, one.height, 9))
    rays = one.rays_from_pixels(np.stack([x, y], axis=-1))
    return float(
        np.nanmax(np.linalg.norm(other.pixels_from_rays(rays) - np.stack([x, y], -1), axis=-1))
    )


def test_a_lens_that_the_model_left_out_is_found(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE[:1], ASSUMED[:1])
    fit = fit_lens(model)
    assert fit is not None
    assert fit.taken
    assert fit.error_after < 0.8 * fit.error_before
    found = with_fitted_lens(model, fit).cameras[1]
    assert found.model is OPENCV
    assert bends_alike(TRUE[0], ASSUMED[0]) > 5
    assert bends_alike(TRUE[0], found) < 1
    assert "used" in fit.told()


def test_each_of_two_cameras_gets_its_own(tmp_path: Path) -> None:
    fit = fit_lens(written(tmp_path, TRUE, ASSUMED))
    assert fit is not None
    assert fit.taken
    for true, found in zip(TRUE, fit.cameras, strict=True):
        assert found.camera_id == true.camera_id
        assert bends_alike(true, found) < 1.5


def test_noise_alone_is_no_lens(tmp_path: Path) -> None:
    model = written(tmp_path, NONE)
    fit = fit_lens(model)
    assert fit is not None
    assert not fit.taken
    assert with_fitted_lens(model, fit) is model
    assert fit.told().startswith("as the model says: ")


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-5])
def test_rounding_in_an_exact_model_is_no_lens(noise: float, tmp_path: Path) -> None:
    slight = replace(TRUE[0], cx=200.0, cy=150.0, fy=412.0, distortion=(1e-6, 0.0, 0.0, 0.0))
    fit = fit_lens(written(tmp_path, (slight,), NONE, noise=noise))
    assert fit is not None
    assert fit.error_before < 0.001
    assert not fit.taken


def test_where_the_model_has_a_lens_or_little_was_seen_none_is_looked_for(tmp_path: Path) -> None:
    assert fit_lens(written(tmp_path / "lens", TRUE)) is None
    assert fit_lens(written(tmp_path / "few", NONE, points=100)) is None
    assert fit_lens(written(tmp_path / "two", NONE, views=2)) is None


def test_a_camera_with_a_lens_keeps_it_beside_one_without(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE, (TRUE[0], ASSUMED[1]))
    fit = fit_lens(model)
    assert fit is not None
    assert [camera.camera_id for camera in fit.cameras] == [2]
    assert with_fitted_lens(model, fit).cameras[1] == model.cameras[1]


def test_observations_that_are_nowhere_near_change_little(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE[:1], ASSUMED[:1])
    tracks = read_tracks(model)
    wrong = np.random.default_rng(2).random(len(tracks)) < 0.03
    tracks.xy[wrong] += 80
    start = replace(ASSUMED[0], model=OPENCV, distortion=(0.0,) * 4)
    (found,), _ = adjust(model, tracks, [start], lens=True)
    assert bends_alike(TRUE[0], found) < 1.5


def test_a_hostile_model_ends_in_no_lens(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE[:1], ASSUMED[:1])
    behind = replace(model.points, xyz=model.points.xyz * 1e9)
    fit = fit_lens(replace(model, points=behind))
    assert fit is None or not fit.taken
    same = replace(model.points, xyz=np.zeros_like(model.points.xyz))
    fit = fit_lens(replace(model, points=same))
    assert fit is None or np.isfinite(fit.error_after)


def test_the_slopes_are_those_of_the_residuals(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE, points=30)
    tracks = read_tracks(model)
    view, used = adjusting._view(model, tracks, TRUE)
    lenses, points = adjusting._lenses(TRUE), model.points.xyz[used].T

    def residuals(lenses: np.ndarray, points: np.ndarray) -> np.ndarray:
        return adjusting._residuals(view, lenses, adjusting._project(view, lenses, points)[2])

    depths, plane, bent = adjusting._project(view, lenses, points)
    by_point = adjusting._by_point(view, lenses, depths, plane)
    by_lens = adjusting._by_lens(view, lenses, plane, bent)
    for row in range(adjusting.LENS):
        step = np.zeros_like(lenses)
        step[row] = 1e-6
        slope = (residuals(lenses + step, points) - residuals(lenses - step, points)) / 2e-6
        np.testing.assert_allclose(by_lens[:, row], slope, atol=1e-4)
    for axis in range(3):
        step = np.zeros_like(points)
        step[axis] = 1e-6
        slope = (residuals(lenses, points + step) - residuals(lenses, points - step)) / 2e-6
        np.testing.assert_allclose(by_point[:, axis], slope, atol=1e-4)


def test_adjusting_points_alone_leaves_the_lens(tmp_path: Path) -> None:
    model = written(tmp_path, TRUE, points=100)
    moved = replace(model, points=replace(model.points, xyz=model.points.xyz + 0.01))
    cameras, points = adjust(moved, read_tracks(model), TRUE, lens=False)
    assert cameras == list(TRUE)
    errors = reprojection_errors(moved, read_tracks(model), cameras, points)
    assert np.median(errors) < 0.6


def test_tracks_are_the_same_from_text_and_from_pycolmap(tmp_path: Path) -> None:
    model = written(tmp_path / "bin", TRUE, points=40)
    tracks = read_tracks(model)
    other = pycolmap.Reconstruction(tmp_path / "bin")
    (tmp_path / "txt").mkdir()
    other.write_text(tmp_path / "txt")
    text = read_tracks(read_model(tmp_path / "txt"))
    assert len(tracks) == sum(point.track.length() for point in other.points3D.values())
    for one, two in ((tracks.points, text.points), (tracks.images, text.images)):
        assert sorted(one) == sorted(two)
    assert np.all(np.diff(tracks.images) >= 0)
    np.testing.assert_allclose(np.sort(tracks.xy, axis=0), np.sort(text.xy, axis=0), atol=1e-6)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n#"), max_size=40)
        | st.lists(
            st.sampled_from(["1", "-1", "7.5", "nan", "inf", "1e999", "9" * 30, "3", "x"]),
            max_size=9,
        ).map(" ".join),
        min_size=3,
        max_size=3,
    )
)
def test_any_line_of_2d_points_gives_tracks_or_is_refused_by_its_number(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cameras.txt").write_text("1 PINHOLE 32 24 30 31 16 12\n")
        (folder / "points3D.txt").write_text(
            "".join(f"{i} {i} 0 5 9 9 9 0.5\n" for i in range(1, 8))
        )
        (folder / "images.txt").write_text(
            "".join(f"{i} 1 0 0 0 0 0 0 1 {i}.png\n{line}\n" for i, line in enumerate(lines, 1)),
            encoding="utf-8",
        )
        try:
            model = read_model(folder)
        except TrainerError:
            return  # what universal newlines make of the line
        try:
            tracks = read_tracks(model)
        except TrainerError as error:
            assert error.reason is Reason.INVALID_CAPTURE
            assert "images.txt: line" in error.message
            return
        assert np.isfinite(tracks.xy).all()
        assert np.isin(tracks.points, np.arange(7)).all()
        assert np.isin(tracks.images, np.arange(3)).all()


def test_as_many_cameras_as_photos_are_left_alone(tmp_path: Path) -> None:
    cameras = tuple(replace(TRUE[0], camera_id=i) for i in range(1, 71))
    pinholes = tuple(replace(ASSUMED[0], camera_id=camera.camera_id) for camera in cameras)
    assert fit_lens(written(tmp_path, cameras, pinholes, points=1_100, views=70)) is None


def test_photos_are_undistorted_by_the_lens_that_was_fitted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path / "sparse" / "0", TRUE[:1], ASSUMED[:1])
    (tmp_path / "images").mkdir()
    for index in range(8):
        Image.new("RGB", (400, 300)).save(tmp_path / "images" / f"{index}.png")
    plain = load_scene(tmp_path, TrainConfig(lens="model"))
    assert plain.lens is None
    assert {(view.width, view.height) for view in plain.train_views} == {(400, 300)}
    with caplog.at_level(logging.INFO):
        scene = load_scene(tmp_path, TrainConfig())
    assert scene.lens is not None
    assert scene.lens.endswith("used")
    assert scene.lens in caplog.text
    for view in (*scene.train_views, *scene.test_views):  # the held-out ones, too
        assert (view.width, view.height) != (400, 300)
        assert abs(view.K[0, 0] - 410) < abs(410 - 400)
    told = inspect_capture(tmp_path).lens
    assert told is not None
    assert told.endswith("used, unless with --lens model")


def test_where_no_lens_can_be_fitted_that_is_told_and_nothing_else_happens(tmp_path: Path) -> None:
    folder = write_small_capture(tmp_path)
    scene = load_scene(folder, TrainConfig(lens="fit", holdout_every=2))
    assert scene.lens is not None
    assert scene.lens == "as the model says: no camera is a pinhole with enough tracks"
    assert inspect_capture(folder).lens is None


def test_the_lens_of_bonsai_is_found_without_opencvs_adjustment() -> None:
    model = read_model(real("bonsai/sparse/0"))
    fit = fit_lens(model)
    assert fit is not None
    assert fit.taken
    assert fit.error_after < 0.95 * fit.error_before
    (found,) = fit.cameras
    assert found.distortion[0] == pytest.approx(-0.05, abs=0.02)
    assert found.distortion[1] == pytest.approx(0.14, abs=0.03)
