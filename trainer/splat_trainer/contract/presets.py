"""Presets: what the settings are that nobody set.

A preset is for any capture: it names steps and a strategy, and in `optimize/schedule.py` the
constants that go with it. A setting that is given, in whatever way, is never changed by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Preset = Literal["reference", "balanced", "fast", "quality", "compact"]
Strategy = Literal["default", "absgrad", "mcmc", "budget"]

FULL_RUN = 30_000
"""The run that the field's constants were made for, in steps (Kerbl et al. 2023)."""

BUDGET_SHARE = 0.8
"""Share of a run in which strategy budget adds Gaussians; the rest is theirs to settle."""

BUDGET_EVENTS = 16
"""How often strategy budget adds Gaussians: each lot has seen every view before the next comes."""

_LONGEST_INTERVAL = 10_000


@dataclass(frozen=True)
class PresetSettings:
    """Settings of one preset; those that follow from them are in `densification`."""

    iterations: int
    strategy: Strategy


PRESETS: Mapping[Preset, PresetSettings] = {
    "reference": PresetSettings(iterations=FULL_RUN, strategy="default"),
    "balanced": PresetSettings(iterations=14_000, strategy="budget"),
    "fast": PresetSettings(iterations=6_000, strategy="budget"),
    "quality": PresetSettings(iterations=FULL_RUN, strategy="budget"),
    "compact": PresetSettings(iterations=18_000, strategy="budget"),
}


def densify_until(strategy: Strategy, iterations: int) -> int:
    """The last step at which Gaussians come and go, where nobody set it."""
    if strategy == "budget":
        return max(1, int(iterations * BUDGET_SHARE))
    # Half of a run shorter than a full one densifies, as half of a full one does.
    return max(1, min(iterations, FULL_RUN) // 2)


def densification_interval(strategy: Strategy, until: int) -> int:
    """Steps between two densifications, where nobody set them."""
    if strategy == "budget":
        return max(1, min(until // BUDGET_EVENTS, _LONGEST_INTERVAL))
    return 100


def told_defaults() -> Mapping[str, str]:
    """The defaults that depend on other settings, in words, by field."""
    steps = ", ".join(
        f"{name} {settings.iterations}" for name, settings in PRESETS.items() if name != "reference"
    )
    return {
        "iterations": f"{PRESETS['reference'].iterations}; presets: {steps}",
        "strategy": "default; budget with any preset but reference",
        "densify_until_iteration": "15000, and half of iterations when those are fewer than "
        f"30000; {BUDGET_SHARE:.0%} of iterations with strategy budget",
        "densification_interval": "100; with strategy budget "
        f"1/{BUDGET_EVENTS} of the steps that densify",
    }
