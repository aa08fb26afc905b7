"""What each preset changes of the schedule's constants.

The values are those of the programs that `schedule.py` names, for runs of the same length.
docs/benchmarks.md has what was measured of them; what each part pays, `benchmarks/train.py
--ablation` tells.
"""

from collections.abc import Mapping
from typing import Any

from splat_trainer.contract.presets import Preset

_BUDGET: Mapping[str, Any] = {"opacities_lr": 2.5e-2, "shN_lr": 2.5e-4}
"""LiteGS's and Taming 3DGS's learning rates, which go with growth by a budget."""

_CONSTANTS: Mapping[Preset, Mapping[str, Any]] = {
    "balanced": {
        **_BUDGET,
        "means_lr_final": 5e-6,
        "coarse_until": ((0.15, 2),),
        "visible_only": True,
    },
    "fast": {
        **_BUDGET,
        "means_lr_final": 1.6e-5,
        "budget_density": 0.17,
        "coarse_until": ((0.08, 4), (0.35, 2)),
    },
    "quality": {**_BUDGET, "budget_density": 0.45, "late_views_per_step": 4},
    "compact": {
        **_BUDGET,
        "means_lr_final": 1.6e-5,
        "budget_density": 0.05,
        "consistent_pixels": 0.5,
        "prune_inconsistent": 0.9,
        "late_views_per_step": 8,
    },
    "reference": {},
}


def constants_of(preset: Preset) -> dict[str, Any]:
    """The fields of `Schedule` that a preset sets, by name."""
    return dict(_CONSTANTS[preset])
