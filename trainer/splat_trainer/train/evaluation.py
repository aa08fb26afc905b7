"""How well a splat renders views that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from splat_trainer.capture.scene import View
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.losses import psnr, ssim
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.rasterize.interface import Rasterizer
from splat_trainer.train.outcome import Evaluation, RenderSink, ViewMetrics
from splat_trainer.train.views import DeviceViews


@torch.no_grad()
def evaluate(
    gaussians: Gaussians,
    views: Sequence[View],
    *,
    device: torch.device,
    on_render: RenderSink | None = None,
    rasterizer: Rasterizer | None = None,
) -> Evaluation:
    """Render every view and compare it with its image.

    Renders are compared as floats, clamped to 0..1, not rounded to 8 bits; the means are over
    images. `views` must not be empty. `rasterizer` is the device's own where None.
    """
    rasterizer = rasterizer or make_rasterizer(device)
    gaussians = gaussians.detach().to(device)
    measured: list[Tensor] = []
    for view in views:
        on_device = DeviceViews([view], device)
        image = render(gaussians, on_device, 0, rasterizer)
        target, mask = on_device.image(0), on_device.mask(0)
        measured.append(torch.stack([psnr(image, target, mask), ssim(image, target, mask)]))
        if on_render is not None:
            on_render(view, (image * 255).round().byte().cpu().numpy())
    table = torch.stack(measured).double().cpu().numpy()
    return Evaluation(
        psnr=float(np.mean(table[:, 0])),
        ssim=float(np.mean(table[:, 1])),
        views=tuple(
            ViewMetrics(view.name, float(row[0]), float(row[1]))
            for view, row in zip(views, table, strict=True)
        ),
    )


def render(gaussians: Gaussians, views: DeviceViews, index: int, rasterizer: Rasterizer) -> Tensor:
    """One view's picture, [H, W, 3] in 0..1, with all degrees of the spherical harmonics."""
    rendering = rasterizer(gaussians, views.camera(index), sh_degree=gaussians.sh_degree)
    return rendering.colors[0].clamp(0, 1)
