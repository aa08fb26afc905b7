"""The rasterizer for NVIDIA GPUs: gsplat's kernels, called one by one, and our own.

gsplat's own `rasterization()` inverts the cameras' matrices and sizes the tiles' lists by what is
seen: the host waits for the GPU twice in every step. With room for lists of a fixed size it never
does here, so that a step can be a CUDA graph.
"""

from collections.abc import Sequence
from functools import partial

import gsplat
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.kernels.ensure import ensure_kernels
from splat_trainer.kernels.self_check import agree, use_if_right
from splat_trainer.rasterize.check_scene import (
    HEIGHT,
    WIDTH,
    check_camera,
    check_gaussians,
    leaves,
)
from splat_trainer.rasterize.fused_blend import Blend, blend_for, draw_by_gsplat, gsplats_blend
from splat_trainer.rasterize.fused_projection import (
    Projection,
    gsplats_projection,
    projection_for,
)
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.tile_lists import TILE, count_pairs, tile_lists
from splat_trainer.rasterize.tile_room import TileRoom, room_for_views


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
        room: TileRoom | None = None,
    ) -> Rendering:
        """See `Rasterizer`."""
        width, height, count = cameras.width, cameras.height, len(cameras.viewmats)
        fixed = room is not None and count == 1 and len(gaussians) > 0
        see = self.projection(gaussians.device) if fixed else gsplats_projection
        seen = see(gaussians, cameras, sh_degree)
        if seen.means2d.requires_grad:
            seen.means2d.retain_grad()
        complete = None
        if room is not None and fixed:
            lists = tile_lists(
                *(seen.means2d[0], seen.radii[0], seen.depths[0], seen.conics[0], seen.opacities),
                width=width,
                height=height,
                capacity=room.capacity,
            )
            complete = room.note(lists.pairs)
            blend: Blend = self.blend(gaussians.device)
            if absgrad:
                blend = partial(gsplats_blend, absgrad=True)
            drawn = blend(seen, features, background, lists, width=width, height=height)
        else:
            columns, rows = -(-width // TILE), -(-height // TILE)
            _, isect_ids, ids = gsplat.isect_tiles(
                seen.means2d, seen.radii, seen.depths, TILE, columns, rows, n_images=count
            )
            offsets = gsplat.isect_offset_encode(isect_ids, count, columns, rows)
            drawn = draw_by_gsplat(
                *(seen, features, background),
                tile=TILE,
                offsets=offsets.reshape(count, rows, columns),
                ids=ids,
                masks=None,
                width=width,
                height=height,
                absgrad=absgrad,
            )
        visible = (seen.radii > 0).all(-1)
        if complete is not None:
            visible = visible & complete[:, None]
        return Rendering(drawn.image, drawn.alphas, seen.means2d, visible, drawn.features, complete)

    def projection(self, device: torch.device) -> Projection:
        """What sees Gaussians by one camera."""
        return projection_for(device)

    def blend(self, device: torch.device) -> Blend:
        """What blends by lists of a fixed size."""
        return blend_for(device)

    @torch.no_grad()
    def make_room(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> TileRoom | None:
        """See `Rasterizer`; None where lists of a fixed size do not work as they should."""
        device = gaussians.device
        if not use_if_right(
            "lists of a fixed size", lambda: self, lambda one: _check_fixed_lists(one, device)
        ):
            return None
        return room_for_views((_pairs(gaussians, one) for one in cameras), device)


def _pairs(gaussians: Gaussians, camera: Cameras) -> Tensor:
    """Pairs of Gaussian and tile that one camera sees, [1] int64."""
    seen = gsplats_projection(gaussians, camera, 0)
    return count_pairs(seen.means2d[0], seen.radii[0], width=camera.width, height=camera.height)


@torch.enable_grad()  # type: ignore[no-untyped-call]
def _check_fixed_lists(rasterizer: GsplatRasterizer, device: torch.device) -> None:
    """Compare a picture and its gradients with those from gsplat's own lists.

    Raises:
        DisagreementError: they differ by more than a few pixels at Gaussians' edges do.
    """
    camera, drawn = check_camera(device), check_gaussians(device)
    pull = torch.randn(1, HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0)).to(device)
    results = []
    for room in (TileRoom(1 << 14, device), None):
        gaussians = leaves(drawn)
        rendering = rasterizer(gaussians, camera, sh_degree=1, room=room)
        # Of a scalar: for any other gradient PyTorch imports sympy first, which takes seconds.
        (rendering.colors * pull).sum().backward()  # type: ignore[no-untyped-call]
        gradients = [one.grad for _, one in gaussians if one.grad is not None]
        results.append([rendering.colors.detach(), *gradients])
    agree(results[0], results[1], relative=1e-2)
