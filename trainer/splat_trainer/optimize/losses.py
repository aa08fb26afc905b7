"""What training minimises, and what evaluation measures."""

from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.self_check import agree, use_if_right
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.ssim import inner, ssim_map


class ImageLoss(Protocol):
    """How far a picture is from its target."""

    def __call__(self, image: Tensor, target: Tensor, *, ssim_weight: float) -> Tensor:
        """(1 - w) L1 + w (1 - SSIM) (Kerbl et al. 2023, equation 7), a scalar.

        `image` is [H, W, 3] float32 in 0..1; `target` the same, or uint8 in 0..255. Beyond the
        border both count as black. Differentiable by `image` alone.
        """


def image_loss(image: Tensor, target: Tensor, *, ssim_weight: float) -> Tensor:
    """The `ImageLoss` in plain PyTorch, for any device."""
    if target.dtype == torch.uint8:
        target = target.float() / 255
    image, target = image.permute(2, 0, 1), target.permute(2, 0, 1)
    structure = ssim_map(image.contiguous(), target.contiguous()).mean()
    difference = (image - target).abs().mean()
    loss: Tensor = (1 - ssim_weight) * difference + ssim_weight * (1 - structure)
    return loss


def image_loss_for(device: torch.device) -> ImageLoss:
    """The fastest `ImageLoss` that works on a device: fused by Triton on a GPU, if it can."""
    if device.type != "cuda":
        return image_loss
    return use_if_right("fused image loss", _fused, check_fused) or image_loss


def _fused() -> ImageLoss:
    from splat_trainer.optimize.fused_image_loss import fused_image_loss  # noqa: PLC0415 - Triton

    return fused_image_loss


def check_fused(fused: ImageLoss, device: str = "cuda") -> None:
    """Compare values and gradients with those of `image_loss`.

    Raises:
        DisagreementError: they differ.
    """
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 256, (19, 101, 3), generator=generator, dtype=torch.uint8).to(device)
    image = torch.rand(19, 101, 3, generator=generator).to(device).requires_grad_()
    results = []
    for loss in (fused, image_loss):
        value = loss(image, target, ssim_weight=0.2)
        results.append([value.detach(), *torch.autograd.grad(value * 3, image)])
    agree(results[0], results[1], relative=1e-4)


def regularization(gaussians: Gaussians, schedule: Schedule) -> Tensor | None:
    """The pull on opacities and sizes that mcmc needs to free Gaussians; None where there is none.

    Kheradmand et al. 2024, equation 14.
    """
    terms = []
    if schedule.opacity_weight > 0:
        terms.append(schedule.opacity_weight * gaussians.opacities.sigmoid().mean())
    if schedule.scale_weight > 0:
        terms.append(schedule.scale_weight * gaussians.scales.exp().mean())
    return sum(terms[1:], terms[0]) if terms else None


@torch.no_grad()
def psnr(image: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB of [H, W, 3] images in 0..1, where `mask` is true."""
    squares = (image - target).square().mean(-1)
    error = squares.mean() if mask is None else (squares * mask).sum() / mask.sum().clamp_min(1)
    return -10 * error.clamp_min(1e-10).log10()


@torch.no_grad()
def ssim(image: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean SSIM of [H, W, 3] images in 0..1 over windows that lie whole inside them.

    With a mask, what it leaves out counts as black in both, and only the means of windows
    centred where it is true are taken.
    """
    if mask is None:
        return inner(ssim_map(image.permute(2, 0, 1), target.permute(2, 0, 1))).mean()
    image, target = image * mask[..., None], target * mask[..., None]
    values = inner(ssim_map(image.permute(2, 0, 1), target.permute(2, 0, 1)))
    counted = inner(mask[None].to(values))
    return (values * counted).sum() / (3 * counted.sum()).clamp_min(1)
