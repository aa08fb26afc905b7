"""How many Gaussians strategy budget grows to, and when it adds them: by capture, not by scene."""

import math
from dataclasses import dataclass

from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.schedule import Schedule

_LEAST = 1_000
_PIXELS_EACH = 100
"""A cap is raised to hold all points only while it leaves each Gaussian so many pixels."""


@dataclass(frozen=True)
class CaptureSize:
    """What a plan follows: views to train on, all their pixels, and the points to start from."""

    views: int
    pixels: int
    points: int


def count_cap(config: TrainConfig, schedule: Schedule, capture: CaptureSize) -> int | None:
    """The most Gaussians that a run may hold; None where nothing bounds it.

    `max_gaussians` bounds every strategy. Strategy budget grows to `target_gaussians`, or else to
    `budget_density` times the geometric mean of points and pixels: reconstruction finds points
    where there is detail, and pixels say how finely it is shown. With 0.26 that is 0.7M for 67k
    points on 255 photos of 800x533; 0.37 makes 1.0M, for 0.2 to 0.3 dB more (docs/benchmarks.md).
    Half as many again as there are points always have room, unless the points themselves are as
    many as pixels allow.
    """
    if config.strategy != "budget":
        return config.max_gaussians
    wanted = config.target_gaussians
    if wanted is None:
        followed = schedule.budget_density * math.sqrt(capture.points * capture.pixels)
        room = min(1.5 * capture.points, capture.pixels / _PIXELS_EACH)
        wanted = max(_LEAST, round(max(followed, room)))
    return wanted if config.max_gaussians is None else min(wanted, config.max_gaussians)


@dataclass(frozen=True)
class GrowthPlan:
    """When a run adds Gaussians, and over which steps it looks for where.

    Where an interval holds an epoch, `events` are ends of epochs, and each looks at the whole
    epoch that it ends: every view has a say, once. On larger captures it looks at the interval.
    """

    events: tuple[int, ...]
    window: int
    whole_epochs: bool

    def watches(self, step: int) -> bool:
        """Whether what step `step` draws counts for the next event."""
        return any(event - self.window < step <= event for event in self.events)

    def grows(self, step: int) -> bool:
        """Whether Gaussians are added after this step."""
        return step in self.events

    def room(self, step: int, count: int, cap: int) -> int:
        """How many to add at an event: the rest up to the cap, shared evenly by those to come."""
        left = sum(event >= step for event in self.events)
        return max(0, cap - count) // max(1, left)


def growth_plan(schedule: Schedule, views: int) -> GrowthPlan:
    """The events of a run: one an interval, from `densify_from` to `densify_until`."""
    every, until = schedule.densify_every, schedule.densify_until
    planned = range(every, until + 1, every)
    if views <= every:
        ends = dict.fromkeys(-(-step // views) * views for step in planned)
        events = [end for end in ends if schedule.densify_from < end <= until]
        return GrowthPlan(tuple(events), views, whole_epochs=True)
    events = [step for step in planned if step > schedule.densify_from]
    return GrowthPlan(tuple(events), every, whole_epochs=False)
