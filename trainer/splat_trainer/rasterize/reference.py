"""The rasterizer for machines without a GPU: pure PyTorch, the same picture as gsplat's."""

from collections.abc import Sequence

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.spherical_harmonics import basis
from splat_trainer.rasterize.blend import blend
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.projection import project
from splat_trainer.rasterize.tile_room import TileRoom
from splat_trainer.rasterize.tiles import cut_into_tiles


class ReferenceRasterizer:
    """A `Rasterizer` for the CPU; its values and gradients are gsplat's to rounding."""

    def __call__(
        self,
        gaussians: Gaussians,
        cameras: Cameras,
        *,
        sh_degree: int,
        background: Tensor | None = None,
        absgrad: bool = False,
        features: Tensor | None = None,
        room: TileRoom | None = None,
    ) -> Rendering:
        """See `Rasterizer`."""
        opacities = gaussians.opacities.sigmoid()
        projected = [project(gaussians, cameras, i) for i in range(len(cameras.viewmats))]
        means2d = torch.stack([one.means2d for one in projected])
        if means2d.requires_grad:
            means2d.retain_grad()

        if absgrad:
            means2d.absgrad = torch.zeros_like(means2d)  # type: ignore[attr-defined] # as gsplat

        colors, alphas, others = [], [], []
        for index, (one, center) in enumerate(zip(projected, cameras.centers(), strict=True)):
            rgb = view_colors(gaussians, center, sh_degree)
            # Coverage is blended as a fourth colour that is 1 everywhere.
            blended = [rgb, torch.ones_like(rgb[:, :1]), *([] if features is None else [features])]
            image = blend(
                means2d[index],
                one.conics,
                torch.cat(blended, dim=1),
                opacities,
                tiling=cut_into_tiles(one, cameras.width, cameras.height),
                absgrad=means2d.absgrad[index] if absgrad else None,  # type: ignore[attr-defined]
            )
            color, alpha = image[..., :3], image[..., 3:4]
            others.append(image[..., 4:])
            if background is not None:
                color = color + (1 - alpha) * background
            colors.append(color)
            alphas.append(alpha)
        visible = torch.stack([(one.radii > 0).all(1) for one in projected])
        return Rendering(
            torch.stack(colors),
            torch.stack(alphas),
            means2d,
            visible,
            None if features is None else torch.stack(others),
        )

    def make_room(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> None:
        """None: there is no other device to wait for, lists are as long as they need to be."""


def view_colors(gaussians: Gaussians, center: Tensor, sh_degree: int) -> Tensor:
    """Colours [N, 3], at least 0, as seen from `center` [3] (gsplat; Kerbl et al. 2023)."""
    directions = torch.nn.functional.normalize(gaussians.means - center, dim=1)
    functions = basis(directions, sh_degree)
    coefficients = gaussians.sh[:, : functions.shape[1]]
    return (torch.einsum("nk,nkc->nc", functions, coefficients) + 0.5).clamp_min(0)
