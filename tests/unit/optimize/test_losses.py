"""The losses against their definitions, and the fused one against the plain one."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.losses import image_loss, psnr, regularization, ssim
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.ssim import ssim_map, window_weights
from tests.unit.rasterize.scenes import random_gaussians


def pair(
    height: int = 25, width: int = 19, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(height, width, 3, generator=generator, dtype=dtype)
    return image, (image + 0.2 * torch.randn(image.shape, generator=generator, dtype=dtype)).clamp(
        0, 1
    )


def ssim_by_definition(image: Tensor, target: Tensor) -> Tensor:
    """Wang et al. 2004, equation 13, window by window, zeros beyond the border: [3, H, W]."""
    weights = window_weights(torch.device("cpu")).double()
    window = weights[:, None] * weights[None]
    height, width, _ = image.shape
    result = torch.zeros(3, height, width, dtype=torch.float64)
    padded = [
        torch.nn.functional.pad(one.permute(2, 0, 1), (5, 5, 5, 5)) for one in (image, target)
    ]
    for row in range(height):
        for column in range(width):
            a, b = (one[:, row : row + 11, column : column + 11] for one in padded)
            mean_a, mean_b = (window * a).sum((1, 2)), (window * b).sum((1, 2))
            variance_a = (window * a * a).sum((1, 2)) - mean_a**2
            variance_b = (window * b * b).sum((1, 2)) - mean_b**2
            covariance = (window * a * b).sum((1, 2)) - mean_a * mean_b
            result[:, row, column] = (
                (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
            ) / ((mean_a**2 + mean_b**2 + 0.01**2) * (variance_a + variance_b + 0.03**2))
    return result


def test_ssim_is_that_of_its_definition() -> None:
    image, target = pair()
    values = ssim_map(image.permute(2, 0, 1), target.permute(2, 0, 1))
    expected = ssim_by_definition(image, target)
    assert torch.allclose(values, expected, atol=1e-6)
    assert ssim(image, target) == pytest.approx(float(expected[:, 5:-5, 5:-5].mean()), abs=1e-6)


def test_the_gradient_of_ssim_is_that_of_differences() -> None:
    image, target = pair(13, 12)
    image = image.permute(2, 0, 1).contiguous().requires_grad_()
    target = target.permute(2, 0, 1).contiguous()
    assert torch.autograd.gradcheck(lambda one: ssim_map(one, target), (image,), atol=1e-5)


def test_an_image_is_like_itself() -> None:
    image, _ = pair(dtype=torch.float32)
    assert ssim(image, image) == pytest.approx(1, abs=1e-5)
    assert psnr(image, image) == pytest.approx(100)
    assert image_loss(image, image, ssim_weight=0.2) == pytest.approx(0, abs=1e-5)


def test_psnr_is_that_of_its_definition() -> None:
    image = torch.zeros(4, 5, 3)
    assert psnr(image, image + 0.1) == pytest.approx(20, abs=1e-4)


def test_only_what_the_mask_shows_is_measured() -> None:
    image, target = pair(40, 40, torch.float32)
    mask = torch.ones(40, 40, dtype=torch.bool)
    mask[:, :12] = False
    spoiled = torch.where(mask[..., None], image, 0.9)
    assert psnr(spoiled, target, mask) == pytest.approx(float(psnr(image, target, mask)))
    assert ssim(spoiled, target, mask) == pytest.approx(float(ssim(image, target, mask)))
    assert psnr(spoiled, target) < psnr(image, target) - 1


def test_the_loss_is_the_weighted_sum_and_takes_bytes() -> None:
    image, target = pair(dtype=torch.float32)
    pixels = (target * 255).round().byte()
    structure = ssim_map(image.permute(2, 0, 1), (pixels.float() / 255).permute(2, 0, 1)).mean()
    expected = 0.7 * (image - pixels.float() / 255).abs().mean() + 0.3 * (1 - structure)
    assert image_loss(image, pixels, ssim_weight=0.3) == pytest.approx(float(expected), rel=1e-5)


def test_an_image_smaller_than_the_window_has_a_loss() -> None:
    image, target = pair(3, 4, torch.float32)
    assert image_loss(image, target, ssim_weight=0.2).isfinite()
    assert ssim(image, target).isfinite()


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_fused_loss_is_the_plain_one_under_tritons_interpreter() -> None:
    program = """
import torch
from splat_trainer.optimize.fused_image_loss import fused_image_loss
from splat_trainer.optimize.losses import image_loss
torch.manual_seed(0)
for height, width in ((17, 23), (5, 7), (3, 120)):
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
    image = torch.rand(height, width, 3).requires_grad_()
    for target in (pixels, pixels.float() / 255):
        found = []
        for loss in (fused_image_loss, image_loss):
            value = loss(image, target, ssim_weight=0.2)
            found += [value.detach(), *torch.autograd.grad(value * 3, image)]
        assert abs(found[0] - found[2]) < 1e-6, found
        assert (found[1] - found[3]).norm() < 1e-5 * found[3].norm(), (height, width)
print("agree")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "agree", done.stderr


def test_only_mcmc_pulls_on_opacities_and_sizes() -> None:
    gaussians = random_gaussians(9).detach()
    assert regularization(gaussians, Schedule(100)) is None
    pull = regularization(gaussians, Schedule(100, opacity_weight=0.5, scale_weight=2.0))
    expected = 0.5 * gaussians.opacities.sigmoid().mean() + 2 * gaussians.scales.exp().mean()
    assert pull is not None
    assert pull == pytest.approx(float(expected))
    assert isinstance(gaussians, Gaussians)
