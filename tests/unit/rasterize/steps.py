"""Where a rendering has steps, at which the last bit of a number decides what is drawn.

A Gaussian is left out of a pixel where its alpha is under 1/255, a pixel is done where the
transmittance would fall to 1/10,000, and of two Gaussians the nearer comes first. At each of
these edges a picture jumps: by 1/255 of a colour at the first, by a tenth at the second. Two
rasterizers that round differently agree everywhere but there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.interface import (
    ALPHA_LIMIT,
    ALPHA_THRESHOLD,
    TRANSMITTANCE_THRESHOLD,
    Cameras,
)
from splat_trainer.rasterize.projection import Projected, project

_ULP = 2.0**-23
_ROUNDING = 8 * _ULP
"""Of a number that some ten operations lead to, relative to the largest of what went into it."""

_SEEN = 3e-5
"""Steps that are lower than this share of a colour show in no comparison."""

_ROWS_AT_ONCE = 8


@dataclass(frozen=True)
class Steps:
    """`pixels` [C, H, W], true where an edge is within rounding; `gaussians` [N], who is at one."""

    pixels: Tensor
    gaussians: Tensor


@torch.no_grad()
def find_steps(gaussians: Gaussians, cameras: Cameras) -> Steps:
    """Where single precision does not tell what is drawn, worked out in double precision.

    On the device of the Gaussians; the cameras must be there, too.
    """
    device = gaussians.device
    exact = Gaussians.from_dict({name: tensor.detach().double() for name, tensor in gaussians})
    cameras = Cameras(cameras.viewmats.double(), cameras.Ks.double(), cameras.width, cameras.height)
    shape = len(cameras.viewmats), cameras.height, cameras.width
    pixels = torch.zeros(shape, dtype=torch.bool, device=device)
    culprits = torch.zeros(len(gaussians), dtype=torch.bool, device=device)
    for index in range(len(cameras.viewmats)):
        projected = project(exact, cameras, index)
        order = projected.depths.argsort()
        order = order[(projected.radii[order] > 0).all(1)]
        chosen = Projected(
            projected.means2d[order],
            projected.conics[order],
            projected.depths[order],
            projected.radii[order],
        )
        opacities = exact.opacities[order].sigmoid()
        for top in range(0, cameras.height, _ROWS_AT_ONCE):
            rows = torch.arange(top, min(top + _ROWS_AT_ONCE, cameras.height), device=device)
            near = _near(chosen, opacities, rows, cameras.width)
            pixels[index, rows] = near.any(2)
            culprits[order] |= near.any(0).any(0)
    return Steps(pixels, culprits)


def without_steps(gaussians: Gaussians, cameras: Cameras) -> Gaussians:
    """Those of the Gaussians that leave no pixel of any camera near a step, as new leaves."""
    while (steps := find_steps(gaussians, cameras)).gaussians.any():
        gaussians = gaussians.select(~steps.gaussians)
    return Gaussians.from_dict(
        {name: tensor.detach().clone().requires_grad_() for name, tensor in gaussians}
    )


def _near(projected: Projected, opacities: Tensor, rows: Tensor, width: int) -> Tensor:
    """Whether each of the Gaussians, in order of depth, is at an edge: [rows, width, N]."""
    x, y = torch.arange(width, device=rows.device) + 0.5, rows + 0.5
    dx = projected.means2d[:, 0] - x[None, :, None]
    dy = projected.means2d[:, 1] - y[:, None, None]
    a, b, c = projected.conics.unbind(1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    # What rounding does to sigma: through the mean; the covariance, of trace t, whose change dS
    # makes -v^T dS v / 2 with v = conic d; its determinant; and the terms that cancel.
    determinant = a * c - b * b
    by_mean = (a * dx + b * dy).abs() + (b * dx + c * dy).abs()
    size = projected.means2d.abs().amax(1).clamp_min(width)
    terms = 0.5 * (a * dx * dx + c * dy * dy) + (b * dx * dy).abs()
    error = _ROUNDING * (
        by_mean * size
        + 0.5 * by_mean.square() * (a + c) / determinant
        + sigma * a * c / determinant
        + terms
        + 1
    )
    alpha = opacities * torch.exp(-sigma)

    at_threshold = (alpha / ALPHA_THRESHOLD - 1).abs() < error
    alpha = torch.where(alpha >= ALPHA_THRESHOLD, alpha.clamp_max(ALPHA_LIMIT), 0)
    left = torch.cumprod(1 - alpha, dim=2)
    before = torch.cat([torch.ones_like(left[..., :1]), left[..., :-1]], dim=2)
    left_error = (error * alpha / (1 - alpha)).cumsum(2) + _ROUNDING
    at_stop = (left / TRANSMITTANCE_THRESHOLD - 1).abs() < left_error

    swapped = torch.zeros_like(alpha)
    gap = projected.depths.diff() / projected.depths[1:]
    swapped[..., 1:] = (gap < _ROUNDING) * alpha[..., 1:] * alpha[..., :-1]
    height = torch.maximum(at_threshold * ALPHA_THRESHOLD, at_stop * alpha)
    height = torch.maximum(height, swapped) * before
    # Behind the stop nothing is drawn; a little further, as the stop itself may move.
    return (height > _SEEN) & (before > 0.5 * TRANSMITTANCE_THRESHOLD)
