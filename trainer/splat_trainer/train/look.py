"""One view of a training: draw it, compare it, and leave gradients on the Gaussians.

Between two changes of the Gaussians all of this is the same work on tensors of the same shapes;
nothing of it makes the host wait for the device or depends on a value there. So it can be
recorded once and replayed (`recording.py`).
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.error_probe import ErrorProbe
from splat_trainer.optimize.losses import ImageLoss, regularization
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.rasterize.interface import Cameras, Rasterizer, Rendering
from splat_trainer.rasterize.tile_room import TileRoom


@dataclass(frozen=True)
class Sight:
    """A view on the device: its camera, pixels [H, W, 3] uint8, and mask [H, W] bool or None."""

    camera: Cameras
    pixels: Tensor
    mask: Tensor | None


@dataclass(frozen=True)
class Manner:
    """How a step looks at its view: `observes` says whether the strategy takes note of it."""

    sh_degree: int
    observes: bool
    probe: ErrorProbe | None = None


@dataclass(frozen=True)
class Looked:
    """What a look found, beside gradients: its loss, and which Gaussians it saw, [N] bool."""

    loss: Tensor
    visible: Tensor


class Noting(Protocol):
    """Who takes note of renderings: a strategy."""

    @property
    def absgrad(self) -> bool:
        """Whether renderings must record absolute gradients."""

    def observe(self, rendering: Rendering) -> None:
        """Take note of a rendering, after its backward; must not make the host wait."""


class Look:
    """Draws views with what stays the same over a run."""

    def __init__(
        self,
        rasterizer: Rasterizer,
        image_loss: ImageLoss,
        schedule: Schedule,
        strategy: Noting,
        room: TileRoom | None,
    ) -> None:
        self._rasterizer = rasterizer
        self._image_loss = image_loss
        self._schedule = schedule
        self._strategy = strategy
        self._room = room

    def __call__(self, gaussians: Gaussians, sight: Sight, manner: Manner) -> Looked:
        """Give `gaussians`, which are leaves without gradients, those of the loss.

        A picture whose lists had no room for all that is seen teaches nothing: its gradients
        are zero, and it saw nobody. Room is made by whoever counts it, and the view comes again.
        """
        rendering = self._rasterizer(
            gaussians,
            sight.camera,
            sh_degree=manner.sh_degree,
            absgrad=self._strategy.absgrad,
            features=None if manner.probe is None else manner.probe.features,
            room=self._room,
        )
        image, target, mask = rendering.colors[0], sight.pixels, sight.mask
        if mask is not None:  # both are black where the mask is false: nothing pulls there
            image, target = image * mask[..., None], target * mask[..., None]
        loss = self._image_loss(image, target, ssim_weight=self._schedule.ssim_weight)
        pull = regularization(gaussians, self._schedule)
        total = loss if pull is None else loss + pull
        if manner.probe is not None:
            total = total + manner.probe.term(rendering, image, target, mask)
        if rendering.complete is not None:
            total = total * rendering.complete[0]
        total.backward()  # type: ignore[no-untyped-call]
        if manner.observes:
            self._strategy.observe(rendering)
        return Looked(loss.detach(), rendering.visible[0])
