"""What training minimises, and what evaluation measures."""

import logging
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.ssim import inner, ssim_map

_log = logging.getLogger(__name__)


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
    try:
        from splat_trainer.optimize.fused_image_loss import fused_image_loss  # noqa: PLC0415

        fused_image_loss(
            torch.zeros(1, 1, 3, device=device),
            torch.zeros(1, 1, 3, device=device, dtype=torch.uint8),
            ssim_weight=0.2,
        )
    except Exception as error:  # a compiler, a linker, a cache folder: anything can be missing
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        _log.warning("Triton does not compile here (%s): training goes on, slower", reason)
        return image_loss
    return fused_image_loss


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
