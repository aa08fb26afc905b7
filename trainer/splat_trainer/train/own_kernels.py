"""All kernels of our own, made ready and checked before a training wants them."""

import torch

from splat_trainer.kernels.self_check import CheckedKernel, checked_kernels
from splat_trainer.optimize.adam_step import adam_step_for
from splat_trainer.optimize.losses import image_loss_for
from splat_trainer.rasterize.check_scene import check_camera, check_gaussians
from splat_trainer.rasterize.interface import Rasterizer
from splat_trainer.train.recording_check import graph_tapes


def check_own_kernels(
    rasterizer: Rasterizer, device: torch.device, *, visible_only: bool = False
) -> list[CheckedKernel]:
    """Compile and check what a training on a device can use; nothing on the CPU.

    `visible_only` says that steps are of visible rows alone.
    """
    adam_step_for(device, visible_only=visible_only)
    image_loss = image_loss_for(device)
    if rasterizer.make_room(check_gaussians(device), [check_camera(device)]) is not None:
        graph_tapes(rasterizer, image_loss, device)
    return checked_kernels()


def told(kernels: list[CheckedKernel]) -> str:
    """In a line which are used, which are not and why, and how long all of it took."""
    used = ", ".join(kernel.name for kernel in kernels if kernel.in_use) or "none"
    passed_over = "".join(
        f"; not {kernel.name}: {kernel.why}" for kernel in kernels if not kernel.in_use
    )
    return f"{used}{passed_over} ({sum(kernel.seconds for kernel in kernels):.1f} s)"
