"""Our own projection of Gaussians is gsplat's, at sizes of real trainings."""

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES
from splat_trainer.rasterize.fused_projection import (
    check_fused,
    fused_projection,
    gsplats_projection,
    projection_for,
)
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from tests.gpu.test_rasterizers_agree import leaves, on_gpu
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

CUDA = torch.device("cuda")


@pytest.fixture(scope="module", autouse=True)
def kernels() -> None:
    GsplatRasterizer()


def test_it_is_compiled_in_and_in_use() -> None:
    assert projection_for(CUDA) is fused_projection
    check_fused(fused_projection, CUDA)


@pytest.mark.parametrize("count", [1, 1000, 300_001])
@pytest.mark.parametrize("degree", range(4))
def test_what_is_seen_and_its_gradients_are_gsplats(count: int, degree: int) -> None:
    drawn = random_gaussians(count, seed=degree).to(CUDA)
    camera = on_gpu(cameras_around(1, width=800, height=533))
    copies = [leaves(drawn), leaves(drawn)]
    both = (fused_projection, gsplats_projection)
    seen = [project(one, camera, degree) for project, one in zip(both, copies, strict=True)]
    ours, gsplats = ((one.radii[0] > 0).all(1) for one in seen)
    assert (ours == gsplats).float().mean() > 0.9999  # whole pixels may be rounded either way
    for one in seen:
        generator = torch.Generator(CUDA).manual_seed(1)
        loss = torch.zeros((), device=CUDA)
        for values in (one.means2d[0], one.conics[0], one.colors[0], one.opacities):
            pull = torch.randn(values.shape, generator=generator, device=CUDA)
            loss = loss + (values[ours & gsplats] * pull[ours & gsplats]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
    for name in ("means2d", "conics", "colors", "depths"):
        found, wanted = (getattr(one, name).detach()[0, ours & gsplats] for one in seen)
        assert (found - wanted).norm() <= 1e-4 * wanted.norm(), name
    for name in NAMES:
        slope, right = (getattr(one, name).grad for one in copies)
        assert (slope - right).norm() <= 1e-2 * right.norm(), name
