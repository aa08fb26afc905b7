"""Presets: what the settings are that nobody set.

A preset is for any capture: it names steps and a strategy, and in `optimize/schedule.py` the
constants that go with it. A setting that is given, in whatever way, is never changed by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Preset = Literal["balanced", "fast", "quality", "compact", "reference"]
Strategy = Literal["default", "absgrad", "mcmc", "budget"]

FULL_RUN = 30_000
"""The run that the field's constants were made for, in steps (Kerbl et al. 2023)."""

BUDGET_SHARE = 0.8
"""Share of a run in which strategy budget adds Gaussians; the rest is theirs to settle."""

DEFAULT_SHARE = Fraction(15, 30)
"""The same of strategies default and absgrad (Kerbl et al. 2023: 15,000 of 30,000 steps)."""

MCMC_SHARE = Fraction(25, 30)
"""The same of strategy mcmc (Kheradmand et al. 2024, and gsplat: 25,000 of 30,000 steps)."""

BUDGET_EVENTS = 16
"""How often strategy budget adds Gaussians: each lot has seen every view before the next comes."""

_LONGEST_INTERVAL = 10_000


@dataclass(frozen=True)
class PresetSettings:
    """Settings of one preset; those that follow from them are in `densification`."""

    iterations: int
    strategy: Strategy


PRESETS: Mapping[Preset, PresetSettings] = {
    "balanced": PresetSettings(iterations=18_000, strategy="budget"),
    "fast": PresetSettings(iterations=9_000, strategy="budget"),
    "quality": PresetSettings(iterations=FULL_RUN, strategy="budget"),
    "compact": PresetSettings(iterations=23_000, strategy="budget"),
    "reference": PresetSettings(iterations=FULL_RUN, strategy="default"),
}

DEFAULT_PRESET: Preset = "balanced"

PRESET_OF_A_STRATEGY: Preset = "reference"
"""Where a strategy is given and no preset: the field's strategies go with the field's schedule."""


def densify_until(strategy: Strategy, iterations: int) -> int:
    """The last step at which Gaussians come and go, where nobody set it."""
    if strategy == "budget":
        return max(1, int(iterations * BUDGET_SHARE))
    # A run shorter than a full one densifies for the same share of it.
    share = MCMC_SHARE if strategy == "mcmc" else DEFAULT_SHARE
    return max(1, int(min(iterations, FULL_RUN) * share))


def densification_interval(strategy: Strategy, until: int) -> int:
    """Steps between two densifications, where nobody set them."""
    if strategy == "budget":
        return max(1, min(until // BUDGET_EVENTS, _LONGEST_INTERVAL))
    return 100


def told_defaults() -> Mapping[str, str]:
    """The defaults that depend on other settings, in words, by field."""
    steps = ", ".join(f"{settings.iterations} with {name}" for name, settings in PRESETS.items())
    return {
        "preset": f"{DEFAULT_PRESET}; {PRESET_OF_A_STRATEGY} where a strategy is given",
        "iterations": steps,
        "strategy": "budget; default with preset reference",
        "densify_until_iteration": f"{BUDGET_SHARE:.0%} of iterations with strategy budget; "
        "five sixths of them, at most 25000, with mcmc; with the others half of them, at most "
        "15000",
        "densification_interval": f"1/{BUDGET_EVENTS} of the steps that densify with strategy "
        "budget; with the others 100",
    }
