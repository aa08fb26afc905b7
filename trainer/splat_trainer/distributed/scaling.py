"""The constants of a run whose every step sees several views."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from splat_trainer.optimize.schedule import Schedule


def scaled_to(schedule: Schedule, views: int) -> Schedule:
    """Adam's constants for the sum of the gradients of `views` views.

    Rates by the square root, the betas to the power of their count (Zhao et al. 2024, "On
    Scaling Up 3D Gaussian Splatting Training" (Grendel), section 4.2). There the gradients are
    averaged and epsilon is divided by the root; of a sum it is multiplied by it.
    """
    if views == 1:
        return schedule
    root = math.sqrt(views)
    beta1, beta2 = schedule.adam_betas
    return replace(
        schedule,
        means_lr=schedule.means_lr * root,
        means_lr_final=schedule.means_lr_final * root,
        quats_lr=schedule.quats_lr * root,
        scales_lr=schedule.scales_lr * root,
        opacities_lr=schedule.opacities_lr * root,
        sh0_lr=schedule.sh0_lr * root,
        shN_lr=schedule.shN_lr * root,
        adam_betas=(beta1**views, beta2**views),
        adam_epsilon=schedule.adam_epsilon * root,
    )


def replicas(size: int) -> dict[str, dict[str, Tensor]]:
    """How many views a step of Adam saw, for a checkpoint; nothing where it was one."""
    return {} if size == 1 else {"replicas": {"size": torch.tensor(size)}}


def as_counted_by(size: int, adam: Mapping[str, dict[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Adam's memory from a checkpoint, its steps counted as `size` replicas would have.

    Adam corrects its moments by the powers of its betas (Kingma and Ba 2015, section 3), which
    `scaled_to` has made those of other steps.
    """
    before = adam.get("replicas", {}).get("size")
    factor = (1 if before is None else int(before)) / size
    steps = {name: count * factor for name, count in adam["steps"].items()}
    return {**adam, "steps": steps}
