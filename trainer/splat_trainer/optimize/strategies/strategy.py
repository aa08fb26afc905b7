"""What every strategy does, and which there are."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.rasterize.interface import Rendering


class Strategy(Protocol):
    """Adds and removes Gaussians; its state goes into checkpoints."""

    @property
    def absgrad(self) -> bool:
        """Whether renderings must record absolute gradients."""

    def observe(self, rendering: Rendering) -> None:
        """Take note of a rendering, after its backward; must not make the host wait."""

    def update(self, step: int, optimizer: GaussianOptimizer, generator: torch.Generator) -> None:
        """Change the Gaussians after step `step`, where it is time for it."""

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs to go on alike."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""


def make_strategy(
    config: TrainConfig, schedule: Schedule, gaussians: Gaussians, scene_scale: float
) -> Strategy:
    """The strategy that a configuration names, at the start of a run."""
    from splat_trainer.optimize.strategies.absgrad import AbsgradStrategy  # noqa: PLC0415
    from splat_trainer.optimize.strategies.default import DefaultStrategy  # noqa: PLC0415
    from splat_trainer.optimize.strategies.mcmc import McmcStrategy  # noqa: PLC0415

    match config.strategy:
        case "default":
            return DefaultStrategy(schedule, gaussians, scene_scale, config.max_gaussians)
        case "absgrad":
            return AbsgradStrategy(schedule, gaussians, scene_scale, config.max_gaussians)
        case "mcmc":
            if config.max_gaussians is None:
                raise ValueError("strategy mcmc needs max_gaussians: it grows to that count")
            return McmcStrategy(schedule, config.max_gaussians)
