"""What every strategy does, and which there are."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.error_probe import ErrorProbe
from splat_trainer.optimize.growth_plan import growth_plan
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.rasterize.interface import Rendering


class Strategy(Protocol):
    """Adds and removes Gaussians; its state goes into checkpoints."""

    @property
    def absgrad(self) -> bool:
        """Whether renderings must record absolute gradients."""

    def probe(self, step: int) -> ErrorProbe | None:
        """What to draw beside the colours at a step; None, as nearly always, for nothing.

        `observe` of the same step reads it after backward.
        """

    def observe(self, rendering: Rendering) -> None:
        """Take note of a rendering, after its backward; must not make the host wait."""

    def changes(self, step: int) -> bool:
        """Whether `update` will let Gaussians come, go or start anew after this step."""

    def update(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        """Change the Gaussians after step `step`, where it is time for it."""

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs to go on alike."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""


def make_strategy(
    config: TrainConfig,
    schedule: Schedule,
    gaussians: Gaussians,
    scene_scale: float,
    *,
    views: int,
    max_gaussians: int | None,
) -> Strategy:
    """The strategy that a configuration names, at the start of a run.

    `views` are those to train on; `max_gaussians` is the cap of `growth_plan.count_cap`.
    """
    from splat_trainer.optimize.strategies.absgrad import AbsgradStrategy  # noqa: PLC0415
    from splat_trainer.optimize.strategies.budget import BudgetStrategy  # noqa: PLC0415
    from splat_trainer.optimize.strategies.default import DefaultStrategy  # noqa: PLC0415
    from splat_trainer.optimize.strategies.mcmc import McmcStrategy  # noqa: PLC0415

    match config.strategy:
        case "default":
            return DefaultStrategy(schedule, gaussians, scene_scale, max_gaussians)
        case "absgrad":
            return AbsgradStrategy(schedule, gaussians, scene_scale, max_gaussians)
        case "mcmc" | "budget" if max_gaussians is None:
            raise ValueError(f"strategy {config.strategy} needs a cap: it grows to that count")
        case "mcmc":
            return McmcStrategy(schedule, max_gaussians)
        case "budget":
            plan = growth_plan(schedule, views)
            return BudgetStrategy(schedule, gaussians, plan, max_gaussians)
