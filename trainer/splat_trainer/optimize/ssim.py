"""Structural similarity of images, separable and with its gradient written out.

SSIM is that of Wang et al. 2004: an 11 x 11 Gaussian window of standard deviation 1.5, on each
channel alone, for values in 0..1.
"""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

WINDOW = 11
_SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """SSIM at every pixel, [C, H, W], of two images [C, H, W]; beyond the border all is 0.

    Differentiable by `image` alone.
    """
    values: Tensor = _Ssim.apply(image, target)  # type: ignore[no-untyped-call]
    return values


def inner(values: Tensor) -> Tensor:
    """The part [C, H - 10, W - 10] of a map [C, H, W] that saw whole windows of the image.

    An image smaller than the window keeps all of it.
    """
    margin = WINDOW // 2
    if min(values.shape[-2:]) <= 2 * margin:
        return values
    return values[..., margin:-margin, margin:-margin]


@functools.cache
def window_weights(device: torch.device) -> Tensor:
    """The window's weights along one axis, [11], of sum 1."""
    offsets = torch.arange(WINDOW, device=device, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * _SIGMA**2))
    return (weights / weights.sum()).float()


def _blur(planes: Tensor) -> Tensor:
    """Every plane of [..., H, W] under the window, zeros beyond the border."""
    weights = window_weights(planes.device).to(planes.dtype)
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    # TF32 keeps 10 bits, and variances are differences of what is blurred here.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        flat = functional.conv2d(flat, weights.view(1, 1, -1, 1), padding=(WINDOW // 2, 0))
        flat = functional.conv2d(flat, weights.view(1, 1, 1, -1), padding=(0, WINDOW // 2))
    blurred: Tensor = flat.view(planes.shape)
    return blurred


class _Ssim(torch.autograd.Function):
    """Backward needs three blurs where autograd through five would need ten."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        planes = torch.stack([image, target, image * image, target * target, image * target])
        mean_i, mean_t, square_i, square_t, product = _blur(planes)
        mean_ii, mean_tt, mean_it = mean_i * mean_i, mean_t * mean_t, mean_i * mean_t
        luminance = (2 * mean_it + C1) / (mean_ii + mean_tt + C1)
        contrast_below = square_i - mean_ii + square_t - mean_tt + C2
        contrast = (2 * (product - mean_it) + C2) / contrast_below
        ctx.save_for_backward(image, target, mean_i, mean_t, luminance, contrast, contrast_below)
        similarity: Tensor = luminance * contrast
        return similarity

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        image, target, mean_i, mean_t, luminance, contrast, contrast_below = ctx.saved_tensors
        luminance_below = mean_i * mean_i + mean_t * mean_t + C1
        # By the mean, the mean square and the mean product under the window.
        by_product = gradient * luminance * 2 / contrast_below
        by_square = -gradient * luminance * contrast / contrast_below
        by_mean = gradient * contrast * 2 * (mean_t - luminance * mean_i) / luminance_below
        by_mean = by_mean - by_product * mean_t - 2 * by_square * mean_i
        blurred = _blur(torch.stack([by_mean, by_square, by_product]))
        return blurred[0] + 2 * image * blurred[1] + target * blurred[2], None
