"""Alpha blending of projected Gaussians, with its gradient written out.

For a pixel and the Gaussians of its tile, nearest first (Kerbl et al. 2023, equations 3 and 4):
sigma = d^T conic d / 2, alpha = opacity exp(-sigma), w = alpha T, T = product of the (1 - alpha)
before. Arrays are [tiles, rows, columns, Gaussians]: the last axis is the one that products and
sums run along, and it is contiguous.
"""

from typing import Any

import torch
from torch import Tensor

from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
)
from splat_trainer.rasterize.tiles import TILE, TileBlock, Tiling


def blend(
    means2d: Tensor,
    conics: Tensor,
    features: Tensor,
    opacities: Tensor,
    *,
    tiling: Tiling,
    absgrad: Tensor | None = None,
) -> Tensor:
    """Blend `features` [N, D] into an image [height, width, D], over nothing.

    A feature that is 1 everywhere blends to the coverage. Into `absgrad` [N, 2], backward
    writes the sum over pixels of each pixel's absolute gradient by `means2d`.
    """
    image: Tensor = _Blend.apply(  # type: ignore[no-untyped-call]
        means2d, conics, features, opacities, tiling, absgrad
    )
    return image


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        features: Tensor,
        opacities: Tensor,
        tiling: Tiling,
        absgrad: Tensor | None,
    ) -> Tensor:
        columns, rows = tiling.columns, tiling.rows
        depth = features.shape[1]
        tiled = features.new_zeros(rows * columns, TILE * TILE, depth)
        kept = []
        for block in tiling.blocks:
            dx, dy = _offsets(means2d, block, columns)
            alpha, weight = _alphas_and_weights(dx, dy, conics, opacities, block)
            count = block.ids.shape[1]
            tiled[block.tiles] = torch.bmm(
                weight.view(-1, TILE * TILE, count), _padded(features, block.ids)
            )
            if any(ctx.needs_input_grad):
                kept.append((alpha, weight))
        ctx.save_for_backward(means2d, conics, features, opacities)
        ctx.kept = kept
        ctx.tiling, ctx.absgrad = tiling, absgrad
        image = tiled.view(rows, columns, TILE, TILE, depth).transpose(1, 2)
        return image.reshape(rows * TILE, columns * TILE, depth)[: tiling.height, : tiling.width]

    @staticmethod
    def backward(ctx: Any, v_image: Tensor) -> Any:
        means2d, conics, features, opacities = ctx.saved_tensors
        tiling: Tiling = ctx.tiling
        columns, rows = tiling.columns, tiling.rows
        depth = features.shape[1]
        v_tiled = v_image.new_zeros(rows * TILE, columns * TILE, depth)
        v_tiled[: tiling.height, : tiling.width] = v_image
        v_tiled = v_tiled.view(rows, TILE, columns, TILE, depth).transpose(1, 2)
        v_tiled = v_tiled.reshape(rows * columns, TILE * TILE, depth)

        count = len(means2d)
        v_features = features.new_zeros(count + 1, depth)
        # sigma, dx, dy, dx^2, dx dy, dy^2, |x|, |y|: sums over pixels of v_sigma times each
        sums = means2d.new_zeros(count + 1, 8)
        for block, (alpha, weight) in zip(tiling.blocks, ctx.kept, strict=True):
            v_pixels = v_tiled[block.tiles]
            flat_weight = weight.view(len(block.tiles), TILE * TILE, -1)
            v_block = torch.bmm(flat_weight.transpose(1, 2), v_pixels)
            v_features.index_add_(0, block.ids.flatten(), v_block.flatten(0, 1))

            value = torch.bmm(v_pixels, _padded(features, block.ids).transpose(1, 2))
            v_sigma = _sigma_gradients(alpha, weight, value.view_as(alpha))
            dx, dy = _offsets(means2d, block, columns)
            by_column, by_row = v_sigma.sum(1), v_sigma.sum(2)
            moments = [
                by_column.sum(1),
                (by_column * dx).sum(1),
                (by_row * dy).sum(1),
                (by_column * dx * dx).sum(1),
                ((v_sigma * dy[:, :, None]).sum(1) * dx).sum(1),
                (by_row * dy * dy).sum(1),
            ]
            if ctx.absgrad is not None:
                a, b, c = _padded(conics, block.ids)[:, None].unbind(3)
                v_sigma.abs_()
                for along, across in ((a, b), (b, c)):
                    slope = (along * dx)[:, None] + (across * dy)[:, :, None]
                    moments.append((slope.abs_() * v_sigma).sum((1, 2)))
            block_sums = torch.stack(moments, dim=2)
            sums[:, : len(moments)].index_add_(0, block.ids.flatten(), block_sums.flatten(0, 1))

        sums = sums[:count]
        zeroth, x, y, xx, xy, yy, abs_x, abs_y = sums.unbind(1)
        a, b, c = conics.unbind(1)
        v_means2d = torch.stack([a * x + b * y, b * x + c * y], dim=1)
        v_conics = torch.stack([0.5 * xx, xy, 0.5 * yy], dim=1)
        v_opacities = torch.where(opacities > 0, -zeroth / opacities, 0)
        if ctx.absgrad is not None:
            ctx.absgrad.copy_(torch.stack([abs_x, abs_y], dim=1))
        return v_means2d, v_conics, v_features[:count], v_opacities, None, None


def _padded(values: Tensor, ids: Tensor) -> Tensor:
    """Rows of `values` by id, zero where there is none: [T, L, ...]."""
    nothing = values.new_zeros(1, *values.shape[1:])
    return torch.cat([values, nothing])[ids]


def _offsets(means2d: Tensor, block: TileBlock, columns: int) -> tuple[Tensor, Tensor]:
    """From pixel centres to means: dx [T, TILE, L] by column, dy [T, TILE, L] by row."""
    x, y = _padded(means2d, block.ids).unbind(2)
    centers = torch.arange(TILE, dtype=means2d.dtype) + 0.5
    left = (block.tiles % columns * TILE)[:, None] + centers
    top = (block.tiles // columns * TILE)[:, None] + centers
    return x[:, None, :] - left[:, :, None], y[:, None, :] - top[:, :, None]


def _alphas_and_weights(
    dx: Tensor, dy: Tensor, conics: Tensor, opacities: Tensor, block: TileBlock
) -> tuple[Tensor, Tensor]:
    """alpha and w of every Gaussian at every pixel, 0 where it is not drawn: [T, TILE, TILE, L]."""
    a, b, c = _padded(conics, block.ids)[:, None].unbind(3)
    alpha = (b * dx)[:, None] * dy[:, :, None]
    alpha += (0.5 * a * dx * dx)[:, None]
    alpha += (0.5 * c * dy * dy)[:, :, None]
    # Rounding can make sigma negative; gsplat leaves such pixels out, here it counts as 0.
    alpha = alpha.neg_().clamp_max_(0).exp_()
    alpha *= _padded(opacities, block.ids)[:, None, None]
    alpha.clamp_max_(ALPHA_LIMIT)
    torch.nn.functional.threshold(alpha, ALPHA_THRESHOLD, 0.0, inplace=True)
    left = torch.cumprod(1 - alpha, dim=3)
    if left[..., -1].min() <= TRANSMITTANCE_THRESHOLD:
        alpha *= left > TRANSMITTANCE_THRESHOLD
    weight = alpha.clone()
    weight[..., 1:] *= left[..., :-1]
    return alpha, weight


def _sigma_gradients(alpha: Tensor, weight: Tensor, value: Tensor) -> Tensor:
    """The loss's gradient by sigma, from `value`, that by each Gaussian's blended feature.

    d loss / d alpha_k = T_k value_k - (sum over j behind k of w_j value_j) / (1 - alpha_k).
    """
    gradient = weight * value
    behind = gradient.cumsum(3)
    behind = behind[..., -1:] - behind
    gradient -= behind.mul_(alpha).div_(1 - alpha)
    gradient *= alpha < ALPHA_LIMIT
    return gradient.neg_()
