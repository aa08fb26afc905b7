"""The CPU's rasterizer against the plainest renderer, values and gradients."""

import pytest
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.rasterize.interface import Cameras
from splat_trainer.rasterize.reference import ReferenceRasterizer
from tests.unit.rasterize.scenes import cameras_around, random_gaussians, render_plainly
from tests.unit.rasterize.steps import find_steps, without_steps

render = ReferenceRasterizer()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sh_degree", [0, 3])
def test_renders_what_the_plainest_renderer_does(seed: int, sh_degree: int) -> None:
    gaussians = random_gaussians(300, seed=seed, dtype=torch.float64)
    cameras = cameras_around(2, width=45, height=37, dtype=torch.float64)
    rendering = render(gaussians, cameras, sh_degree=sh_degree)
    for index in range(2):
        colors, alphas = render_plainly(gaussians, cameras, index, sh_degree)
        assert torch.allclose(rendering.colors[index], colors, atol=1e-9)
        assert torch.allclose(rendering.alphas[index], alphas, atol=1e-9)
    assert 0.2 < rendering.alphas.mean() < 0.999


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_autograd_through_the_plainest_renderer(seed: int) -> None:
    gaussians = random_gaussians(200, seed=seed, dtype=torch.float64)
    cameras = cameras_around(1, width=45, height=37, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    by_color = torch.randn(37, 45, 3, generator=generator, dtype=torch.float64)
    by_alpha = torch.randn(37, 45, 1, generator=generator, dtype=torch.float64)

    colors, alphas = render_plainly(gaussians, cameras, 0, 3)
    loss = (colors * by_color).sum() + (alphas * by_alpha).sum()
    expected = torch.autograd.grad(loss, [tensor for _, tensor in gaussians])

    rendering = render(gaussians, cameras, sh_degree=3)
    loss = (rendering.colors[0] * by_color).sum() + (rendering.alphas[0] * by_alpha).sum()
    found = torch.autograd.grad(loss, [tensor for _, tensor in gaussians])
    for name, want, got in zip(NAMES, expected, found, strict=True):
        assert want.abs().max() > 0, name
        assert torch.allclose(got, want, rtol=1e-6, atol=1e-8 * float(want.abs().max())), name


@pytest.mark.parametrize("seed", range(3))
def test_rounding_moves_the_picture_at_steps_alone(seed: int) -> None:
    gaussians = random_gaussians(300, seed=seed).detach()
    cameras = cameras_around(1, width=45, height=37)
    exact = Gaussians.from_dict({name: tensor.double() for name, tensor in gaussians})
    in_double = cameras_around(1, width=45, height=37, dtype=torch.float64)
    rough = render(gaussians, cameras, sh_degree=3).colors
    fine = render(exact, in_double, sh_degree=3).colors
    away = ~find_steps(gaussians, cameras).pixels
    assert away.float().mean() > 0.5
    assert (rough - fine)[away].abs().max() < 1e-4


def test_a_scene_without_steps_loses_few_gaussians_and_has_none() -> None:
    gaussians = random_gaussians(300, seed=1)
    cameras = cameras_around(2, width=45, height=37)
    smooth = without_steps(gaussians, cameras)
    assert 240 < len(smooth) < 300
    assert not find_steps(smooth, cameras).pixels.any()


def test_an_alpha_at_the_threshold_is_a_step() -> None:
    gaussians = random_gaussians(1, seed=2)
    cameras = Cameras(
        torch.eye(4)[None], torch.tensor([[[30.0, 0, 16.5], [0, 30, 16.5], [0, 0, 1]]]), 32, 32
    )
    at_the_edge = gaussians.replacing(
        means=torch.tensor([[0.0, 0, 3]]), opacities=torch.logit(torch.tensor([1 / 255 + 1e-9]))
    )
    steps = find_steps(at_the_edge, cameras)
    assert steps.pixels[0, 16, 16]
    assert steps.gaussians.tolist() == [True]


def test_a_nearly_opaque_wall_hides_what_is_behind_it() -> None:
    gaussians = random_gaussians(60, seed=4, dtype=torch.float64)
    wall = gaussians.replacing(opacities=torch.full((60,), 12.0, dtype=torch.float64))
    cameras = cameras_around(1, width=32, height=32, dtype=torch.float64)
    colors, alphas = render_plainly(wall, cameras, 0, 1)
    rendering = render(wall, cameras, sh_degree=1)
    assert torch.allclose(rendering.colors[0], colors, atol=1e-9)
    assert torch.allclose(rendering.alphas[0], alphas, atol=1e-9)
    assert rendering.alphas.max() > 0.9985


def test_absolute_gradients_sum_each_pixels_own() -> None:
    gaussians = random_gaussians(40, seed=1, dtype=torch.float64)
    cameras = cameras_around(1, width=11, height=9, dtype=torch.float64)
    total = torch.zeros(1, 40, 2, dtype=torch.float64)
    for row in range(9):
        for column in range(11):
            pixel = render(gaussians, cameras, sh_degree=3)
            pixel.colors[0, row, column].sum().backward()  # type: ignore[no-untyped-call]
            total += pixel.means2d_gradients().abs()
    rendering = render(gaussians, cameras, sh_degree=3, absgrad=True)
    rendering.colors.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(rendering.means2d_gradients(absolute=True), total, atol=1e-9)


def test_the_background_shows_where_nothing_is() -> None:
    gaussians = random_gaussians(5, seed=2)
    cameras = cameras_around(1, width=33, height=20)
    background = torch.tensor([0.2, 0.5, 0.9])
    rendering = render(gaussians, cameras, sh_degree=0, background=background)
    empty = rendering.alphas[0, ..., 0] == 0
    assert empty.any()
    assert torch.equal(rendering.colors[0][empty], background.expand(int(empty.sum()), 3))


def test_gaussians_behind_the_camera_or_transparent_are_not_visible() -> None:
    gaussians = random_gaussians(3, seed=2)
    means = torch.tensor([[0.0, 0, 3], [0, 0, -3], [0, 0, 3]])
    gaussians = gaussians.replacing(means=means, opacities=torch.tensor([2.0, 2.0, -9.0]))
    cameras = Cameras(
        torch.eye(4)[None], torch.tensor([[[30.0, 0, 16], [0, 30, 16], [0, 0, 1]]]), 32, 32
    )
    rendering = render(gaussians, cameras, sh_degree=0)
    assert rendering.visible.tolist() == [[True, False, False]]


def test_no_gaussian_in_sight_gives_an_empty_picture_with_zero_gradients() -> None:
    gaussians = random_gaussians(4, seed=2)
    far = gaussians.replacing(means=gaussians.means + torch.tensor([0.0, 0, -50]))
    cameras = Cameras(torch.eye(4)[None], torch.eye(3)[None] * 30, 20, 12)
    rendering = render(far, cameras, sh_degree=3)
    assert rendering.colors.shape == (1, 12, 20, 3)
    assert rendering.colors.abs().max() == 0
    rendering.colors.sum().backward()  # type: ignore[no-untyped-call]
    assert gaussians.means.grad is not None
    assert gaussians.means.grad.abs().max() == 0


def test_features_are_blended_by_the_weights_of_the_colours_over_nothing() -> None:
    gaussians = random_gaussians(12, seed=3, dtype=torch.float64)
    cameras = cameras_around(2, width=17, height=9, dtype=torch.float64)
    background = torch.ones(3, dtype=torch.float64)
    plain = render(gaussians, cameras, sh_degree=2, background=background)
    each = torch.eye(12, dtype=torch.float64)
    rendering = render(gaussians, cameras, sh_degree=2, background=background, features=each)
    assert plain.features is None
    assert rendering.features is not None
    assert torch.allclose(rendering.colors, plain.colors, atol=1e-12)
    assert torch.allclose(rendering.features.sum(-1), rendering.alphas[..., 0], atol=1e-12)


def test_the_gradient_of_features_that_are_zero_is_the_weighted_sum_of_any_image() -> None:
    gaussians = random_gaussians(12, seed=3, dtype=torch.float64)
    cameras = cameras_around(1, width=17, height=9, dtype=torch.float64)
    error = torch.rand(9, 17, 2, dtype=torch.float64)
    each = torch.eye(12, dtype=torch.float64)
    weights = render(gaussians, cameras, sh_degree=2, features=each).features
    assert weights is not None

    def slopes(features: Tensor | None) -> list[Tensor]:
        rendering = render(gaussians, cameras, sh_degree=2, features=features)
        loss = rendering.colors.square().sum()
        if features is not None:
            assert rendering.features is not None
            assert rendering.features.abs().max() == 0
            loss = loss + (rendering.features[0] * error).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        slopes = [tensor.grad for _, tensor in gaussians if tensor.grad is not None]
        for _, tensor in gaussians:
            tensor.grad = None
        return slopes

    zero = torch.zeros(12, 2, dtype=torch.float64, requires_grad=True)
    with_features, without = slopes(zero), slopes(None)
    assert len(without) == 5
    assert all(
        torch.allclose(a, b, atol=1e-12) for a, b in zip(with_features, without, strict=True)
    )
    assert zero.grad is not None
    assert torch.allclose(zero.grad, torch.einsum("hwn,hwf->nf", weights[0], error), atol=1e-12)
