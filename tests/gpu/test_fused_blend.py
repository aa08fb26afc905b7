"""Our own blending of Gaussians is gsplat's, and that of the CPU's rasterizer, both ways."""

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES
from splat_trainer.rasterize.fused_blend import blend_for, check_fused, fused_blend
from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.rasterize.tile_lists import tile_side
from tests.gpu.test_rasterizers_agree import leaves, on_gpu
from tests.unit.rasterize.scenes import cameras_around, random_gaussians
from tests.unit.rasterize.steps import without_steps

CUDA = torch.device("cuda")


@pytest.fixture(scope="module", autouse=True)
def rasterizer() -> GsplatRasterizer:
    return GsplatRasterizer()


def test_it_is_compiled_in_and_in_use() -> None:
    assert blend_for(CUDA) is fused_blend


@pytest.mark.parametrize("count", [1, 31, 300, 5000])
def test_images_and_gradients_are_gsplats(count: int) -> None:
    check_fused(fused_blend, CUDA, count=count)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("width", "height", "tile"), [(150, 101, 8), (8, 8, 8), (37, 203, 8), (1400, 1301, 16)]
)
def test_images_and_gradients_are_the_cpus(
    width: int, height: int, tile: int, seed: int, rasterizer: GsplatRasterizer
) -> None:
    assert tile_side(width, height) == tile
    views = cameras_around(1, width=width, height=height)
    drawn = without_steps(random_gaussians(800, seed=seed).to(CUDA), on_gpu(views))
    generator = torch.Generator().manual_seed(seed)
    pulls = [torch.randn(1, height, width, channels, generator=generator) for channels in (3, 1)]
    background = torch.tensor([0.1, 0.4, 0.2])
    found = []
    for device in ("cpu", "cuda"):
        gaussians = leaves(drawn.to(torch.device(device)))
        if device == "cpu":
            made = ReferenceRasterizer()(gaussians, views, sh_degree=3, background=background)
        else:
            camera = on_gpu(views)
            room = rasterizer.make_room(gaussians.detach(), [camera])
            assert room is not None
            made = rasterizer(
                gaussians, camera, sh_degree=3, background=background.to(CUDA), room=room
            )
        loss = (made.colors * pulls[0].to(device)).sum() + (made.alphas * pulls[1].to(device)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: one.grad.cpu() for name, one in gaussians if one.grad is not None}
        gradients["means2d"] = made.means2d_gradients().cpu()
        found.append((made.colors.detach().cpu(), made.alphas.detach().cpu(), gradients))
    (colors, alphas, wanted), (gpu_colors, gpu_alphas, gradients) = found
    assert (gpu_colors - colors).abs().max() < 1e-3
    assert (gpu_alphas - alphas).abs().max() < 1e-3
    for name in (*NAMES, "means2d"):
        assert wanted[name].norm() > 0, name
        assert (gradients[name] - wanted[name]).norm() / wanted[name].norm() < 1e-2, name


def test_a_loss_of_coverage_alone_and_one_of_colours_alone_have_gradients(
    rasterizer: GsplatRasterizer,
) -> None:
    camera = on_gpu(cameras_around(1, width=150, height=101))
    drawn = random_gaussians(500).to(CUDA)
    room = rasterizer.make_room(drawn, [camera])
    for part in ("colors", "alphas"):
        found = []
        for lists in (room, None):
            gaussians = leaves(drawn)
            rendering = rasterizer(gaussians, camera, sh_degree=0, room=lists)
            getattr(rendering, part).square().sum().backward()
            assert gaussians.means.grad is not None
            found.append(gaussians.means.grad)
        assert found[1].norm() > 0
        assert (found[0] - found[1]).norm() / found[1].norm() < 1e-2
