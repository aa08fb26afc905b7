"""What cameras see of each Gaussian: what projection gives, and blending takes."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """N Gaussians as C cameras see them.

    `means2d` [C, N, 2] in pixels, `conics` [C, N, 3], `colors` [C, N, 3] at least 0, `opacities`
    [N] in 0..1, `depths` [C, N], and `radii` [C, N, 2] int32, zero where a Gaussian is not drawn:
    but for its opacity, the rest of it may then be anything.
    """

    means2d: Tensor
    conics: Tensor
    colors: Tensor
    opacities: Tensor
    depths: Tensor
    radii: Tensor
