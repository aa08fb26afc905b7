"""All kernels of our own, made ready and checked before a training wants them."""

import logging
import os
from collections.abc import Mapping

import torch

from splat_trainer.contract import KernelsSource, KernelsUse, TrainerError
from splat_trainer.kernels.architectures import Capability, native_to
from splat_trainer.kernels.ensure import kernels_used
from splat_trainer.kernels.own.build import build_own_kernels
from splat_trainer.kernels.places import named_store
from splat_trainer.kernels.self_check import CheckedKernel, checked_kernels
from splat_trainer.kernels.store import Store
from splat_trainer.optimize.adam_step import adam_step_for
from splat_trainer.optimize.gathered import gather_for
from splat_trainer.optimize.losses import image_loss_for
from splat_trainer.rasterize.check_scene import check_camera, check_gaussians
from splat_trainer.rasterize.interface import Rasterizer
from splat_trainer.train import compile_own_kernels
from splat_trainer.train.recording_check import graph_tapes

_log = logging.getLogger(__name__)


def check_own_kernels(
    rasterizer: Rasterizer, device: torch.device, *, visible_only: bool = False
) -> list[CheckedKernel]:
    """Compile and check what a training on a device can use; nothing on the CPU.

    `visible_only` says that steps are of visible rows alone.
    """
    if device.type == "cuda":
        keep_own_kernels(kernels_used(), os.environ, torch.cuda.get_device_capability(device))
    adam_step_for(device, visible_only=visible_only)
    gather_for(device)
    image_loss = image_loss_for(device)
    if rasterizer.make_room(check_gaussians(device), [check_camera(device)]) is not None:
        graph_tapes(rasterizer, image_loss, device)
    return checked_kernels()


def keep_own_kernels(
    use: KernelsUse | None, environ: Mapping[str, str], gpu: Capability
) -> str | None:
    """Put our own kernels into the named cache, where gsplat's were just compiled into it.

    So the next process finds both there. Gives the key, if this process has put them there.
    """
    named = named_store(environ)
    if use is None or use.source is not KernelsSource.COMPILED or named is None:
        return None
    store = Store(named)
    if not store.writable():
        return None
    try:
        compiler = compile_own_kernels.__name__
        manifest, built = build_own_kernels(store, (native_to(gpu),), compiler, environ)
    except (TrainerError, OSError) as error:
        _log.warning("our own kernels are not kept in %s: %s", named, error)
        return None
    return manifest.key if built else None


def told(kernels: list[CheckedKernel]) -> str:
    """In a line which are used, which are not and why, and how long all of it took."""
    used = ", ".join(kernel.name for kernel in kernels if kernel.in_use) or "none"
    passed_over = "".join(
        f"; not {kernel.name}: {kernel.why}" for kernel in kernels if not kernel.in_use
    )
    return f"{used}{passed_over} ({sum(kernel.seconds for kernel in kernels):.1f} s)"
