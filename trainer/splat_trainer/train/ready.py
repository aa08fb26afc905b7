"""What a training needs beside its capture, made ready before: `train` finds it done."""

import torch

from splat_trainer.contract import TrainConfig
from splat_trainer.kernels.ensure import load_kernels
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.rasterize.choose import make_rasterizer
from splat_trainer.train.own_kernels import check_own_kernels


def make_ready(config: TrainConfig, device: torch.device, *, may_compile: bool) -> bool:
    """Load gsplat's kernels, compile and check our own; False where gsplat's must be compiled.

    A process has them once, so a second call returns at once, and does what the first may not.

    Raises:
        TrainerError: KernelsNotFound and the like.
    """
    if device.type == "cuda":
        torch.zeros(1, device=device)  # the driver's context, which all else waits for
        if not may_compile and load_kernels() is None:
            return False
    rasterizer = make_rasterizer(device)
    check_own_kernels(rasterizer, device, visible_only=schedule_for(config).visible_only)
    return True
