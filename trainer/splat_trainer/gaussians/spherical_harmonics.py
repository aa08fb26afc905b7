"""Real spherical harmonics up to degree 3, in the order and with the signs of 3DGS.

The basis is that of Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013), with the
Condon-Shortley phase, bands one after another and m from -l to l: what Inria's code, gsplat and
every viewer of 3DGS files use.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

C0 = 0.28209479177387814
"""The constant basis function of band 0."""

MAX_DEGREE = 3


def rgb_to_sh0(rgb: Tensor) -> Tensor:
    """The band-0 coefficient that shows a colour in 0..1 from every direction."""
    return (rgb - 0.5) / C0


def basis(directions: Tensor, degree: int) -> Tensor:
    """Evaluate the basis functions.

    `directions` is [..., 3], of unit length; the result is [..., (degree + 1) ** 2].
    """
    x, y, z = directions.unbind(-1)
    functions = [torch.full_like(x, C0)]
    if degree >= 1:
        functions += [-0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        functions += [
            1.092548430592079 * x * y,
            -1.092548430592079 * y * z,
            0.9461746957575601 * zz - 0.3153915652525201,
            -1.092548430592079 * x * z,
            0.5462742152960395 * (xx - yy),
        ]
    if degree >= 3:
        functions += [
            -0.5900435899266435 * y * (3 * xx - yy),
            2.890611442640554 * x * y * z,
            y * (0.4570457994644658 - 2.285228997322329 * zz),
            z * (1.865881662950577 * zz - 1.119528997770346),
            x * (0.4570457994644658 - 2.285228997322329 * zz),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3 * yy),
        ]
    return torch.stack(functions, dim=-1)


def rotation_matrices(rotation: NDArray[np.float64]) -> list[Tensor]:
    """The matrices that turn each band's coefficients with the world, float64.

    With c' = M c, the function of c' at R d is that of c at d, R being `rotation` [3, 3]. Each
    band is closed under rotation, so M follows from as many directions as the band has
    functions; more, in a least-squares sense, keep it well conditioned.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(64, 3, generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    before = basis(directions, MAX_DEGREE)
    after = basis(directions @ torch.from_numpy(rotation).T, MAX_DEGREE)
    bands = [slice(degree**2, (degree + 1) ** 2) for degree in range(MAX_DEGREE + 1)]
    return [torch.linalg.lstsq(after[:, band], before[:, band]).solution for band in bands]
