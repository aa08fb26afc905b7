"""What to say when the GPU's memory is full."""

import torch

from splat_trainer.contract import TrainerError
from splat_trainer.contract.result import Reason

_SAFE_SHARE = 0.8
"""Of a count that was trained with whole steps: room for the next view and its lists."""


def out_of_memory_error(
    device: torch.device, gaussians_trained: int, target: int | None
) -> TrainerError:
    """One line on how many Gaussians there were, and how many would fit.

    `target` is the configuration's `target_gaussians`.
    """
    total = torch.cuda.get_device_properties(device).total_memory
    peak = torch.cuda.max_memory_allocated(device)
    held = f"{peak / 2**30:.1f} of {total / 2**30:.1f} GiB were in use by this run"
    if not gaussians_trained:
        return TrainerError(
            Reason.OUT_OF_GPU_MEMORY,
            f"out of GPU memory before the first step ({held}): lower maxSide, set "
            "maxGaussians under the capture's count of points, or use a larger GPU",
        )
    return TrainerError(
        Reason.OUT_OF_GPU_MEMORY,
        f"out of GPU memory after steps with {gaussians_trained:,} Gaussians ({held}): "
        f"{what_fits(gaussians_trained, target)}, lower maxSide, or use a larger GPU",
    )


def what_fits(gaussians_trained: int, target: int | None) -> str:
    """What to set, and to how many: a target is not to be above the bound, so it is lowered."""
    cap = fitting_cap(gaussians_trained)
    field = "targetGaussians" if target is not None and target > cap else "maxGaussians"
    return f"set {field} to {cap}"


def fitting_cap(gaussians_trained: int) -> int:
    """A cap that fits where `gaussians_trained` did, in two digits."""
    cap = max(1000, int(gaussians_trained * _SAFE_SHARE))
    unit = int(10 ** (len(str(cap)) - 2))
    return cap // unit * unit
