"""Alpha blending on a GPU, by the CUDA kernels of kernels/cuda/blend.cu.

The same function as gsplat's `rasterize_to_pixels`, whose backward was the largest part of a
training's step; `blend.py` is its twin in plain PyTorch. The kernels are compiled together with
gsplat's, and are not there where gsplat came compiled from elsewhere.
"""

from itertools import product
from typing import Any, NamedTuple, Protocol

import gsplat
import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, compiled_in, use_if_right
from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
)
from splat_trainer.rasterize.seen import Seen
from splat_trainer.rasterize.tile_lists import SMALL_TILE, TILE, TileLists, tile_lists

MOST_FEATURES = 4
"""As many as our kernels take (`kMostFeatures` in blend.h)."""

_LIMITS = (ALPHA_THRESHOLD, ALPHA_LIMIT, TRANSMITTANCE_THRESHOLD)


class Blended(NamedTuple):
    """An image [C, H, W, 3], coverage [C, H, W, 1], and features [C, H, W, F] or None."""

    image: Tensor
    alphas: Tensor
    features: Tensor | None


class Blend(Protocol):
    """Blends one camera's projected Gaussians into an image, differentiably."""

    def __call__(
        self,
        seen: Seen,
        features: Tensor | None,
        background: Tensor | None,
        lists: TileLists,
        *,
        width: int,
        height: int,
    ) -> Blended:
        """`features` [N, F] are zeros; `background` [3] takes no gradient, black where None."""


def gsplats_blend(
    seen: Seen,
    features: Tensor | None,
    background: Tensor | None,
    lists: TileLists,
    *,
    width: int,
    height: int,
    absgrad: bool = False,
) -> Blended:
    """See `Blend`."""
    return draw_by_gsplat(
        *(seen, features, background),
        tile=lists.tile,
        offsets=lists.offsets[None],
        ids=lists.ids,
        masks=lists.mask[None],
        width=width,
        height=height,
        absgrad=absgrad,
    )


def draw_by_gsplat(
    seen: Seen,
    features: Tensor | None,
    background: Tensor | None,
    *,
    tile: int,
    offsets: Tensor,
    ids: Tensor,
    masks: Tensor | None,
    width: int,
    height: int,
    absgrad: bool,
) -> Blended:
    """What C cameras see, by gsplat's kernels; `features` may be any.

    `offsets` and `masks` are [C, rows, columns]; the last tile's list ends where `ids` do.
    """
    count = len(seen.means2d)
    colors = seen.colors
    if features is not None:
        colors = torch.cat([colors, _for_each(features, count)], dim=-1)
        if background is not None:
            background = torch.cat([background, background.new_zeros(features.shape[1])])
    image, alphas = gsplat.rasterize_to_pixels(
        *(seen.means2d, seen.conics, colors, _for_each(seen.opacities, count)),
        *(width, height, tile, offsets, ids),
        backgrounds=None if background is None else background.expand(count, -1),
        masks=masks,
        absgrad=absgrad,
    )
    if features is None:
        return Blended(image, alphas, None)
    return Blended(image[..., :3], alphas, image[..., 3:])


def _for_each(values: Tensor, count: int) -> Tensor:
    """`values` for each of `count` cameras; for one, without a sum over it in backward."""
    return values[None] if count == 1 else values.expand(count, *values.shape)


def fused_blend(
    seen: Seen,
    features: Tensor | None,
    background: Tensor | None,
    lists: TileLists,
    *,
    width: int,
    height: int,
) -> Blended:
    """See `Blend`; zeros need not be drawn, and their gradients cost little here."""
    if features is not None and features.shape[1] > MOST_FEATURES:
        return gsplats_blend(seen, features, background, lists, width=width, height=height)
    image, alphas, drawn = _FusedBlend.apply(  # type: ignore[no-untyped-call]
        *(seen.means2d, seen.conics, seen.colors, seen.opacities, features),
        *(background, lists, width, height),
    )
    return Blended(image, alphas, drawn)


def blend_for(device: torch.device) -> Blend:
    """The fastest on a device: on a GPU the fused one, where it is compiled in and right."""
    if device.type != "cuda":
        return gsplats_blend
    kernel = use_if_right(
        "blending",
        lambda: compiled_in("blend", fused_blend),
        lambda one: check_fused(one, device),
    )
    return kernel or gsplats_blend


class _FusedBlend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        colors: Tensor,
        opacities: Tensor,
        features: Tensor | None,
        background: Tensor | None,
        lists: TileLists,
        width: int,
        height: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        projected = [one.contiguous() for one in (means2d[0], conics[0], colors[0], opacities)]
        image, alphas, lasts = torch.ops.splat.blend(
            *projected, background, lists.offsets, lists.ids, width, height, lists.tile, _LIMITS
        )
        ctx.save_for_backward(*projected, lists.offsets, lists.ids, image, alphas, lasts)
        ctx.tile = lists.tile
        ctx.set_materialize_grads(False)
        drawn = None if features is None else image.new_zeros(1, height, width, features.shape[1])
        return image[None], alphas[None], drawn

    @staticmethod
    def backward(
        ctx: Any, v_image: Tensor | None, v_alphas: Tensor | None, v_drawn: Tensor | None
    ) -> Any:
        saved = ctx.saved_tensors
        if v_image is None:
            v_image = torch.zeros_like(saved[6])[None]
        v_means2d, v_conics, v_colors, v_opacities, v_features = torch.ops.splat.blend_backward(
            *saved,
            v_image[0].contiguous(),
            None if v_alphas is None else v_alphas[0].contiguous(),
            None if v_drawn is None else v_drawn[0].contiguous(),
            ctx.tile,
            _LIMITS,
        )
        gradients = v_means2d[None], v_conics[None], v_colors[None], v_opacities
        beside = None if v_drawn is None else v_features
        return (*gradients, beside, None, None, None, None)


@torch.enable_grad()  # type: ignore[no-untyped-call]
def check_fused(fused: Blend, device: torch.device, *, count: int = 300) -> None:
    """Compare images and gradients with gsplat's, by tiles of both sizes.

    Once over black, and once over a colour and with features.

    Raises:
        DisagreementError: they differ by more than rounding at Gaussians' edges.
    """
    generator = torch.Generator().manual_seed(count)
    width, height = 75, 53
    means2d = torch.rand(1, count, 2, generator=generator) * torch.tensor([width, height])
    sides = torch.rand(count, 2, generator=generator) * 6 + 0.6
    slant = (torch.rand(count, generator=generator) * 1.6 - 0.8) * sides.prod(1)
    below = sides.prod(1).square() - slant.square()
    conics = torch.stack([sides[:, 1].square(), -slant, sides[:, 0].square()], 1) / below[:, None]
    radii = (3.4 * sides.amax(1, keepdim=True)).ceil().int().expand(count, 2)
    opacities = torch.rand(count, generator=generator).mul(1.1).clamp_max(1)
    drawn = [means2d, conics[None], torch.rand(1, count, 3, generator=generator), opacities]
    drawn = [one.to(device) for one in drawn]
    depths = torch.rand(count, generator=generator).to(device) + 1
    radii = radii.to(device)
    pulls = [
        torch.randn(1, height, width, channels, generator=generator).to(device)
        for channels in (3, 1, 2)
    ]
    beside = torch.zeros(count, 2, device=device)
    behind = torch.tensor([0.2, 0.9, 0.5], device=device)
    over = ((None, None), (behind, beside))
    for tile, (background, zeros) in product((SMALL_TILE, TILE), over):
        lists = tile_lists(
            *(drawn[0][0], radii, depths, drawn[1][0], drawn[3]),
            width=width,
            height=height,
            capacity=count * 200,
            tile=tile,
        )
        results = []
        for blend in (fused, gsplats_blend):
            leaves = [one.clone().requires_grad_() for one in drawn]
            means, shapes, shades, shares = leaves
            features = None if zeros is None else zeros.clone().requires_grad_()
            seen = Seen(means, shapes, shades, shares, depths[None], radii[None])
            image, alphas, others = blend(
                seen, features, background, lists, width=width, height=height
            )
            # Of a scalar: for any other gradient PyTorch imports sympy first, which takes seconds.
            loss = (image * pulls[0]).sum() + (alphas * pulls[1]).sum()
            if others is not None:
                loss = loss + (others * pulls[2]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            every = [*leaves, *([] if features is None else [features])]
            gradients = [one.grad for one in every if one.grad is not None]
            results.append([image.detach(), alphas.detach(), *gradients])
        agree(results[0], results[1], relative=5e-3)
