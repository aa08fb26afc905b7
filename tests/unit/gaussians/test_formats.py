"""Every format: whole or not at all, without what cannot be drawn, and the same from a PLY."""

from pathlib import Path

import gsply
import numpy as np
import pytest
import torch

from splat_trainer.contract import Reason, SplatFormat, TrainerError
from splat_trainer.gaussians.formats.ply import read_ply, write_ply
from splat_trainer.gaussians.formats.write import write_gaussians
from splat_trainer.gaussians.gaussians import Gaussians
from tests.unit.rasterize.scenes import random_gaussians

FORMATS = pytest.mark.parametrize("format", SplatFormat)


def some(count: int = 7, degree: int = 3) -> Gaussians:
    return random_gaussians(count, seed=3, degree=degree).detach()


@FORMATS
def test_what_is_not_finite_is_dropped_and_counted(tmp_path: Path, format: SplatFormat) -> None:
    gaussians = some()
    gaussians.means[1, 2] = float("nan")
    gaussians.sh0[4, 0, 1] = float("inf")
    gaussians.quats[6] = 0
    path = tmp_path / format.file_name
    written = write_gaussians(gaussians, path, format)
    assert (written.gaussians, written.dropped) == (4, 3)
    assert written.bytes == path.stat().st_size
    again = tmp_path / f"again{format.suffix}"
    write_gaussians(gaussians.select(torch.tensor([0, 2, 3, 5])), again, format)
    assert path.read_bytes() == again.read_bytes()


@FORMATS
def test_no_gaussians_make_a_file_all_the_same(tmp_path: Path, format: SplatFormat) -> None:
    written = write_gaussians(some().select(slice(0, 0)), tmp_path / "a", format)
    assert (written.gaussians, written.bytes) == (0, (tmp_path / "a").stat().st_size)


@FORMATS
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, format: SplatFormat
) -> None:
    target = tmp_path / "a"
    target.mkdir()
    with pytest.raises(TrainerError) as caught:
        write_gaussians(some(), target, format)
    assert caught.value.reason is Reason.INVALID_CONFIGURATION
    assert str(target) in caught.value.message
    assert list(tmp_path.iterdir()) == [target]


@FORMATS
@pytest.mark.parametrize("degree", range(4))
def test_bands_that_a_ply_pads_with_zeros_are_not_written(
    tmp_path: Path, format: SplatFormat, degree: int
) -> None:
    """A PLY has room for three bands: what comes out of it is no larger than what was trained."""
    gaussians = some(50, degree)
    write_ply(gaussians, tmp_path / "a.ply")
    from_ply = write_gaussians(read_ply(tmp_path / "a.ply"), tmp_path / "from-ply", format)
    trained = write_gaussians(gaussians, tmp_path / "trained", format)
    assert from_ply.bytes == pytest.approx(trained.bytes, rel=0.01)
    if format is SplatFormat.COMPRESSED_PLY:
        told = gsply.plyread(tmp_path / "from-ply").shN
        assert (0 if told is None else np.reshape(told, (50, -1, 3)).shape[1]) == (
            (degree + 1) ** 2 - 1
        )


def test_the_names_of_files_tell_their_formats() -> None:
    assert {format.value: format.file_name for format in SplatFormat} == {
        "ply": "point_cloud.ply",
        "compressed-ply": "point_cloud.compressed.ply",
        "spz": "point_cloud.spz",
        "splat": "point_cloud.splat",
    }
    assert SplatFormat.COMPRESSED_PLY.suffix == ".compressed.ply"
