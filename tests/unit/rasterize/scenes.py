"""Random Gaussians and cameras, and the plainest renderer that can be written."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
    Cameras,
)
from splat_trainer.rasterize.projection import project
from splat_trainer.rasterize.reference import view_colors


def random_gaussians(
    count: int, *, seed: int = 0, degree: int = 3, dtype: torch.dtype = torch.float32
) -> Gaussians:
    """Gaussians of many sizes and shapes in a ball around the origin."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    gaussians = Gaussians(
        means=normal(count, 3) * 0.6,
        quats=normal(count, 4),
        scales=normal(count, 3) * 0.7 - 2.8,
        opacities=normal(count) * 2,
        sh=torch.cat(
            [normal(count, 1, 3) * 0.8, normal(count, (degree + 1) ** 2 - 1, 3) * 0.15], dim=1
        ),
    )
    for _, tensor in gaussians:
        tensor.requires_grad_()
    return gaussians


def cameras_around(
    count: int, *, width: int, height: int, dtype: torch.dtype = torch.float32
) -> Cameras:
    """Cameras on a circle, looking at the origin, their principal points off the centre."""
    viewmats, intrinsics = [], []
    for index in range(count):
        angle = torch.tensor(0.7 + 2.1 * index, dtype=torch.float64)
        center = torch.stack([3 * angle.sin(), torch.tensor(-0.6).double(), -3 * angle.cos()])
        forward = -center / center.norm()
        right = torch.linalg.cross(torch.tensor([0.0, 1, 0]).double(), forward)
        right = right / right.norm()
        rotation = torch.stack([right, torch.linalg.cross(forward, right), forward])
        viewmat = torch.eye(4, dtype=torch.float64)
        viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ center
        viewmats.append(viewmat)
        focal = 0.9 * width
        intrinsics.append(
            torch.tensor([[focal, 0, 0.47 * width], [0, 1.1 * focal, 0.53 * height], [0, 0, 1]])
        )
    return Cameras(
        torch.stack(viewmats).to(dtype), torch.stack(intrinsics).to(dtype), width, height
    )


def render_plainly(
    gaussians: Gaussians, cameras: Cameras, index: int, sh_degree: int
) -> tuple[Tensor, Tensor]:
    """Every Gaussian at every pixel, no tiles, gradients by autograd: [H, W, 3], [H, W, 1]."""
    projected = project(gaussians, cameras, index)
    colors = view_colors(gaussians, cameras.centers()[index], sh_degree)
    order = projected.depths.argsort()
    order = order[(projected.radii[order] > 0).all(1)]
    rows = torch.arange(cameras.height) + 0.5
    columns = torch.arange(cameras.width) + 0.5
    pixels = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    offset = projected.means2d[order] - pixels[..., None, :].to(colors)
    a, b, c = projected.conics[order].unbind(1)
    dx, dy = offset.unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (gaussians.opacities[order].sigmoid() * torch.exp(-sigma)).clamp_max(ALPHA_LIMIT)
    alpha = torch.where(alpha >= ALPHA_THRESHOLD, alpha, 0)
    left = torch.cumprod(1 - alpha, dim=-1)
    alpha = torch.where(left > TRANSMITTANCE_THRESHOLD, alpha, 0)
    before = torch.cat([torch.ones_like(left[..., :1]), torch.cumprod(1 - alpha, -1)[..., :-1]], -1)
    weight = alpha * before
    return weight @ colors[order], weight.sum(-1, keepdim=True)
