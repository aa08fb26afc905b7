"""What each part of a preset gives: named changes of the schedule, alone and together."""

from collections.abc import Mapping
from typing import Any

from benchmarks.training_runs import Variant

_OFF: Mapping[str, Any] = {
    "score_opacity_power": 0.0,
    "keep_parents": False,
    "drop_unused": False,
    "fade_every": 0,
    "fade_restarts": False,
}
"""Strategy budget with nothing but its plan: random draws by error, parents split in two."""

PARTS: Mapping[str, Mapping[str, Any]] = {
    "opacity squared in the score": {"score_opacity_power": 2.0},
    "variance of the error as the score": {"score": "variance"},
    "parents stay": {"keep_parents": True},
    "drop what no view uses": {"drop_unused": True},
    "halve opacities": {"fade_every": None},
    "halve opacities, Adam starts anew": {"fade_every": None, "fade_restarts": True},
    "rate of SH rest 2.5e-4": {"shN_lr": 2.5e-4},
    "rate of opacities 0.025": {"opacities_lr": 2.5e-2},
    "rate of means ends at 1.6e-5": {"means_lr_final": 1.6e-5},
    "other rates fall to a tenth": {"rates_final": 0.1},
    "step the visible only": {"visible_only": True},
    "small images early": {"coarse_until": [[0.08, 4], [0.35, 2]]},
    "four views a step, last fifth": {"late_views_per_step": 4},
    "two views a step": {"views_per_step": 2},
    "grow where views agree": {"consistent_pixels": 0.5},
    "prune where views disagree": {"prune_inconsistent": 0.9},
}
"""Each part on its own; None is what the schedule has without `_OFF`."""

TOGETHER = (
    "opacity squared in the score",
    "parents stay",
    "drop what no view uses",
    "halve opacities, Adam starts anew",
    "rate of SH rest 2.5e-4",
    "rate of opacities 0.025",
    "rate of means ends at 1.6e-5",
)
"""What the presets have in common; the rest is added to it in the last rows."""

ADDED = (
    "variance of the error as the score",
    "step the visible only",
    "small images early",
    "four views a step, last fifth",
)


def ablation(names: list[str] | None = None) -> list[Variant]:
    """The variants: 3DGS, MCMC, the bare budget, all parts, one more, one fewer, each alone.

    With `names`, those alone, of which each must begin the name of one variant.
    """
    together = {key: value for name in TOGETHER for key, value in PARTS[name].items()}
    variants = [
        Variant("strategy default", {"strategy": "default"}),
        Variant("strategy mcmc to 1,000,000", {"strategy": "mcmc", "maxGaussians": 1_000_000}),
        _variant("budget, nothing else", {}),
        _variant("together", together),
        *(_variant(f"together + {name}", {**together, **PARTS[name]}) for name in ADDED),
        *(
            _variant(f"together - {name}", _without(together, PARTS[name]))
            for name in TOGETHER
            if name != "drop what no view uses"
        ),
        *(_variant(f"+ {name}", changes) for name, changes in PARTS.items()),
    ]
    if names is None:
        return variants
    chosen = []
    for name in names:
        found = [variant for variant in variants if variant.name.startswith(name)]
        if not found:
            known = "; ".join(variant.name for variant in variants)
            raise SystemExit(f"there is no variant {name!r}: {known}")
        chosen.append(found[0])
    return chosen


def _variant(name: str, changes: Mapping[str, Any]) -> Variant:
    constants = {**_OFF, **changes}
    return Variant(
        name,
        {"strategy": "budget"},
        {key: value for key, value in constants.items() if value is not None},
    )


def _without(together: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in together.items() if key not in part}
