"""antimatter15's .splat: rows of 32 bytes, the most important ones first."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given

from splat_trainer.gaussians.formats.splat import by_importance, write_splat
from tests.unit.gaussians.scattered import SCATTERED, Scattered
from tests.unit.rasterize.scenes import random_gaussians


def rows_of(path: Path) -> np.ndarray:
    """Read by the words of the format's README alone: 8 floats' room, 24 bytes of floats first."""
    content = path.read_bytes()
    assert len(content) % 32 == 0
    floats = np.frombuffer(content, "<f4").reshape(-1, 8)[:, :6]
    bytes_ = np.frombuffer(content, "u1").reshape(-1, 32)[:, 24:]
    table: np.ndarray = np.hstack([floats.astype(np.float64), bytes_])
    return table


@given(scattered=SCATTERED)
def test_a_row_is_position_scale_colour_and_rotation(
    tmp_path_factory: pytest.TempPathFactory, scattered: Scattered
) -> None:
    gaussians = scattered.gaussians()
    path = tmp_path_factory.mktemp("splat") / "a.splat"
    write_splat(gaussians, path)
    rows = rows_of(path)
    wrote = gaussians.select(by_importance(gaussians))
    assert np.array_equal(rows[:, :3], wrote.means.numpy())
    np.testing.assert_allclose(rows[:, 3:6], wrote.scales.double().exp().numpy(), rtol=1e-4)
    colors = (0.5 + 0.28209479177387814 * wrote.sh0[:, 0].double()).clamp(0, 1).numpy()
    assert np.abs(rows[:, 6:9] - 255 * colors).max() <= 0.51
    assert np.abs(rows[:, 9] - 255 * wrote.opacities.double().sigmoid().numpy()).max() <= 0.51
    units = torch.nn.functional.normalize(wrote.quats.double(), dim=1).numpy()
    assert np.abs((rows[:, 10:] - 128) / 128 - units).max() <= 1.01 / 128
    # The reader sees volume and opacity fall from row to row, but for what the bytes rounded.
    importance = np.log(rows[:, 3:6]).sum(1) + np.log((rows[:, 9] + 1) / 256)
    certain = rows[:, 9] > 30
    assert (np.diff(importance[certain]) <= 0.05).all()


def test_a_size_that_float32_cannot_hold_stays_a_number(tmp_path: Path) -> None:
    gaussians = random_gaussians(3).detach()
    gaussians.scales[1] = 500.0
    write_splat(gaussians, tmp_path / "a.splat")
    assert np.isfinite(rows_of(tmp_path / "a.splat")).all()
