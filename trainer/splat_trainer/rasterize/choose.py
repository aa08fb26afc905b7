"""Which rasterizer draws on which device."""

import torch

from splat_trainer.rasterize.interface import Rasterizer


def make_rasterizer(device: torch.device) -> Rasterizer:
    """The rasterizer for a device: gsplat on a GPU, pure PyTorch elsewhere."""
    if device.type == "cuda":
        from splat_trainer.rasterize.gsplat_cuda import GsplatRasterizer  # noqa: PLC0415 - heavy

        return GsplatRasterizer()
    from splat_trainer.rasterize.reference import ReferenceRasterizer  # noqa: PLC0415

    return ReferenceRasterizer()
