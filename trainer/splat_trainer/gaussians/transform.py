"""Similarities of the world applied to Gaussians."""

import numpy as np
import torch
from numpy.typing import NDArray

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.gaussians.rotation import multiply_quats, quat_from_matrix
from splat_trainer.gaussians.spherical_harmonics import rotation_matrices


def transform(gaussians: Gaussians, similarity: NDArray[np.float64]) -> Gaussians:
    """Move Gaussians with the world, so that they look the same to cameras moved with it.

    `similarity` is [4, 4]: x -> s R x + t, with R a rotation. Means follow it, quaternions and
    spherical harmonics turn with R, scales grow by s. Computed in float64.
    """
    linear = similarity[:3, :3].astype(np.float64)
    scale = float(np.cbrt(np.linalg.det(linear)))
    if not scale > 0:
        raise ValueError("not a similarity: its linear part mirrors or flattens the world")
    rotation = linear / scale
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5):
        raise ValueError("not a similarity: its linear part is no scaled rotation")

    device, dtype = gaussians.device, gaussians.means.dtype
    means = gaussians.means.double()
    means = means @ torch.from_numpy(linear.T).to(device)
    means = means + torch.from_numpy(similarity[:3, 3].astype(np.float64)).to(device)
    quat = quat_from_matrix(torch.from_numpy(rotation)).to(device)
    bands = [band.to(device) for band in rotation_matrices(rotation)]
    sh = gaussians.sh.double()
    turned = [
        torch.einsum("ij,njc->nic", bands[degree], sh[:, degree**2 : (degree + 1) ** 2])
        for degree in range(1, gaussians.sh_degree + 1)
    ]
    return Gaussians(
        means=means.to(dtype),
        quats=multiply_quats(quat, gaussians.quats.double()).to(dtype),
        scales=gaussians.scales + float(np.log(scale)),
        opacities=gaussians.opacities,
        sh=torch.cat([sh[:, :1], *turned], dim=1).to(dtype),
    )
