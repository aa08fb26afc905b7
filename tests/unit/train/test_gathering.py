"""What is gathered until Adam steps moves the Gaussians as its sum would in one step."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from splat_trainer.contract import TrainConfig
from splat_trainer.distributed.exchange import Alone
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import schedule_for
from splat_trainer.optimize.strategies.mcmc import McmcStrategy
from splat_trainer.train.gathering import Gathering
from tests.unit.rasterize.scenes import random_gaussians

COUNT = 6
SEEN = [torch.tensor([1, 1, 0, 0, 1, 0]) > 0, torch.tensor([0, 1, 1, 0, 1, 0]) > 0]


def gathering(grows_to: int | None = None, **constants: Any) -> tuple[GaussianOptimizer, Gathering]:
    schedule = replace(schedule_for(TrainConfig(preset="reference")), **constants)
    optimizer = GaussianOptimizer(random_gaussians(COUNT).detach(), schedule, 1.0)
    strategy = McmcStrategy(schedule, COUNT)  # it counts nothing
    alone = Alone(torch.device("cpu"))
    return optimizer, Gathering(optimizer, strategy, schedule, alone, grows_to=grows_to)


def look(optimizer: GaussianOptimizer, seed: int, seen: Tensor, *, pulls: bool = False) -> None:
    """Give gradients to the rows that are seen; with `pulls`, to all of them."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.ones_like(seen) if pulls else seen
    for _, leaf in optimizer.gaussians:
        gradient = torch.randn(leaf.shape, generator=generator)
        leaf.grad = gradient * rows.view(-1, *[1] * (leaf.dim() - 1))


def wanted(visible: Tensor | None, *, pulls: bool = False, **constants: Any) -> Gaussians:
    """What one step by the plain sum of both looks makes."""
    optimizer, _ = gathering(**constants)
    sums = {name: torch.zeros_like(leaf) for name, leaf in optimizer.gaussians}
    for seed, seen in enumerate(SEEN):
        look(optimizer, seed, seen, pulls=pulls)
        for name, leaf in optimizer.gaussians:
            assert leaf.grad is not None
            sums[name] += leaf.grad
    for name, leaf in optimizer.gaussians:
        leaf.grad = sums[name]
    optimizer.set_rates(1)
    optimizer.step(visible)
    return optimizer.gaussians.detach()


@pytest.mark.parametrize("visible_only", [False, True])
def test_two_looks_make_one_step_by_their_sum(visible_only: bool) -> None:
    optimizer, gathered = gathering(visible_only=visible_only)
    for seed, seen in enumerate(SEEN):
        look(optimizer, seed, seen)
        gathered.add(seen, steps_next=seed == 1)
        assert all(leaf.grad is None for _, leaf in optimizer.gaussians)
    gathered.step(1)
    visible = SEEN[0] | SEEN[1] if visible_only else None
    for name, tensor in wanted(visible, visible_only=visible_only):
        assert torch.equal(getattr(optimizer.gaussians, name), tensor), name
    assert gathered.state() == {}


def test_what_pulls_at_all_rows_counts_where_nothing_is_seen() -> None:
    optimizer, gathered = gathering(opacity_weight=0.01)
    for seed, seen in enumerate(SEEN):
        look(optimizer, seed, seen, pulls=True)
        gathered.add(seen, steps_next=seed == 1)
    gathered.step(1)
    for name, tensor in wanted(None, pulls=True, opacity_weight=0.01):
        assert torch.equal(getattr(optimizer.gaussians, name), tensor), name


def test_one_look_that_pulls_at_all_rows_moves_those_that_nothing_shows() -> None:
    """As on several GPUs: one that no view shows may still be pulled to be transparent."""
    optimizer, gathered = gathering(opacity_weight=0.01, visible_only=True)
    before = optimizer.gaussians.detach().opacities.clone()
    look(optimizer, 0, SEEN[0], pulls=True)
    gathered.add(SEEN[0], steps_next=True)
    gathered.step(1)
    assert (optimizer.gaussians.opacities != before).all()


def test_a_parameter_without_a_gradient_counts_as_one_whose_gradient_is_zero() -> None:
    optimizer, gathered = gathering()
    before = optimizer.gaussians.detach().sh.clone()
    for seed, seen in enumerate(SEEN):
        look(optimizer, seed, seen)
        optimizer.gaussians.sh.grad = None
        gathered.add(seen, steps_next=False)
    assert not gathered.state()["pending"]["sh"].any()
    gathered.step(1)
    assert torch.equal(optimizer.gaussians.sh, before)


def test_a_look_that_adam_steps_by_at_once_is_copied_nowhere() -> None:
    optimizer, gathered = gathering()
    look(optimizer, 0, SEEN[0])
    gradient = optimizer.gaussians.means.grad
    gathered.add(SEEN[0], steps_next=True)
    assert optimizer.gaussians.means.grad is gradient
    assert gathered.state() == {}


def test_what_waits_goes_on_from_a_checkpoint() -> None:
    optimizer, gathered = gathering(visible_only=True)
    look(optimizer, 0, SEEN[0])
    gathered.add(SEEN[0], steps_next=False)
    later, resumed = gathering(visible_only=True)
    resumed.load_state(gathered.state())
    look(later, 1, SEEN[1])
    resumed.add(SEEN[1], steps_next=True)
    resumed.step(1)
    for name, tensor in wanted(SEEN[0] | SEEN[1], visible_only=True):
        assert torch.equal(getattr(later.gaussians, name), tensor), name


def test_what_is_saved_of_pending_gradients_has_no_room_for_growth() -> None:
    optimizer, gathered = gathering(grows_to=1000 * COUNT)
    look(optimizer, 0, SEEN[0])
    gathered.add(SEEN[0], steps_next=False)
    for tensor in gathered.state()["pending"].values():
        assert tensor.untyped_storage().nbytes() == tensor.nbytes
