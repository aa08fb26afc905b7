"""Projection of Gaussians to the image, step by step as gsplat's CUDA kernel does it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.rotation import matrix_from_quat
from splat_trainer.rasterize.interface import ALPHA_THRESHOLD, LOW_PASS, NEAR_PLANE, Cameras

_REACH = 3.33
"""Standard deviations to which a Gaussian of opacity 1 can be seen: exp(-x^2 / 2) = 1 / 255."""

_FRUSTUM_MARGIN = 0.3
"""Share of the half field of view past the image, at which the Jacobian stops changing."""


@dataclass(frozen=True)
class Projected:
    """N Gaussians as one camera sees them.

    `means2d` [N, 2] in pixels; `conics` [N, 3], the upper triangle of the inverse covariance
    in 1 / pixels^2; `depths` [N]; `radii` [N, 2] whole pixels, zero for what is not drawn.
    """

    means2d: Tensor
    conics: Tensor
    depths: Tensor
    radii: Tensor


def project(gaussians: Gaussians, cameras: Cameras, index: int) -> Projected:
    """Project to camera `index` by EWA splatting.

    Zwicker et al. 2001, as in gsplat's ProjectionEWA3DGSFused.cu and Utils.cuh (persp_proj).
    """
    means, scales = gaussians.means, gaussians.scales.exp()
    opacities = gaussians.opacities.sigmoid()
    viewmat, K = cameras.viewmats[index], cameras.Ks[index]  # noqa: N806 - the field's name
    width, height = cameras.width, cameras.height
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    means_c = means @ rotation.T + translation
    half = rotation @ matrix_from_quat(gaussians.quats) * scales[:, None, :]
    covariances = half @ half.transpose(1, 2)

    x, y, depths = means_c.unbind(1)
    in_front = depths >= NEAR_PLANE
    z = torch.where(in_front, depths, 1.0)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    margin_x = _FRUSTUM_MARGIN * 0.5 * width / fx
    margin_y = _FRUSTUM_MARGIN * 0.5 * height / fy
    slope_x = torch.clamp(x / z, -(cx / fx + margin_x), (width - cx) / fx + margin_x)
    slope_y = torch.clamp(y / z, -(cy / fy + margin_y), (height - cy) / fy + margin_y)

    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], dim=1
    ).view(-1, 2, 3)
    flat = jacobian @ covariances @ jacobian.transpose(1, 2)
    xx, xy, yy = flat[:, 0, 0] + LOW_PASS, flat[:, 0, 1], flat[:, 1, 1] + LOW_PASS
    determinant = xx * yy - xy * xy
    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1)

    drawn = in_front & (determinant > 0) & (opacities >= ALPHA_THRESHOLD)
    inverse = 1 / torch.where(determinant > 0, determinant, 1.0)
    conics = torch.stack([yy * inverse, -xy * inverse, xx * inverse], dim=1)
    with torch.no_grad():
        reach = (2 * torch.log(opacities.clamp_min(ALPHA_THRESHOLD) / ALPHA_THRESHOLD)).sqrt()
        reach = reach.clamp_max(_REACH)
        radii = torch.stack([reach * xx.sqrt(), reach * yy.sqrt()], dim=1).ceil()
        size = radii.new_tensor([width, height])
        drawn &= ((means2d + radii > 0) & (means2d - radii < size)).all(1)
        drawn &= (radii > 0).any(1)
        radii = torch.where(drawn[:, None], radii, 0.0)
    return Projected(means2d, conics, depths, radii.int())
