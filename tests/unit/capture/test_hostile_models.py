"""Broken and lying models: one line that says what and where, or a model that is valid."""

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splat_trainer.capture.camera import MODEL_BY_NAME
from splat_trainer.capture.colmap_model import read_model
from splat_trainer.capture.model import ColmapModel
from splat_trainer.contract import Reason, TrainerError
from tests.unit.capture.real import real
from tests.unit.capture.small_model import CAMERA, points, posed, write_small_model

BINARY = ("cameras.bin", "images.bin", "points3D.bin")
TEXT = ("cameras.txt", "images.txt", "points3D.txt")
FAULTS = {Reason.INVALID_CAPTURE, Reason.CAPTURE_NOT_FOUND}

fuzzing = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def text_model(folder: Path) -> Path:
    """Write the small model as text, by pycolmap."""
    binary, text = folder / "binary", folder / "text"
    if not text.is_dir():
        write_small_model(binary)
        text.mkdir()
        pycolmap.Reconstruction(binary).write_text(text)
    return text


def binary_model(folder: Path) -> Path:
    if not folder.joinpath("cameras.bin").is_file():
        write_small_model(folder)
    return folder


def read_or_fault(folder: Path) -> ColmapModel | TrainerError:
    """Read a model; a failure must be one line and the capture's fault."""
    try:
        model = read_model(folder)
    except TrainerError as error:
        assert error.reason in FAULTS
        assert error.message.isprintable(), error.message
        return error
    assert_valid(model)
    return model


def assert_valid(model: ColmapModel) -> None:
    assert model.images
    for image in model.images:
        assert image.camera_id in model.cameras
        pose = image.camtoworld
        assert np.all(np.isfinite(pose))
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    assert len(model.points) > 0
    assert np.all(np.isfinite(model.points.xyz))


def broken(folder: Path, name: str, change: Callable[[bytes], bytes]) -> TrainerError:
    """Change a file of a model and give the failure to read it."""
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    outcome = read_or_fault(folder)
    assert isinstance(outcome, TrainerError)
    assert name in outcome.message
    return outcome


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("tenth", range(10))
def test_a_binary_file_cut_at_any_tenth_says_so_with_the_byte(
    name: str, tenth: int, tmp_path: Path
) -> None:
    error = broken(binary_model(tmp_path), name, lambda data: data[: len(data) * tenth // 10])
    assert "byte" in error.message
    assert "cut off" in error.message


@pytest.mark.parametrize("scene", ["bonsai", "fern", "beer", "binbin101"])
@pytest.mark.parametrize("name", BINARY)
def test_a_real_binary_file_cut_at_any_tenth_says_so(scene: str, name: str, tmp_path: Path) -> None:
    folder = real(f"{scene}/sparse/0")
    for other in BINARY:
        if other != name:
            (tmp_path / other).symlink_to(folder / other)
    data = (folder / name).read_bytes()
    for tenth in range(10):
        (tmp_path / name).write_bytes(data[: len(data) * tenth // 10])
        error = read_or_fault(tmp_path)
        assert isinstance(error, TrainerError)
        assert f"{name}: byte" in error.message


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("tenth", range(10))
def test_a_text_file_cut_at_any_tenth_is_a_shorter_model_or_says_so(
    name: str, tenth: int, tmp_path: Path
) -> None:
    folder = text_model(tmp_path)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) * tenth // 10])
    read_or_fault(folder)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("count", [10**18, 2**64 - 1, 2**63, 1_000_000])
def test_a_count_that_lies_costs_no_memory(name: str, count: int, tmp_path: Path) -> None:
    binary_model(tmp_path)
    tracemalloc.start()
    try:
        error = broken(tmp_path, name, lambda data: struct.pack("<Q", count) + data[8:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"promises {count}" in error.message
    assert peak < 1 << 20


def test_a_lying_number_of_2d_points_is_named_with_its_image(tmp_path: Path) -> None:
    binary_model(tmp_path)

    def lie(data: bytes) -> bytes:
        at = data.index(b"2.png\0") + 6
        return data[:at] + struct.pack("<Q", 10**18) + data[at + 8 :]

    assert "2D points in image 2" in broken(tmp_path, "images.bin", lie).message


def test_a_lying_track_length_is_named(tmp_path: Path) -> None:
    binary_model(tmp_path)
    first_track = 8 + 43
    error = broken(
        tmp_path,
        "points3D.bin",
        lambda data: data[:first_track] + struct.pack("<Q", 2**61) + data[first_track + 8 :],
    )
    assert "within point 2 of 20" in error.message


def test_an_unknown_camera_model_is_named(tmp_path: Path) -> None:
    binary_model(tmp_path)
    error = broken(
        tmp_path, "cameras.bin", lambda data: data[:12] + struct.pack("<i", 99) + data[16:]
    )
    assert "unknown model number 99" in error.message
    text = text_model(tmp_path / "other")
    error = broken(text, "cameras.txt", lambda data: data.replace(b"PINHOLE", b"MAGIC"))
    assert "line 4: the camera model 'MAGIC' is unknown" in error.message


@pytest.mark.parametrize("name", (*BINARY, *TEXT))
def test_an_empty_file_is_named(name: str, tmp_path: Path) -> None:
    folder = binary_model(tmp_path) if name in BINARY else text_model(tmp_path)
    broken(folder, name, lambda _: b"")


@pytest.mark.parametrize("name", (*BINARY, *TEXT))
def test_a_missing_file_is_named_or_the_other_form_is_looked_for(name: str, tmp_path: Path) -> None:
    folder = binary_model(tmp_path) if name in BINARY else text_model(tmp_path)
    (folder / name).unlink()
    outcome = read_or_fault(folder)
    assert isinstance(outcome, TrainerError)
    assert outcome.reason is Reason.CAPTURE_NOT_FOUND


def test_a_folder_in_a_files_place_is_named(tmp_path: Path) -> None:
    binary_model(tmp_path)
    (tmp_path / "points3D.bin").unlink()
    (tmp_path / "points3D.bin").mkdir()
    assert "points3D.bin cannot be read" in str(read_or_fault(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tvec": (float("nan"), 0.0, 0.0)}, "not finite"),
        ({"tvec": (float("inf"), 0.0, 0.0)}, "not finite"),
        ({"qvec": (float("nan"), 0.0, 0.0, 0.0)}, "not finite"),
        ({"qvec": (0.0, 0.0, 0.0, 0.0)}, "length zero"),
        ({"camera_id": 5}, "camera 5"),
        ({"name": ""}, "no name"),
        ({"name": "2.png"}, "the name of image"),
    ],
)
def test_a_bad_pose_names_its_image(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    write_small_model(tmp_path, images=(posed(1), posed(2), posed(3, **changes)))
    error = read_or_fault(tmp_path)
    assert isinstance(error, TrainerError)
    assert "images.bin: image" in error.message
    assert said in error.message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_a_point_that_is_nowhere_is_counted_and_placed(value: float, tmp_path: Path) -> None:
    sparse = points()
    sparse.xyz[4, 1] = value
    sparse.xyz[9, 2] = value
    write_small_model(tmp_path, sparse=sparse)
    error = read_or_fault(tmp_path)
    assert isinstance(error, TrainerError)
    assert "point 5 of 20" in error.message
    assert "2 of the points" in error.message


def test_no_points_no_images_and_no_cameras_each_say_so(tmp_path: Path) -> None:
    none = points(0)
    write_small_model(tmp_path / "points", sparse=none)
    assert "holds no points" in str(read_or_fault(tmp_path / "points"))
    write_small_model(tmp_path / "images", images=(), sparse=none)
    assert "holds no images" in str(read_or_fault(tmp_path / "images"))
    write_small_model(tmp_path / "cameras")
    (tmp_path / "cameras" / "cameras.bin").write_bytes(struct.pack("<Q", 0))
    assert "holds no cameras" in str(read_or_fault(tmp_path / "cameras"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "0x24 pixels"),
        ({"height": 10**9}, "32x1000000000 pixels"),
        ({"fx": 0.0}, "focal length of 0"),
        ({"fy": -3.0}, "focal length of -3"),
        ({"cx": float("nan")}, "not a finite number"),
        ({"model": MODEL_BY_NAME["OPENCV"], "distortion": (1e300, 0.0, 0.0, 0.0)}, "1e+300"),
    ],
)
def test_an_impossible_camera_is_named(
    changes: dict[str, object], said: str, tmp_path: Path
) -> None:
    write_small_model(tmp_path, camera=replace(CAMERA, **changes))  # type: ignore[arg-type]
    error = read_or_fault(tmp_path)
    assert isinstance(error, TrainerError)
    assert "cameras.bin: camera 1" in error.message
    assert said in error.message


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("cameras.txt", "1 PINHOLE 32 24 1 2 3", "has 4 parameters (fx, fy, cx, cy), not 3"),
        ("cameras.txt", "1 PINHOLE", "a camera is an id"),
        ("cameras.txt", "x PINHOLE 32 24 1 2 3 4", "no whole number"),
        ("cameras.txt", "1 PINHOLE 32 24 1 2 3 four", "no number"),
        ("cameras.txt", f"1 PINHOLE {'9' * 5000} 24 1 2 3 4", "no whole number"),
        ("cameras.txt", "1 PINHOLE -32 24 1 2 3 4", "out of range"),
        ("images.txt", "1 1 0 0 0 0 0 0 1", "9 of these 10"),
        ("images.txt", "1 one 0 0 0 0 0 0 1 a.png", "no number"),
        ("points3D.txt", "1 0 0 0 255 255", "6 of these 8"),
        ("points3D.txt", "1 0 0 0 256 0 0 1", "a colour is more than 255"),
        ("points3D.txt", "1 0 0 nothing 0 0 0 1", "no number"),
    ],
)
def test_a_bad_line_of_text_is_numbered(name: str, line: str, said: str, tmp_path: Path) -> None:
    folder = text_model(tmp_path)
    (folder / name).write_text(f"# a comment\n\n{line}\n")
    error = read_or_fault(folder)
    assert isinstance(error, TrainerError)
    assert f"{name}: line 3: " in error.message
    assert said in error.message


@given(name=st.sampled_from(BINARY), data=st.binary(max_size=400))
@fuzzing
def test_any_bytes_are_a_model_or_a_fault(name: str, data: bytes, tmp_path: Path) -> None:
    write_small_model(tmp_path)
    (tmp_path / name).write_bytes(data)
    read_or_fault(tmp_path)


@given(
    name=st.sampled_from(BINARY),
    changes=st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=9)), max_size=4),
    cut=st.integers(0, 2000),
)
@fuzzing
def test_any_damage_to_a_binary_model_leaves_a_model_or_a_fault(
    name: str, changes: list[tuple[int, bytes]], cut: int, tmp_path: Path
) -> None:
    write_small_model(tmp_path)
    damaged = bytearray((tmp_path / name).read_bytes())
    for at, patch in changes:
        start = at % len(damaged)
        damaged[start : start + len(patch)] = patch
    (tmp_path / name).write_bytes(damaged[: len(damaged) - cut] if cut < 200 else damaged)
    read_or_fault(tmp_path)


@given(name=st.sampled_from(TEXT), data=st.binary(max_size=300))
@fuzzing
def test_any_bytes_as_text_are_a_model_or_a_fault(name: str, data: bytes, tmp_path: Path) -> None:
    folder = text_model(tmp_path)
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(data)
    read_or_fault(folder)
    (folder / name).write_bytes(before)


WORDS = st.sampled_from(
    ["1", "0", "-1", "nan", "inf", "1e999", "PINHOLE", "OPENCV", "#", "a.png", "", "\n", "٣", "1_0"]
)


@given(name=st.sampled_from(TEXT), words=st.lists(WORDS, max_size=40))
@fuzzing
def test_any_words_as_text_are_a_model_or_a_fault(
    name: str, words: list[str], tmp_path: Path
) -> None:
    folder = text_model(tmp_path)
    before = (folder / name).read_bytes()
    (folder / name).write_text(" ".join(words))
    read_or_fault(folder)
    (folder / name).write_bytes(before)
