"""A look that had no room for all it saw teaches nothing and is nobody's sight."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.losses import image_loss
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.optimize.strategies.default import DefaultStrategy
from splat_trainer.rasterize.interface import Cameras, Rendering
from splat_trainer.rasterize.reference import ReferenceRasterizer
from splat_trainer.train.look import Look, Manner, Sight
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

SCHEDULE = schedule_for(TrainConfig(preset="reference"))


@pytest.mark.parametrize("complete", [None, True, False])
def test_what_was_not_drawn_whole_counts_for_nothing(complete: bool | None) -> None:
    class Roomy(ReferenceRasterizer):
        def __call__(self, gaussians: Gaussians, cameras: Cameras, **how: Any) -> Rendering:
            rendering = super().__call__(gaussians, cameras, **how)
            if complete is None:
                return rendering
            told = torch.tensor([complete])
            return replace(rendering, visible=rendering.visible & told, complete=told)

    drawn = random_gaussians(20, seed=1)
    gaussians = Gaussians.from_dict(
        {name: one.detach().clone().requires_grad_() for name, one in drawn}
    )
    strategy = DefaultStrategy(SCHEDULE, gaussians.detach(), 1.0)
    look = Look(Roomy(), image_loss, SCHEDULE, strategy, None)
    camera = cameras_around(1, width=24, height=16)
    sight = Sight(camera, torch.full((16, 24, 3), 128, dtype=torch.uint8), None)
    looked = look(gaussians, sight, Manner(sh_degree=1, observes=True))
    taught = complete is not False
    assert bool(looked.visible.any()) == taught
    assert bool(strategy.state()["times_seen"].any()) == taught
    assert bool(strategy.state()["gradient_sum"].any()) == taught
    assert gaussians.means.grad is not None
    assert bool(gaussians.means.grad.any()) == taught
