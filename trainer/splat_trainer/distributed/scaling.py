"""The constants of a run whose every step of Adam sees several views."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from splat_trainer.optimize.schedule import Schedule

_BATCH = 4
"""Views of a step of Adam that cost nothing in PSNR, where eight cost 0.2 dB: docs/benchmarks.md,
"Several GPUs for one scene"."""

_STEPS = 1_500
"""Steps of Adam that a run is left with: 1,750 cost nothing, 500 cost 0.3 dB (there, too)."""


def views_a_step(size: int, iterations: int) -> int:
    """How many views' gradients `size` replicas sum for each step of Adam of a run.

    Replicas exchange only then, so a few draw several views each before they do, where the run
    is long enough.
    """
    return 1 if size == 1 else size * max(1, min(_BATCH, iterations // _STEPS) // size)


def scaled_to(schedule: Schedule, views: int) -> Schedule:
    """The constants of a run whose every step of Adam sums the gradients of `views` views.

    Rates by the square root, the betas to the power of their count (Zhao et al. 2024, "On
    Scaling Up 3D Gaussian Splatting Training" (Grendel), section 4.2). There the gradients are
    averaged and epsilon is divided by the root; of a sum it is multiplied by it. Where a
    schedule sums views of its own accord, it sums so many times more.
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
        views_per_step=schedule.views_per_step * views,
        late_views_per_step=schedule.late_views_per_step * views,
    )


def scaled_by(views: int) -> dict[str, dict[str, Tensor]]:
    """To how many views Adam's constants were scaled, for a checkpoint; nothing where to one."""
    return {} if views == 1 else {"scaled": {"views": torch.tensor(views)}}


def as_counted_by(
    views: int, adam: Mapping[str, dict[str, Tensor]]
) -> dict[str, dict[str, Tensor]]:
    """Adam's memory from a checkpoint, its steps counted as if they had been of `views` views.

    Adam corrects its moments by the powers of its betas (Kingma and Ba 2015, section 3), which
    `scaled_to` has made those of other steps.
    """
    before = adam.get("scaled", {}).get("views")
    factor = (1 if before is None else int(before)) / views
    steps = {name: count * factor for name, count in adam["steps"].items()}
    return {**adam, "steps": steps}
