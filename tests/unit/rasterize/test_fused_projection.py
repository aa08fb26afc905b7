"""Our own projection sees, and differentiates, what its twin in plain PyTorch does.

Its CUDA kernels run here on the CPU, as those of blending do (test_fused_blend.py).
"""

import logging
import shutil
from types import SimpleNamespace

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.kernels import self_check
from splat_trainer.rasterize import fused_projection as module
from splat_trainer.rasterize.fused_projection import (
    fused_projection,
    gsplats_projection,
    projection_for,
)
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.seen import Seen
from tests.unit.rasterize import gsplat_in_pytorch
from tests.unit.rasterize.kernels_on_cpu import compile_for_cpu
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    return compile_for_cpu(tmp_path_factory.mktemp("kernels"), 900)


@pytest.fixture
def on_cpu(operators: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "splat", operators, raising=False)
    monkeypatch.setattr(module, "gsplat", gsplat_in_pytorch)


def stored(gaussians: Gaussians, degree: int) -> Gaussians:
    """With quaternions of any length, and coefficients up to a degree."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.rand(len(gaussians), 1, generator=generator) * 3 + 0.01
    return gaussians.detach().replacing(
        quats=gaussians.quats.detach() * lengths,
        sh=gaussians.sh.detach()[:, : (degree + 1) ** 2].contiguous(),
    )


def only(cameras: Cameras, index: int) -> Cameras:
    one = slice(index, index + 1)
    return Cameras(cameras.viewmats[one], cameras.Ks[one], cameras.width, cameras.height)


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(("has", "shows"), [(h, s) for h in range(4) for s in range(h + 1)])
def test_what_is_seen_and_its_gradients_are_those_of_the_twin(has: int, shows: int) -> None:
    drawn = stored(random_gaussians(200, seed=has), has)
    camera = only(cameras_around(3, width=60 + 10 * has, height=48), shows % 3)
    found: list[tuple[Seen, tuple[torch.Tensor, ...]]] = []
    for project in (fused_projection, gsplats_projection):
        gaussians = Gaussians.from_dict({name: one.clone().requires_grad_() for name, one in drawn})
        seen = project(gaussians, camera, shows)
        visible = (seen.radii[0] > 0).all(1)
        assert 100 < visible.sum() < 200
        generator = torch.Generator().manual_seed(2)
        loss = torch.zeros(())
        for one in (seen.means2d[0], seen.conics[0], seen.colors[0], seen.opacities):
            pull = torch.randn(one.shape, generator=generator)
            loss = loss + (one[visible] * pull[visible]).sum()
        leaves = [getattr(gaussians, name) for name in NAMES]
        found.append((seen, torch.autograd.grad(loss, leaves)))
    (ours, slopes), (twins, wanted) = found
    assert torch.equal(ours.radii, twins.radii)
    visible = (ours.radii[0] > 0).all(1)
    for name in ("means2d", "conics", "colors", "depths"):
        one, other = (getattr(seen, name).detach()[0, visible] for seen in (ours, twins))
        assert (one - other).norm() / other.norm() < 1e-5, name
    assert torch.allclose(ours.opacities, twins.opacities)
    for name, one, other in zip(NAMES, slopes, wanted, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm(), name
        assert other.norm() > 0, name


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
def test_gaussians_at_the_frustums_edge_have_the_gradients_of_the_clamped_jacobian() -> None:
    drawn = stored(random_gaussians(300, seed=5), 0)
    drawn = drawn.replacing(
        means=drawn.means * torch.tensor([4.0, 4.0, 1.0]), scales=drawn.scales + 1.5
    )
    camera = only(cameras_around(1, width=40, height=30), 0)
    found = []
    for project in (fused_projection, gsplats_projection):
        means = drawn.means.clone().requires_grad_()
        seen = project(drawn.replacing(means=means), camera, 0)
        visible = (seen.radii[0] > 0).all(1)
        outside = (seen.means2d[0] - 20).abs()[:, 0] > 26
        assert (visible & outside).sum() > 5
        (slope,) = torch.autograd.grad(seen.conics[0, visible].sum(), [means])
        found.append(slope)
    assert (found[0] - found[1]).norm() / found[1].norm() < 1e-4


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
def test_the_check_of_a_run_lets_it_pass_and_stops_one_that_is_wrong() -> None:
    module.check_fused(fused_projection, CPU)

    def of_another_degree(gaussians: Gaussians, cameras: Cameras, sh_degree: int) -> Seen:
        return fused_projection(gaussians, cameras, 0)

    with pytest.raises(self_check.DisagreementError):
        module.check_fused(of_another_degree, CPU)


def test_kernels_that_were_compiled_without_it_are_used_as_they_are(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_checked", {})
    with caplog.at_level(logging.WARNING):
        assert projection_for(torch.device("cuda")) is gsplats_projection
    assert "projection: not used here (it is not among the kernels that were loaded" in caplog.text
