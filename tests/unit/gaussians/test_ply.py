"""The PLY file: read back by two programs that are not ours, whole or not at all, and checked."""

from pathlib import Path

import gsply
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plyfile import PlyData

from splat_trainer.contract import TrainerError
from splat_trainer.contract.result import Reason
from splat_trainer.gaussians.formats.ply import PROPERTIES, read_ply, write_ply
from splat_trainer.gaussians.gaussians import Gaussians
from tests.unit.rasterize.scenes import random_gaussians


def some(count: int = 7, degree: int = 3) -> Gaussians:
    return random_gaussians(count, seed=3, degree=degree).detach()


def test_plyfile_reads_the_exact_layout(tmp_path: Path) -> None:
    gaussians = some()
    written = write_ply(gaussians, tmp_path / "a.ply")
    assert (written.gaussians, written.dropped) == (7, 0)
    assert written.bytes == (tmp_path / "a.ply").stat().st_size
    data = PlyData.read(tmp_path / "a.ply")
    assert data.byte_order == "<"
    assert not data.text
    vertex = data["vertex"]
    assert [p.name for p in vertex.properties] == list(PROPERTIES)
    assert {str(p.val_dtype) for p in vertex.properties} == {"f4"}
    assert np.array_equal(vertex["y"], gaussians.means[:, 1])
    assert not any(vertex[name].any() for name in ("nx", "ny", "nz"))
    assert np.array_equal(vertex["f_dc_2"], gaussians.sh0[:, 0, 2])
    # All of red's coefficients come first, then green's, then blue's.
    assert np.array_equal(vertex["f_rest_14"], gaussians.shN[:, 14, 0])
    assert np.array_equal(vertex["f_rest_15"], gaussians.shN[:, 0, 1])
    assert np.array_equal(vertex["f_rest_44"], gaussians.shN[:, 14, 2])
    assert np.array_equal(vertex["opacity"], gaussians.opacities)
    assert np.array_equal(vertex["scale_2"], gaussians.scales[:, 2])
    rotation = np.stack([vertex[f"rot_{i}"] for i in range(4)], axis=1)
    assert np.allclose(np.linalg.norm(rotation, axis=1), 1, atol=1e-6)
    assert np.allclose(
        rotation * gaussians.quats.norm(dim=1, keepdim=True).numpy(), gaussians.quats
    )


def test_gsply_reads_the_same_gaussians(tmp_path: Path) -> None:
    gaussians = some()
    write_ply(gaussians, tmp_path / "a.ply")
    data = gsply.plyread(str(tmp_path / "a.ply"))
    assert np.array_equal(data.means, gaussians.means)
    assert np.array_equal(data.scales, gaussians.scales)
    assert np.array_equal(np.ravel(data.opacities), gaussians.opacities)
    assert np.array_equal(data.sh0, gaussians.sh0[:, 0])
    assert np.array_equal(np.reshape(data.shN, (7, 15, 3)), gaussians.shN)


@pytest.mark.parametrize("degree", range(4))
def test_every_degree_is_written_with_45_coefficients_and_read_back(
    tmp_path: Path, degree: int
) -> None:
    gaussians = some(degree=degree)
    write_ply(gaussians, tmp_path / "a.ply")
    back = read_ply(tmp_path / "a.ply")
    rest = gaussians.shN.shape[1]
    assert back.shN.shape == (7, 15, 3)
    assert torch.equal(back.shN[:, :rest], gaussians.shN)
    assert back.shN[:, rest:].abs().sum() == 0
    for name in ("means", "scales", "opacities", "sh0"):
        assert torch.equal(getattr(back, name), getattr(gaussians, name))


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "sh0", "shN"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_only_the_rows_that_are_not_finite_are_dropped(
    tmp_path: Path, name: str, value: float
) -> None:
    gaussians = some()
    getattr(gaussians, name)[4].view(-1)[-1] = value
    written = write_ply(gaussians, tmp_path / "a.ply")
    assert (written.gaussians, written.dropped) == (6, 1)
    rest = torch.tensor([0, 1, 2, 3, 5, 6])
    assert torch.equal(read_ply(tmp_path / "a.ply").means, gaussians.means[rest])


def test_a_rotation_of_length_zero_is_dropped(tmp_path: Path) -> None:
    gaussians = some()
    gaussians.quats[0] = 0
    assert write_ply(gaussians, tmp_path / "a.ply").dropped == 1


def test_no_gaussians_make_a_file_that_reads_as_none(tmp_path: Path) -> None:
    write_ply(some().select(slice(0, 0)), tmp_path / "a.ply")
    assert len(read_ply(tmp_path / "a.ply")) == 0
    assert len(PlyData.read(tmp_path / "a.ply")["vertex"]) == 0


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.ply"
    target.mkdir()
    with pytest.raises(TrainerError) as caught:
        write_ply(some(), target)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    assert str(target) in caught.value.message
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("ply\nformat ascii 1.0\nelement vertex 1\nend_header\n", "format is ascii"),
        ("ply\nformat binary_little_endian 1.0\nend_header\n", "no count"),
        (f"ply\nelement vertex {10**17}\nproperty float x\nend_header\n", "was cut"),
        (f"ply\nelement vertex {10**30}\nproperty float x\nend_header\n", "unexpected"),
        ("ply\nelement vertex -1\nproperty float x\nend_header\n", "unexpected"),
        ("ply\nelement vertex 0\nproperty list uchar int x\nend_header\n", "are floats"),
        ("ply\nelement vertex 0\nelement face 2\nend_header\n", "vertices only"),
        ("ply\nelement vertex 0\nproperty float x\nend_header\n", "no property y"),
        ("ply\nelement vertex 0\nproperty float f_rest_0\nend_header\n", "1 properties f_rest"),
        ("ply\nformat binary_little", "no PLY header"),
        ("", "no PLY header"),
    ],
)
def test_what_is_no_3dgs_file_is_refused_in_one_line(
    tmp_path: Path, header: str, complaint: str
) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(header.encode())
    with pytest.raises(TrainerError, match=complaint) as caught:
        read_ply(path)
    assert caught.value.reason is Reason.INVALID_CAPTURE
    assert "\n" not in caught.value.message


def test_a_file_of_degree_0_without_f_rest_is_read(tmp_path: Path) -> None:
    names = [name for name in PROPERTIES if not name.startswith(("f_rest", "n"))]
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    lines += [f"property float {name}" for name in names] + ["end_header", ""]
    values = np.arange(2 * len(names), dtype="<f4").reshape(2, -1)
    (tmp_path / "a.ply").write_bytes("\n".join(lines).encode() + values.tobytes())
    back = read_ply(tmp_path / "a.ply")
    assert back.sh_degree == 0
    assert back.means.tolist() == [[0, 1, 2], [14, 15, 16]]


def test_a_header_with_the_line_ends_of_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(some(), path)
    header, end, data = path.read_bytes().partition(b"end_header\n")
    path.write_bytes((header + end).replace(b"\n", b"\r\n") + data)
    assert torch.equal(read_ply(path).means, some().means)
    assert torch.equal(read_ply(path).shN, some().shN)


def test_a_nan_in_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    write_ply(some(), path)
    content = bytearray(path.read_bytes())
    content[-4:] = np.float32("nan").tobytes()
    path.write_bytes(content)
    with pytest.raises(TrainerError, match="rot_3 of Gaussian 6"):
        read_ply(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(TrainerError) as caught:
        read_ply(tmp_path / "none.ply")
    assert caught.value.reason is Reason.CAPTURE_NOT_FOUND


@given(cut=st.integers(0, 3000), flip=st.integers(0, 2999), value=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, value: int
) -> None:
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    write_ply(some(), path)
    content = bytearray(path.read_bytes())
    content[flip % len(content)] = value
    path.write_bytes(content[: len(content) - cut] if cut % 2 else content)
    try:
        back = read_ply(path)
    except TrainerError as error:
        assert error.reason is Reason.INVALID_CAPTURE
    else:
        assert len(back) <= 7
