"""The rasterizer for NVIDIA GPUs: gsplat's kernels, called one by one.

gsplat's own `rasterization()` inverts the cameras' matrices, which makes the host wait for the
GPU in every step; here it waits once, for `isect_tiles` to size its lists.
"""

import gsplat
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.ensure import ensure_kernels
from splat_trainer.rasterize.interface import LOW_PASS, NEAR_PLANE, Cameras, Rendering

_TILE = 16


class GsplatRasterizer:
    """A `Rasterizer` on gsplat 1.5.3; compiles or loads its kernels when made."""

    def __init__(self) -> None:
        ensure_kernels()

    def __call__(
        self,
        gaussians: Gaussians,
        cameras: Cameras,
        *,
        sh_degree: int,
        background: Tensor | None = None,
        absgrad: bool = False,
        features: Tensor | None = None,
    ) -> Rendering:
        """See `Rasterizer`."""
        width, height, count = cameras.width, cameras.height, len(cameras.viewmats)
        opacities = gaussians.opacities.sigmoid()
        radii, means2d, depths, conics, _ = gsplat.fully_fused_projection(
            gaussians.means,
            None,
            gaussians.quats,
            gaussians.scales.exp(),
            cameras.viewmats,
            cameras.Ks,
            width,
            height,
            eps2d=LOW_PASS,
            near_plane=NEAR_PLANE,
            opacities=opacities.detach(),  # bounds the box only, and takes no gradient
        )
        if means2d.requires_grad:
            means2d.retain_grad()
        visible = (radii > 0).all(-1)

        directions = gaussians.means[None] - cameras.centers()[:, None]
        colors = gsplat.spherical_harmonics(
            sh_degree, directions, _for_each(gaussians.sh, count), masks=visible
        )
        colors = torch.clamp_min(colors + 0.5, 0)
        if features is not None:
            colors = torch.cat([colors, _for_each(features, count)], dim=-1)
            if background is not None:
                background = torch.cat([background, background.new_zeros(features.shape[1])])

        columns, rows = -(-width // _TILE), -(-height // _TILE)
        _, isect_ids, flatten_ids = gsplat.isect_tiles(
            means2d, radii, depths, _TILE, columns, rows, n_images=count
        )
        offsets = gsplat.isect_offset_encode(isect_ids, count, columns, rows)
        image, alphas = gsplat.rasterize_to_pixels(
            means2d,
            conics,
            colors,
            _for_each(opacities, count),
            width,
            height,
            _TILE,
            offsets.reshape(count, rows, columns),
            flatten_ids,
            backgrounds=None if background is None else background.expand(count, -1),
            absgrad=absgrad,
        )
        if features is None:
            return Rendering(image, alphas, means2d, visible)
        return Rendering(image[..., :3], alphas, means2d, visible, image[..., 3:])


def _for_each(values: Tensor, count: int) -> Tensor:
    """`values` for each of `count` cameras; for one, without a sum over it in backward."""
    return values[None] if count == 1 else values.expand(count, *values.shape)
