"""PlayCanvas's compressed PLY: read back by programs that are not ours, chunk by chunk."""

from pathlib import Path

import gsply
import numpy as np
import pytest
import torch
from hypothesis import given
from plyfile import PlyData

from splat_trainer.gaussians.formats.compressed_ply import CHUNK, write_compressed_ply
from splat_trainer.gaussians.morton import morton_order
from splat_trainer.gaussians.spherical_harmonics import C0
from tests.unit.gaussians.scattered import SCATTERED, Scattered
from tests.unit.rasterize.scenes import random_gaussians

AXES = ("x", "y", "z")
FINENESS = np.array([2047, 1023, 2047])
"""Steps over the extent of a chunk: 11, 10 and 11 bits."""


def extents(path: Path, pattern: str, names: tuple[str, ...], count: int) -> np.ndarray:
    """The extent of each Gaussian's chunk, [N, 3]."""
    chunk = PlyData.read(path)["chunk"]
    wide = [chunk[pattern.format("max", n)] - chunk[pattern.format("min", n)] for n in names]
    table: np.ndarray = np.repeat(np.stack(wide, axis=1), CHUNK, axis=0)[:count]
    return table


@given(scattered=SCATTERED)
def test_gsply_reads_what_the_bits_can_hold(
    tmp_path_factory: pytest.TempPathFactory, scattered: Scattered
) -> None:
    gaussians = scattered.gaussians()
    path = tmp_path_factory.mktemp("ply") / "a.compressed.ply"
    write_compressed_ply(gaussians, path)
    count = len(gaussians)
    wrote = gaussians.select(morton_order(gaussians.means))
    read = gsply.plyread(path)

    def close(told: np.ndarray, true: np.ndarray, step: np.ndarray) -> bool:
        rounding = 2e-6 * np.abs(true).max() + 1e-6  # float32, in the reader
        return bool((np.abs(told - true) <= 0.5 * step + rounding).all())

    step = extents(path, "{}_{}", AXES, count) / FINENESS
    assert close(read.means, wrote.means.numpy(), step)
    step = extents(path, "{}_scale_{}", AXES, count) / FINENESS
    assert close(read.scales, wrote.scales.clamp(-20, 20).numpy(), step)
    step = extents(path, "{}_{}", ("r", "g", "b"), count) / 255 / C0
    assert close(read.sh0, wrote.sh0[:, 0].numpy(), step)

    units = torch.nn.functional.normalize(wrote.quats.double(), dim=1).numpy()
    assert np.abs((units * read.quats).sum(1)).min() > 1 - 1e-5
    alphas = 1 / (1 + np.exp(-np.ravel(read.opacities).astype(np.float64)))
    assert np.abs(alphas - wrote.opacities.double().sigmoid().numpy()).max() <= 0.5 / 255 + 1e-4
    if gaussians.sh_degree:
        rest = np.reshape(read.shN, (count, -1, 3))
        assert rest.shape == wrote.shN.shape
        assert np.abs(rest - wrote.shN.clamp(-4, 4).numpy()).max() <= 1 / 32 + 1e-5


@pytest.mark.parametrize(("degree", "coefficients"), [(0, 0), (1, 9), (2, 24), (3, 45)])
def test_plyfile_reads_the_exact_layout(tmp_path: Path, degree: int, coefficients: int) -> None:
    write_compressed_ply(random_gaussians(300, degree=degree).detach(), tmp_path / "a.ply")
    data = PlyData.read(tmp_path / "a.ply")
    told = {element.name: (element.count, len(element.properties)) for element in data.elements}
    sh = {"sh": (300, coefficients)} if coefficients else {}
    assert told == {"chunk": (2, 18), "vertex": (300, 4)} | sh
    assert {str(p.val_dtype) for p in data["chunk"].properties} == {"f4"}
    assert {str(p.val_dtype) for p in data["vertex"].properties} == {"u4"}


def test_a_chunk_of_coinciding_gaussians_keeps_their_place(tmp_path: Path) -> None:
    gaussians = random_gaussians(5).detach().replacing(means=torch.full((5, 3), 7.25))
    write_compressed_ply(gaussians, tmp_path / "a.ply")
    assert (gsply.plyread(tmp_path / "a.ply").means == 7.25).all()


def test_chunks_hold_neighbours(tmp_path: Path) -> None:
    """Two clouds far apart, their Gaussians by turns in memory: no chunk spans both."""
    gaussians = random_gaussians(4 * CHUNK).detach()
    gaussians.means[::2] += 1000
    write_compressed_ply(gaussians, tmp_path / "a.ply")
    assert extents(tmp_path / "a.ply", "{}_{}", AXES, 4 * CHUNK).max() < 10
