"""What a rasterizer takes and gives, whichever way it draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.rasterize.tile_room import TileRoom

LOW_PASS = 0.3
"""Added to the diagonal of every projected covariance, in square pixels (Kerbl et al. 2023)."""

NEAR_PLANE = 0.01
"""Gaussians whose centre is nearer, in world units, are not drawn (gsplat's default)."""

ALPHA_THRESHOLD = 1 / 255
"""Contributions under this are not drawn (Kerbl et al. 2023)."""

ALPHA_LIMIT = 0.999
"""No Gaussian covers more of a pixel than this (gsplat)."""

TRANSMITTANCE_THRESHOLD = 1e-4
"""A pixel is done before the Gaussian that would leave no more than this (Kerbl et al. 2023)."""


@dataclass(frozen=True)
class Cameras:
    """C pinhole cameras of one image size.

    `viewmats` [C, 4, 4] take the world to the camera (x right, y down, z forward); `Ks`
    [C, 3, 3] are in pixels, the corner pixel's centre being (0.5, 0.5).
    """

    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int

    def centers(self) -> Tensor:
        """Positions [C, 3] in the world; by the transpose, so that no inverse has to wait."""
        rotations, translations = self.viewmats[:, :3, :3], self.viewmats[:, :3, 3]
        return -(rotations * translations[:, :, None]).sum(1)


@dataclass(frozen=True)
class Rendering:
    """What C cameras see, and what densification wants to know of it.

    `colors` [C, H, W, 3], not clamped; `alphas` [C, H, W, 1]; `means2d` [C, N, 2] in pixels,
    which keeps its gradient; `visible` [C, N], true for Gaussians that touch the image, and for
    none of an image that is not complete; `features` [C, H, W, F], what was blended beside the
    colours, None where nothing was; `complete` [C] bool is false where lists had no room for all
    that is seen, None where they always have.
    """

    colors: Tensor
    alphas: Tensor
    means2d: Tensor
    visible: Tensor
    features: Tensor | None = None
    complete: Tensor | None = None

    def means2d_gradients(self, *, absolute: bool = False) -> Tensor:
        """After backward: the loss's gradient by `means2d`, [C, N, 2].

        `absolute` asks for the sum over pixels of each pixel's absolute gradient (Ye et al.
        2024, AbsGS), for which the rendering must have been made with `absgrad`.
        """
        gradients = getattr(self.means2d, "absgrad", None) if absolute else self.means2d.grad
        if not isinstance(gradients, Tensor):
            raise ValueError("no gradient yet: call backward first, with absgrad where absolute")
        return gradients


class Rasterizer(Protocol):
    """Draws Gaussians, differentiably by all of their parameters."""

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
        """Draw `gaussians` as `cameras` see them, with SH up to `sh_degree`.

        `background` is [3], black where None. `features` [N, F] are blended as colours are, over
        nothing. With `room`, which `make_room` gave, the host waits for nothing, and features
        must be zeros: their gradients tell what images weigh under a Gaussian.
        """

    def make_room(self, gaussians: Gaussians, cameras: Sequence[Cameras]) -> TileRoom | None:
        """Room for what each of these sees, one camera at a time; may wait to find out.

        None where nothing can be had by it.
        """
