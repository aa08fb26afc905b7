"""gsplat's kernels and the CPU's rasterizer draw the same, and differentiate the same."""

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.reference import ReferenceRasterizer
from tests.unit.rasterize.scenes import cameras_around, random_gaussians
from tests.unit.rasterize.steps import find_steps, without_steps

CUDA = torch.device("cuda")
WIDTH, HEIGHT = 150, 101


def on_gpu(cameras: Cameras) -> Cameras:
    return Cameras(cameras.viewmats.to(CUDA), cameras.Ks.to(CUDA), cameras.width, cameras.height)


def scene(seed: int, cameras: int) -> tuple[Gaussians, Cameras]:
    return random_gaussians(2000, seed=seed), cameras_around(cameras, width=WIDTH, height=HEIGHT)


def both(
    gaussians: Gaussians, views: Cameras, *, sh_degree: int = 3, absgrad: bool = False
) -> list[tuple[Gaussians, Rendering]]:
    gaussians = leaves(gaussians.to("cpu"))
    copy = leaves(gaussians.to(CUDA))
    background = torch.tensor([0.1, 0.4, 0.2])
    cpu = ReferenceRasterizer()(
        gaussians, views, sh_degree=sh_degree, background=background, absgrad=absgrad
    )
    gpu = make_rasterizer(CUDA)(
        copy, on_gpu(views), sh_degree=sh_degree, background=background.to(CUDA), absgrad=absgrad
    )
    return [(gaussians, cpu), (copy, gpu)]


def leaves(gaussians: Gaussians) -> Gaussians:
    return Gaussians.from_dict(
        {name: tensor.detach().clone().requires_grad_() for name, tensor in gaussians}
    )


@pytest.mark.parametrize("seed", range(4))
def test_images_agree_at_every_pixel_of_scenes_without_steps(seed: int) -> None:
    gaussians, views = scene(seed, cameras=2)
    smooth = without_steps(gaussians.to(CUDA), on_gpu(views))
    assert len(smooth) > 1500
    for sh_degree in (0, 1, 2, 3):
        (_, cpu), (_, gpu) = both(smooth, views, sh_degree=sh_degree)
        assert (gpu.colors.cpu() - cpu.colors).abs().max() < 1e-3
        assert (gpu.alphas.cpu() - cpu.alphas).abs().max() < 1e-3
        assert (gpu.visible.cpu() == cpu.visible).float().mean() > 0.999


@pytest.mark.parametrize("seed", range(8))
def test_images_of_any_scene_differ_at_steps_alone(seed: int) -> None:
    gaussians, views = scene(seed, cameras=2)
    (_, cpu), (_, gpu) = both(gaussians, views)
    difference = (gpu.colors.cpu() - cpu.colors).abs().amax(-1)
    near = find_steps(gaussians.to(CUDA), on_gpu(views)).pixels.cpu()
    assert difference[~near].max() < 1e-3
    assert (difference > 1e-3).float().mean() < 1e-3
    assert difference.mean() < 1e-5


@pytest.mark.parametrize("seed", range(4))
def test_gradients_agree(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    by_color = torch.randn(1, HEIGHT, WIDTH, 3, generator=generator)
    by_alpha = torch.randn(1, HEIGHT, WIDTH, 1, generator=generator)
    found = []
    for gaussians, rendering in both(*scene(seed, cameras=1), absgrad=True):
        device = gaussians.device
        loss = (rendering.colors * by_color.to(device)).sum()
        loss = loss + (rendering.alphas * by_alpha.to(device)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {
            name: tensor.grad.cpu() for name, tensor in gaussians if tensor.grad is not None
        }
        gradients["means2d"] = rendering.means2d_gradients().cpu()
        gradients["absgrad"] = rendering.means2d_gradients(absolute=True).cpu()
        found.append(gradients)
    for name in (*NAMES, "means2d", "absgrad"):
        cpu, gpu = found[0][name], found[1][name]
        assert cpu.norm() > 0, name
        assert (gpu - cpu).norm() / cpu.norm() < 1e-2, name


def test_nothing_in_sight_gives_an_empty_picture() -> None:
    gaussians = random_gaussians(10).to(CUDA)
    behind = gaussians.replacing(means=gaussians.means - 100)
    cameras = on_gpu(cameras_around(1, width=40, height=30))
    rendering = make_rasterizer(CUDA)(behind, cameras, sh_degree=0)
    assert rendering.colors.abs().max() == 0
    assert not rendering.visible.any()


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("features", [2, 3, 5])
def test_zero_features_gather_the_same_sums_and_change_nothing_else(
    features: int, fixed: bool
) -> None:
    gaussians, views = scene(5, cameras=1)
    error = torch.rand(HEIGHT, WIDTH, features, generator=torch.Generator().manual_seed(7))
    background = torch.tensor([0.1, 0.4, 0.2])
    sums, means = [], []
    for device, channels in (("cpu", features), ("cuda", features), ("cuda", 0)):
        copy = leaves(gaussians.to(torch.device(device)))
        zero = torch.zeros(len(copy), channels, device=device, requires_grad=True)
        cameras = views if device == "cpu" else on_gpu(views)
        rasterizer = make_rasterizer(torch.device(device))
        rendering = rasterizer(
            copy,
            cameras,
            sh_degree=3,
            background=background.to(device),
            features=zero if channels else None,
            room=rasterizer.make_room(copy.detach(), [cameras]) if fixed else None,
        )
        assert (rendering.complete is not None) == (fixed and device == "cuda")
        loss = rendering.colors.square().sum()
        if rendering.features is not None:
            assert rendering.features.abs().max() == 0
            loss = loss + (rendering.features[0] * error.to(device)).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert copy.means.grad is not None
        means.append(copy.means.grad.cpu())
        if zero.grad is not None:
            sums.append(zero.grad.cpu())
    assert (sums[1] - sums[0]).norm() / sums[0].norm() < 1e-2
    assert (means[2] - means[1]).norm() / means[1].norm() < 1e-4
