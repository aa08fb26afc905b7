"""What the picture is wrong by under each Gaussian, from one backward pass that is made anyway.

A feature that is zero for every Gaussian blends to zero and sends nothing to opacities, means or
conics. Multiplied in the loss by any image e, its own gradient is the sum over pixels of w e, w
being the Gaussian's weight in the pixel (the backward of Kerbl et al. 2023, equation 3).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from splat_trainer.rasterize.interface import Rendering

Channel = Literal["error", "weight", "square", "flag", "flagged_loss"]


class ErrorProbe:
    """Gathers, for N Gaussians, weighted sums of the images that `channels` name.

    `error` is the absolute error, mean over the colours; `weight` is 1; `square` the error
    squared; `flag` is 1 where the error, stretched to 0..1 over the view, is above
    `flag_error` (FastGS, arXiv 2511.04283); `flagged_loss` that times the view's mean error.

    Backward adds to `sums` [N, F] in place, a row for each Gaussian and a column for each channel:
    the same work at every look, for all that it is made for, so that it can be recorded. `missed`
    [N] counts the looks that were drawn without room for all, of which the sums have nothing.
    """

    def __init__(
        self, sums: Tensor, missed: Tensor, channels: Sequence[Channel], *, flag_error: float
    ) -> None:
        self._channels = channels
        self._flag_error = flag_error
        self.sums = sums
        self.missed = missed
        self.features = torch.zeros_like(sums, requires_grad=True)
        self.features.grad = sums  # what autograd adds to

    def term(
        self, rendering: Rendering, image: Tensor, target: Tensor, mask: Tensor | None
    ) -> Tensor:
        """What to add to the loss: a scalar that is 0, whose gradient is what is looked for.

        `rendering` was drawn with `features`; `image` and `target` are [H, W, 3], the target in
        0..1 or uint8; `mask` [H, W] is true where a pixel counts.
        """
        if rendering.features is None:
            raise ValueError("the rendering was drawn without this probe's features")
        if rendering.complete is not None:
            self.missed += ~rendering.complete
        maps = self._maps(image.detach(), target, mask)
        return (rendering.features[0] * maps).sum()

    @torch.no_grad()
    def _maps(self, image: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        if target.dtype == torch.uint8:
            target = target.float() / 255
        error = (image - target).abs().mean(-1)
        weight = torch.ones_like(error) if mask is None else mask.to(error)
        error = error * weight
        low, high = error.amin(), error.amax()
        flag = (error - low > self._flag_error * (high - low)).to(error) * weight
        maps = {
            "error": error,
            "weight": weight,
            "square": error.square(),
            "flag": flag,
            "flagged_loss": flag * error.mean(),
        }
        return torch.stack([maps[channel] for channel in self._channels], dim=-1)
