"""What one camera sees of each Gaussian, by the CUDA kernels of kernels/cuda/project.cu.

One kernel does what took ten of gsplat's and PyTorch's: activations, projection, and colours from
spherical harmonics; another one their gradient. `projection.py` and `reference.view_colors` are
the twin in plain PyTorch. Like blending it is not there where gsplat came compiled from elsewhere.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import gsplat
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import NAMES, Gaussians
from splat_trainer.kernels.self_check import agree, compiled_in, use_if_right
from splat_trainer.rasterize.check_scene import check_camera, check_gaussians, leaves
from splat_trainer.rasterize.interface import ALPHA_THRESHOLD, LOW_PASS, NEAR_PLANE, Cameras
from splat_trainer.rasterize.seen import Seen

_SIGHT = (LOW_PASS, NEAR_PLANE, ALPHA_THRESHOLD)


Projection: TypeAlias = Callable[[Gaussians, Cameras, int], Seen]
"""Sees Gaussians, with spherical harmonics up to a degree."""


def gsplats_projection(gaussians: Gaussians, cameras: Cameras, sh_degree: int) -> Seen:
    """By gsplat's kernels, for any number of cameras."""
    opacities = gaussians.opacities.sigmoid()
    radii, means2d, depths, conics, _ = gsplat.fully_fused_projection(
        gaussians.means,
        None,
        gaussians.quats,
        gaussians.scales.exp(),
        cameras.viewmats,
        cameras.Ks,
        cameras.width,
        cameras.height,
        eps2d=LOW_PASS,
        near_plane=NEAR_PLANE,
        opacities=opacities.detach(),  # bounds the box only, and takes no gradient
    )
    count = len(cameras.viewmats)
    directions = gaussians.means[None] - cameras.centers()[:, None]
    sh = gaussians.sh[None] if count == 1 else gaussians.sh.expand(count, -1, -1, -1)
    visible = (radii > 0).all(-1)
    colors = gsplat.spherical_harmonics(sh_degree, directions, sh, masks=visible)
    return Seen(means2d, conics, torch.clamp_min(colors + 0.5, 0), opacities, depths, radii)


def fused_projection(gaussians: Gaussians, cameras: Cameras, sh_degree: int) -> Seen:
    """By our own kernels, for one camera."""
    seen = _FusedProjection.apply(  # type: ignore[no-untyped-call]
        *(getattr(gaussians, name) for name in NAMES), cameras, sh_degree
    )
    return Seen(*seen)


def projection_for(device: torch.device) -> Projection:
    """The fastest for one camera: on a GPU the fused one, where it is compiled in and right."""
    if device.type != "cuda":
        return gsplats_projection
    kernel = use_if_right(
        "projection",
        lambda: compiled_in("project", fused_projection),
        lambda one: check_fused(one, device),
    )
    return kernel or gsplats_projection


class _FusedProjection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        sh: Tensor,
        cameras: Cameras,
        sh_degree: int,
    ) -> tuple[Tensor, ...]:
        parameters = [one.contiguous() for one in (means, quats, scales, opacities, sh)]
        camera = (cameras.viewmats[0].contiguous(), cameras.Ks[0].contiguous())
        size = (cameras.width, cameras.height, sh_degree, _SIGHT)
        means2d, conics, colors, alphas, depths, radii = torch.ops.splat.project(
            *parameters, *camera, *size
        )
        ctx.save_for_backward(*parameters, *camera, radii)
        ctx.size = size
        seen = (means2d[None], conics[None], colors[None], alphas, depths[None], radii[None])
        ctx.mark_non_differentiable(seen[4], seen[5])
        return seen

    @staticmethod
    def backward(ctx: Any, *v_seen: Tensor) -> Any:
        v_means2d, v_conics, v_colors, v_alphas = (one.contiguous() for one in v_seen[:4])
        gradients = torch.ops.splat.project_backward(
            *ctx.saved_tensors,
            *(v_means2d[0], v_conics[0], v_colors[0], v_alphas),
            *ctx.size,
        )
        return (*gradients, None, None)


@torch.enable_grad()  # type: ignore[no-untyped-call]
def check_fused(fused: Projection, device: torch.device) -> None:
    """Compare what is seen, and gradients, with gsplat's, for each degree.

    Raises:
        DisagreementError: they differ by more than rounding.
    """
    drawn, camera = check_gaussians(device), check_camera(device)
    for degree in range(4):
        results = []
        for project in (fused, gsplats_projection):
            gaussians = leaves(drawn)
            seen = project(gaussians, camera, degree)
            visible = (seen.radii[0] > 0).all(-1)
            values = (seen.means2d[0], seen.conics[0], seen.colors[0], seen.opacities)
            shown = [torch.where(visible, one.movedim(0, -1), 0) for one in values]
            # Of a scalar: for any other gradient PyTorch imports sympy first, which takes seconds.
            pull = torch.linspace(-1, 1, len(visible), device=device)
            loss = torch.stack([(one * pull).sum() for one in shown]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            gradients = [one.grad for _, one in gaussians if one.grad is not None]
            sizes = seen.radii.float()
            results.append([sizes, *(one.detach() for one in shown), *gradients])
        agree(results[0], results[1], relative=5e-3)
