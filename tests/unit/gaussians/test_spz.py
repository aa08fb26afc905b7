"""SPZ: read back by a program that is not ours, within what its bits can hold."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given

from splat_trainer.gaussians.formats.spz import fractional_bits, write_spz
from tests.unit.gaussians.scattered import SCATTERED, Scattered
from tests.unit.gaussians.spz_reader import read_spz
from tests.unit.rasterize.scenes import random_gaussians


def header_of(path: Path) -> tuple[int, ...]:
    with gzip.open(path) as stream:
        return struct.unpack("<IIIBBBB", stream.read(16))


@given(scattered=SCATTERED)
def test_gsply_reads_what_the_bits_can_hold(
    tmp_path_factory: pytest.TempPathFactory, scattered: Scattered
) -> None:
    gaussians = scattered.gaussians()
    path = tmp_path_factory.mktemp("spz") / "a.spz"
    write_spz(gaussians, path)
    magic, version, count, degree, bits, flags, reserved = header_of(path)
    assert (magic, version, count) == (0x5053474E, 2, len(gaussians))
    assert (degree, flags, reserved) == (gaussians.sh_degree, 0, 0)

    read = read_spz(path)
    reach = (2**23 - 1) / 2**bits
    means = gaussians.means.double().clamp(-reach, reach).numpy()
    rounding = 1e-6 * np.abs(means).max()  # float32, in the reader
    assert np.abs(read.means - means).max() <= 0.5 / 2**bits + rounding
    scales = gaussians.scales.clamp(-10, 5.9375)
    assert np.abs(read.scales - scales.numpy()).max() <= 1 / 32 + 1e-4
    alphas = 1 / (1 + np.exp(-np.ravel(read.opacities).astype(np.float64)))
    assert np.abs(alphas - gaussians.opacities.double().sigmoid().numpy()).max() <= 0.5 / 255 + 1e-5
    sh0 = gaussians.sh0[:, 0].clamp(-0.5 / 0.15, 0.5 / 0.15)
    assert np.abs(read.sh0 - sh0.numpy()).max() <= 0.5 / 255 / 0.15 + 1e-5
    units = torch.nn.functional.normalize(gaussians.quats.double(), dim=1)
    xyz = torch.where(units[:, :1] < 0, -units, units)[:, 1:].numpy()
    assert np.abs(read.quats[:, 1:] - xyz).max() <= 0.5 / 127.5 + 1e-5
    assert (read.quats[:, 0] >= 0).all()
    if degree:
        rest = np.reshape(read.shN, (count, -1, 3))
        shn = gaussians.shN.clamp(-1, 127 / 128).numpy()
        assert rest.shape == shn.shape
        assert np.abs(rest - shn).max() <= 1 / 256 + 1e-5


def test_the_same_gaussians_always_make_the_same_bytes(tmp_path: Path) -> None:
    gaussians = random_gaussians(100).detach()
    for name in ("a.spz", "b.spz"):
        write_spz(gaussians, tmp_path / name)
    assert (tmp_path / "a.spz").read_bytes() == (tmp_path / "b.spz").read_bytes()


@pytest.mark.parametrize(
    ("places", "deviation", "bits"),
    [
        ([1.0] * 1000, 0.1, 12),  # the usual
        ([1.0] * 1000, 0.001, 16),  # a small thing, in units of its own
        ([1.0] * 1000, 1e-9, 20),  # smaller than SPZ can hold: no finer than it has use for
        ([30.0] * 1000, 1e-9, 18),  # as fine as there is room for
        ([1.0] * 1999 + [1e6], 0.1, 12),  # one far away makes the rest no coarser
        ([5e5] * 1000, 0.1, 4),  # in metres from the equator
        ([1e9] * 1000, 0.1, 0),
        ([], 0.1, 12),
    ],
)
def test_coordinates_are_as_fine_as_they_need_to_be_and_fit(
    places: list[float], deviation: float, bits: int
) -> None:
    means = np.repeat(np.array(places, np.float32)[:, None], 3, axis=1)
    scales = np.full_like(means, np.log(deviation))
    assert fractional_bits(means, scales) == bits


def test_what_lies_beyond_is_kept_at_the_edge(tmp_path: Path) -> None:
    gaussians = random_gaussians(1000).detach()
    gaussians.means[7] = torch.tensor([-1e7, 0.5, 1e7])
    write_spz(gaussians, tmp_path / "a.spz")
    assert header_of(tmp_path / "a.spz")[4] == 12
    assert read_spz(tmp_path / "a.spz").means[7] == pytest.approx([-2048, 0.5, 2048], abs=1e-3)
