"""What training minimises, and what evaluation measures."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.ssim import inner, ssim_map


def image_loss(image: Tensor, target: Tensor, mask: Tensor | None, *, ssim_weight: float) -> Tensor:
    """(1 - w) L1 + w (1 - SSIM) (Kerbl et al. 2023, equation 7).

    `image` and `target` are [H, W, 3] in 0..1; where `mask` [H, W] is false, both count as
    black, so that nothing pulls there.
    """
    if mask is not None:
        image, target = image * mask[..., None], target * mask[..., None]
    image, target = image.permute(2, 0, 1), target.permute(2, 0, 1)
    structure = ssim_map(image.contiguous(), target.contiguous()).mean()
    difference = (image - target).abs().mean()
    loss: Tensor = (1 - ssim_weight) * difference + ssim_weight * (1 - structure)
    return loss


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
