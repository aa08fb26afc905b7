"""A splat on the GPU makes the files that it makes on the CPU."""

from pathlib import Path

import pytest

from splat_trainer.contract import SplatFormat
from splat_trainer.gaussians.formats.write import write_gaussians
from tests.unit.rasterize.scenes import random_gaussians

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("format", SplatFormat)
def test_where_the_gaussians_are_does_not_matter(tmp_path: Path, format: SplatFormat) -> None:
    gaussians = random_gaussians(5000).detach()
    gaussians.means[17] = float("nan")
    here = write_gaussians(gaussians, tmp_path / "cpu", format)
    there = write_gaussians(gaussians.to("cuda"), tmp_path / "cuda", format)
    assert here == there
    assert (tmp_path / "cpu").read_bytes() == (tmp_path / "cuda").read_bytes()
