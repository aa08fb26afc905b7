"""Alpha blending on a GPU, by the CUDA kernels of kernels/cuda/blend.cu.

The same function as gsplat's `rasterize_to_pixels`, whose backward was the largest part of a
training's step; `blend.py` is its twin in plain PyTorch. The kernels are compiled together with
gsplat's, and are not there where gsplat came compiled from elsewhere.
"""

from typing import Any, Protocol

import gsplat
import torch
from torch import Tensor

from splat_trainer.kernels.self_check import agree, use_if_right
from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
)
from splat_trainer.rasterize.seen import Seen
from splat_trainer.rasterize.tile_lists import TileLists, tile_lists

_LIMITS = (ALPHA_THRESHOLD, ALPHA_LIMIT, TRANSMITTANCE_THRESHOLD)


class Blend(Protocol):
    """Blends one camera's projected Gaussians into an image, differentiably."""

    def __call__(
        self,
        seen: Seen,
        background: Tensor | None,
        lists: TileLists,
        *,
        width: int,
        height: int,
    ) -> tuple[Tensor, Tensor]:
        """Image [1, H, W, 3] and coverage [1, H, W, 1].

        `background` is [3] and takes no gradient; black where None.
        """


def gsplats_blend(
    seen: Seen,
    background: Tensor | None,
    lists: TileLists,
    *,
    width: int,
    height: int,
    absgrad: bool = False,
) -> tuple[Tensor, Tensor]:
    """See `Blend`; by gsplat's kernels, for any number of channels."""
    found: tuple[Tensor, Tensor] = gsplat.rasterize_to_pixels(
        seen.means2d,
        seen.conics,
        seen.colors,
        seen.opacities[None],
        width,
        height,
        lists.tile,
        lists.offsets[None],
        lists.ids,
        backgrounds=None if background is None else background[None],
        masks=lists.mask[None],
        absgrad=absgrad,
    )
    return found


def fused_blend(
    seen: Seen,
    background: Tensor | None,
    lists: TileLists,
    *,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """See `Blend`."""
    image, alphas = _FusedBlend.apply(  # type: ignore[no-untyped-call]
        *(seen.means2d, seen.conics, seen.colors, seen.opacities),
        *(background, lists, width, height),
    )
    return image, alphas


def blend_for(device: torch.device) -> Blend:
    """The fastest on a device: on a GPU the fused one, where it is compiled in and right."""
    if device.type != "cuda":
        return gsplats_blend
    kernel = use_if_right("blending", _compiled, lambda one: check_fused(one, device))
    return kernel or gsplats_blend


class _FusedBlend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        colors: Tensor,
        opacities: Tensor,
        background: Tensor | None,
        lists: TileLists,
        width: int,
        height: int,
    ) -> tuple[Tensor, Tensor]:
        projected = [one.contiguous() for one in (means2d[0], conics[0], colors[0], opacities)]
        image, alphas, lasts = torch.ops.splat.blend(
            *projected, background, lists.offsets, lists.ids, width, height, lists.tile, _LIMITS
        )
        ctx.save_for_backward(*projected, lists.offsets, lists.ids, image, alphas, lasts)
        ctx.tile = lists.tile
        ctx.set_materialize_grads(False)
        return image[None], alphas[None]

    @staticmethod
    def backward(ctx: Any, v_image: Tensor | None, v_alphas: Tensor | None) -> Any:
        saved = ctx.saved_tensors
        if v_image is None:
            v_image = torch.zeros_like(saved[6])[None]
        v_means2d, v_conics, v_colors, v_opacities = torch.ops.splat.blend_backward(
            *saved,
            v_image[0].contiguous(),
            None if v_alphas is None else v_alphas[0].contiguous(),
            ctx.tile,
            _LIMITS,
        )
        gradients = v_means2d[None], v_conics[None], v_colors[None], v_opacities
        return (*gradients, None, None, None, None)


def _compiled() -> Blend:
    """The fused one; raises where what was loaded was compiled without it."""
    if not hasattr(torch.ops.splat, "blend"):
        raise RuntimeError("it is not among the kernels that were loaded")
    return fused_blend


@torch.enable_grad()  # type: ignore[no-untyped-call]
def check_fused(fused: Blend, device: torch.device, *, count: int = 300) -> None:
    """Compare images and gradients with gsplat's, over black and over a colour.

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
    lists = tile_lists(
        *(drawn[0][0], radii, depths, drawn[1][0], drawn[3]),
        width=width,
        height=height,
        capacity=count * 200,
    )
    pulls = [
        torch.randn(1, height, width, channels, generator=generator).to(device)
        for channels in (3, 1)
    ]
    for background in (None, torch.tensor([0.2, 0.9, 0.5], device=device)):
        results = []
        for blend in (fused, gsplats_blend):
            leaves = [one.clone().requires_grad_() for one in drawn]
            means, shapes, shades, shares = leaves
            seen = Seen(means, shapes, shades, shares, depths[None], radii[None])
            image, alphas = blend(seen, background, lists, width=width, height=height)
            # Of a scalar: for any other gradient PyTorch imports sympy first, which takes seconds.
            loss = (image * pulls[0]).sum() + (alphas * pulls[1]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [one.grad for one in leaves if one.grad is not None]
            results.append([image.detach(), alphas.detach(), *gradients])
        agree(results[0], results[1], relative=5e-3)
