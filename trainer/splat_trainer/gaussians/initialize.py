"""The first Gaussians, from a capture's sparse points."""

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.neighbours import nearest_distances
from splat_trainer.gaussians.spherical_harmonics import rgb_to_sh0

_NEIGHBOURS = 3
_SMALLEST_SCALE = 1e-7
"""Under this a Gaussian is nothing but a logarithm that overflows: points that coincide."""


def gaussians_from_points(
    points: Tensor,
    rgb: Tensor,
    *,
    sh_degree: int,
    opacity: float,
    scale_factor: float,
    largest_scale: float,
) -> Gaussians:
    """Put an isotropic Gaussian on every point (Kerbl et al. 2023, section 5.1; gsplat).

    `points` is [N, 3], `rgb` [N, 3] in 0..1. Each standard deviation is `scale_factor` times the
    root mean square of the distances to the three nearest neighbours, at most `largest_scale`
    (all in world units); `opacity` is that of every Gaussian.
    """
    distances = nearest_distances(points, _NEIGHBOURS)
    finite = distances.isfinite()
    squares = torch.where(finite, distances, 0).square().sum(1) / finite.sum(1).clamp_min(1)
    scale = torch.where(finite.any(1), squares.sqrt(), largest_scale) * scale_factor
    scale = scale.clamp(_SMALLEST_SCALE, largest_scale)

    count = points.shape[0]
    quats = points.new_zeros(count, 4)
    quats[:, 0] = 1
    sh = points.new_zeros(count, (sh_degree + 1) ** 2, 3)
    sh[:, 0] = rgb_to_sh0(rgb)
    return Gaussians(
        means=points.clone(),
        quats=quats,
        scales=scale.log()[:, None].repeat(1, 3),
        opacities=torch.logit(points.new_full((count,), opacity)),
        sh=sh,
    )
