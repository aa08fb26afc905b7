"""The image loss and its gradient on a GPU, in four Triton kernels.

The same function as `losses.image_loss` in plain PyTorch, which is its twin and its test. Images
stay [H, W, 3] as the rasterizer makes them: a row is 3 W numbers, of which the same channel's
neighbours lie 3 apart, so that nothing has to be transposed. The gradient does not depend on
what follows the loss but for a factor, so forward makes it, too.
"""
# ruff: noqa: ANN001, ANN202, N803 - Triton compiles the kernels: pointers and numbers, by name
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from splat_trainer.optimize.ssim import C1, C2, WINDOW, window_weights

_BLOCK = 256

_ANY_IMAGE = ("target", "height", "row", "count")
"""Arguments of which Triton is to assume nothing: else every size of images, and every place of a
target in memory, would have kernels compiled of its own."""


def fused_image_loss(image: Tensor, target: Tensor, *, ssim_weight: float) -> Tensor:
    """(1 - w) L1 + w (1 - SSIM) of [H, W, 3] images; differentiable by `image` alone.

    `image` is float32 in 0..1; `target` the same, or uint8 in 0..255.
    """
    loss: Tensor = _FusedImageLoss.apply(  # type: ignore[no-untyped-call]
        image.contiguous(), target.contiguous(), ssim_weight
    )
    return loss


def launch_all_variants() -> None:
    """Launch, on the CPU's memory, each kernel that trainings use: to compile them without a GPU.

    There is one of each, for targets of bytes; nothing in a launch makes another one.
    """
    image = torch.zeros(16, 16, 3)
    fused_image_loss(image, image.to(torch.uint8), ssim_weight=0.2)


class _FusedImageLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor, ssim_weight: float) -> Tensor:
        height, width, channels = image.shape
        row, count = width * channels, image.numel()
        grid = (height, triton.cdiv(row, _BLOCK))
        weights = window_weights(image.device)
        scale = 1 / 255 if target.dtype == torch.uint8 else 1.0
        sums = image.new_empty(5, count)
        slopes = image.new_empty(3, count)
        parts = image.new_empty(grid[0] * grid[1])
        gradient = torch.empty_like(image)
        size = {"height": height, "row": row, "count": count}
        constants = {"STEP": channels, "WINDOW": WINDOW, "BLOCK": _BLOCK}
        _sums_along_rows[grid](image, target, scale, weights, sums, **size, **constants)
        _loss_and_slopes[grid](
            image, target, scale, weights, sums, slopes, parts,
            ssim_weight, C1, C2, **size, WINDOW=WINDOW, BLOCK=_BLOCK,
        )  # fmt: skip
        _blur_along_rows[grid](slopes, weights, sums, **size, **constants)
        _gradient[grid](
            image, target, scale, weights, sums, gradient,
            ssim_weight, **size, WINDOW=WINDOW, BLOCK=_BLOCK,
        )  # fmt: skip
        ctx.save_for_backward(gradient)
        return parts.sum()

    @staticmethod
    def backward(ctx: Any, factor: Tensor) -> Any:
        (gradient,) = ctx.saved_tensors
        return gradient * factor, None, None


@triton.jit(do_not_specialize=_ANY_IMAGE)
def _sums_along_rows(
    image, target, scale, weights, sums, height, row, count,
    STEP: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Means under the window's row of image, target, their squares and their product."""
    line = tl.program_id(0)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < row
    mean_i = tl.zeros([BLOCK], tl.float32)
    mean_t = tl.zeros([BLOCK], tl.float32)
    square_i = tl.zeros([BLOCK], tl.float32)
    square_t = tl.zeros([BLOCK], tl.float32)
    product = tl.zeros([BLOCK], tl.float32)
    for tap in range(WINDOW):
        there = place + STEP * (tap - WINDOW // 2)
        valid = (there >= 0) & (there < row)
        i = tl.load(image + line * row + there, mask=valid, other=0.0)
        t = tl.load(target + line * row + there, mask=valid, other=0).to(tl.float32) * scale
        weight = tl.load(weights + tap)
        mean_i += weight * i
        mean_t += weight * t
        square_i += weight * i * i
        square_t += weight * t * t
        product += weight * i * t
    at = line * row + place
    tl.store(sums + at, mean_i, mask=inside)
    tl.store(sums + count + at, mean_t, mask=inside)
    tl.store(sums + 2 * count + at, square_i, mask=inside)
    tl.store(sums + 3 * count + at, square_t, mask=inside)
    tl.store(sums + 4 * count + at, product, mask=inside)


@triton.jit(do_not_specialize=_ANY_IMAGE)
def _loss_and_slopes(
    image, target, scale, weights, sums, slopes, parts,
    ssim_weight, c1, c2, height, row, count,
    WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Each block's part of the loss, and the loss's gradient by the windows' means."""
    line = tl.program_id(0)
    block = tl.program_id(1)
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < row
    mean_i = tl.zeros([BLOCK], tl.float32)
    mean_t = tl.zeros([BLOCK], tl.float32)
    square_i = tl.zeros([BLOCK], tl.float32)
    square_t = tl.zeros([BLOCK], tl.float32)
    product = tl.zeros([BLOCK], tl.float32)
    for tap in range(WINDOW):
        there = line + tap - WINDOW // 2
        valid = inside & (there >= 0) & (there < height)
        at = sums + there * row + place
        weight = tl.load(weights + tap)
        mean_i += weight * tl.load(at, mask=valid, other=0.0)
        mean_t += weight * tl.load(at + count, mask=valid, other=0.0)
        square_i += weight * tl.load(at + 2 * count, mask=valid, other=0.0)
        square_t += weight * tl.load(at + 3 * count, mask=valid, other=0.0)
        product += weight * tl.load(at + 4 * count, mask=valid, other=0.0)
    here = line * row + place
    i = tl.load(image + here, mask=inside, other=0.0)
    t = tl.load(target + here, mask=inside, other=0).to(tl.float32) * scale

    luminance_below = mean_i * mean_i + mean_t * mean_t + c1
    luminance = (2 * mean_i * mean_t + c1) / luminance_below
    contrast_below = square_i - mean_i * mean_i + square_t - mean_t * mean_t + c2
    contrast = (2 * (product - mean_i * mean_t) + c2) / contrast_below
    share = 1.0 / count
    part = (1 - ssim_weight) * tl.abs(i - t) + ssim_weight * (1 - luminance * contrast)
    part = tl.where(inside, part * share, 0.0)
    tl.store(parts + line * tl.num_programs(1) + block, tl.sum(part, axis=0))

    pull = -ssim_weight * share
    by_product = pull * luminance * 2 / contrast_below
    by_square = -pull * luminance * contrast / contrast_below
    by_mean = pull * contrast * 2 * (mean_t - luminance * mean_i) / luminance_below
    by_mean = by_mean - by_product * mean_t - 2 * by_square * mean_i
    tl.store(slopes + here, by_mean, mask=inside)
    tl.store(slopes + count + here, by_square, mask=inside)
    tl.store(slopes + 2 * count + here, by_product, mask=inside)


@triton.jit(do_not_specialize=_ANY_IMAGE)
def _blur_along_rows(
    slopes, weights, blurred, height, row, count,
    STEP: tl.constexpr, WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Three maps under the window's row."""
    line = tl.program_id(0)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < row
    by_mean = tl.zeros([BLOCK], tl.float32)
    by_square = tl.zeros([BLOCK], tl.float32)
    by_product = tl.zeros([BLOCK], tl.float32)
    for tap in range(WINDOW):
        there = place + STEP * (tap - WINDOW // 2)
        valid = (there >= 0) & (there < row)
        at = slopes + line * row + there
        weight = tl.load(weights + tap)
        by_mean += weight * tl.load(at, mask=valid, other=0.0)
        by_square += weight * tl.load(at + count, mask=valid, other=0.0)
        by_product += weight * tl.load(at + 2 * count, mask=valid, other=0.0)
    at = blurred + line * row + place
    tl.store(at, by_mean, mask=inside)
    tl.store(at + count, by_square, mask=inside)
    tl.store(at + 2 * count, by_product, mask=inside)


@triton.jit(do_not_specialize=_ANY_IMAGE)
def _gradient(
    image, target, scale, weights, blurred, gradient,
    ssim_weight, height, row, count,
    WINDOW: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The loss's gradient by the image, from the three maps under the window's column."""
    line = tl.program_id(0)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < row
    by_mean = tl.zeros([BLOCK], tl.float32)
    by_square = tl.zeros([BLOCK], tl.float32)
    by_product = tl.zeros([BLOCK], tl.float32)
    for tap in range(WINDOW):
        there = line + tap - WINDOW // 2
        valid = inside & (there >= 0) & (there < height)
        at = blurred + there * row + place
        weight = tl.load(weights + tap)
        by_mean += weight * tl.load(at, mask=valid, other=0.0)
        by_square += weight * tl.load(at + count, mask=valid, other=0.0)
        by_product += weight * tl.load(at + 2 * count, mask=valid, other=0.0)
    here = line * row + place
    i = tl.load(image + here, mask=inside, other=0.0)
    t = tl.load(target + here, mask=inside, other=0).to(tl.float32) * scale
    sign = tl.where(i > t, 1.0, tl.where(i < t, -1.0, 0.0))
    total = by_mean + 2 * i * by_square + t * by_product + sign * ((1 - ssim_weight) / count)
    tl.store(gradient + here, total, mask=inside)
