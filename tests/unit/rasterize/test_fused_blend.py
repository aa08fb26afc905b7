"""Our own blending draws and differentiates as its twin in plain PyTorch does.

Its CUDA kernels run here on the CPU, lane by lane, so that their logic is tested without a GPU;
tests/gpu compares them with gsplat's on one.
"""

import logging
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from splat_trainer.kernels import extension, self_check
from splat_trainer.rasterize import fused_blend as module
from splat_trainer.rasterize import tile_lists as lists_of_tiles
from splat_trainer.rasterize.fused_blend import (
    MOST_FEATURES,
    Blended,
    blend_for,
    fused_blend,
    gsplats_blend,
)
from splat_trainer.rasterize.seen import Seen
from splat_trainer.rasterize.tile_lists import TileLists, tile_lists
from tests.unit.rasterize import gsplat_in_pytorch
from tests.unit.rasterize.kernels_on_cpu import compile_for_cpu

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not shutil.which("c++"), reason="there is no C++ compiler")


@pytest.fixture(scope="module", params=[800, 900])
def operators(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The kernels as GPUs of little and of much shared memory have them."""
    return compile_for_cpu(tmp_path_factory.mktemp("blend"), request.param)


@pytest.fixture
def on_cpu(operators: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "splat", operators, raising=False)
    monkeypatch.setattr(module, "gsplat", gsplat_in_pytorch)


def projected(count: int, width: int, height: int, seed: int) -> tuple[Seen, TileLists]:
    """Gaussians on an image, some of them opaque; and the lists of their tiles."""
    generator = torch.Generator().manual_seed(seed)
    means2d = torch.rand(count, 2, generator=generator) * torch.tensor([width, height])
    sides = torch.rand(count, 2, generator=generator) * 5 + 0.6
    slant = (torch.rand(count, generator=generator) * 1.6 - 0.8) * sides.prod(1)
    below = sides.prod(1).square() - slant.square()
    conics = torch.stack([sides[:, 1].square(), -slant, sides[:, 0].square()], 1) / below[:, None]
    colors = torch.rand(count, 3, generator=generator)
    opacities = torch.rand(count, generator=generator).mul(1.3).clamp_max(1)
    radii = (3.4 * sides.amax(1, keepdim=True)).ceil().int().expand(count, 2)
    depths = torch.rand(count, generator=generator) + 1
    lists = tile_lists(
        *(means2d, radii, depths, conics, opacities),
        width=width,
        height=height,
        capacity=60 * count,
    )
    seen = Seen(means2d[None], conics[None], colors[None], opacities, depths[None], radii[None])
    return seen, lists


def leaves_of(seen: Seen) -> tuple[Seen, list[Tensor]]:
    """A copy to differentiate by, and what of it has gradients."""
    names = ("means2d", "conics", "colors", "opacities")
    leaves = [getattr(seen, name).clone().requires_grad_() for name in names]
    return replace(seen, **dict(zip(names, leaves, strict=True))), leaves


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("count", "width", "height", "tile"),
    [(1, 8, 8, 8), (7, 5, 3, 8), (90, 37, 21, 8), (60, 33, 30, 16), (200, 9, 17, 8)],
)
@pytest.mark.parametrize(
    ("behind", "features"), [(None, 0), ((0.2, 0.9, 0.5), 0), (None, 2), ((0.2, 0.9, 0.5), 4)]
)
def test_images_and_gradients_are_those_of_the_twin(
    count: int,
    width: int,
    height: int,
    tile: int,
    behind: tuple[float, float, float] | None,
    features: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists_of_tiles, "tile_side", lambda width, height: tile)
    drawn, lists = projected(count, width, height, seed=count)
    background = None if behind is None else torch.tensor(behind)
    generator = torch.Generator().manual_seed(0)
    pulls = [torch.randn(1, height, width, many, generator=generator) for many in (3, 1, features)]
    found = []
    for blend in (fused_blend, gsplats_blend):
        seen, leaves = leaves_of(drawn)
        zeros = torch.zeros(count, features, requires_grad=True) if features else None
        image, alphas, others = blend(seen, zeros, background, lists, width=width, height=height)
        loss = (image * pulls[0]).sum() + (alphas * pulls[1]).sum()
        if zeros is not None:
            assert others is not None
            assert not others.any()
            loss = loss + (others * pulls[2]).sum()
            leaves.append(zeros)
        found.append([image, alphas, *torch.autograd.grad(loss, leaves)])
    names = ["image", "alphas", "means2d", "conics", "colors", "opacities"]
    for name, one, other in zip(names + ["features"] * bool(features), *found, strict=True):
        assert one.shape == other.shape, name
        assert other.norm() > 0, name
        assert (one - other).norm() / other.norm() < 1e-4, name


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
def test_more_features_than_the_kernels_take_are_gsplats() -> None:
    header = (extension._OUR_OWN / "blend.h").read_text()
    assert f"kMostFeatures = {MOST_FEATURES};" in header
    drawn, lists = projected(40, 20, 20, seed=1)
    for features in (MOST_FEATURES, MOST_FEATURES + 1):
        zeros = torch.zeros(40, features, requires_grad=True)
        image = fused_blend(drawn, zeros, None, lists, width=20, height=20).features
        assert image is not None
        (weights,) = torch.autograd.grad(image.sum(), zeros)
        assert weights.shape == zeros.shape
        assert (weights.sum(0) > 1).all()


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
def test_a_loss_of_the_image_alone_or_of_the_coverage_alone_has_gradients() -> None:
    drawn, lists = projected(40, 20, 20, seed=1)
    for part in (0, 1):
        found = []
        for blend in (fused_blend, gsplats_blend):
            seen, leaves = leaves_of(drawn)
            image, alphas, _ = blend(seen, None, None, lists, width=20, height=20)
            wanted = [leaves[0], leaves[3]]
            found.append(torch.autograd.grad((image, alphas)[part].square().sum(), wanted))
        for one, other in zip(*found, strict=True):
            assert other.norm() > 0
            assert (one - other).norm() / other.norm() < 1e-4


@needs_compiler
@pytest.mark.usefixtures("on_cpu")
def test_the_check_of_a_run_lets_it_pass_and_stops_one_that_is_wrong() -> None:
    module.check_fused(fused_blend, CPU, count=40)

    def darker(*arguments: object, **size: int) -> Blended:
        drawn = fused_blend(*arguments, **size)  # type: ignore[arg-type]
        return drawn._replace(image=drawn.image * 0.98)

    def deaf(*arguments: object, **size: int) -> Blended:
        drawn = fused_blend(*arguments, **size)  # type: ignore[arg-type]
        return drawn._replace(features=None if drawn.features is None else drawn.features * 0)

    for wrong in (darker, deaf):
        with pytest.raises(self_check.DisagreementError):
            module.check_fused(wrong, CPU, count=40)  # type: ignore[arg-type]


def test_kernels_that_were_compiled_without_it_are_used_as_they_are(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_checked", {})
    with caplog.at_level(logging.WARNING):
        assert blend_for(torch.device("cuda")) is gsplats_blend
    assert "blending: not used here (it is not among the kernels that were loaded)" in caplog.text
