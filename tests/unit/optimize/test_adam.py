"""Adam by rows: PyTorch's own steps, and memory that follows its Gaussian."""

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import Schedule
from tests.unit.rasterize.scenes import random_gaussians

SCHEDULE = Schedule(100)


def optimizer(count: int = 6, scale: float = 2.0) -> GaussianOptimizer:
    return GaussianOptimizer(random_gaussians(count), SCHEDULE, scale)


def push(one: GaussianOptimizer, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for _, tensor in one.gaussians:
        tensor.grad = torch.randn(tensor.shape, generator=generator)
    one.step(step)


def test_steps_are_those_of_pytorchs_adam_with_the_fields_rates() -> None:
    one = optimizer()
    leaves = {name: tensor.detach().clone().requires_grad_() for name, tensor in one.gaussians}
    rates = {"means": 2 * 1.6e-4, "quats": 1e-3, "scales": 5e-3, "opacities": 5e-2}
    rates |= {"sh0": 2.5e-3, "shN": 1.25e-4}
    adam = torch.optim.Adam(
        [{"params": [leaves[name]], "lr": rates[name]} for name in NAMES], eps=1e-15
    )
    for step in range(1, 6):
        generator = torch.Generator().manual_seed(step)
        for name in NAMES:
            leaves[name].grad = torch.randn(leaves[name].shape, generator=generator)
        adam.param_groups[0]["lr"] = 2 * SCHEDULE.means_lr_at(step)
        adam.step()
        push(one, step)
    for name, tensor in one.gaussians:
        assert torch.allclose(tensor, leaves[name], atol=1e-7), name
        assert tensor.grad is None


def test_kept_rows_keep_their_memory_and_new_ones_have_none() -> None:
    one, kept_apart = optimizer(), optimizer()
    for step in (1, 2):
        push(one, step)
        push(kept_apart, step)
    keep = torch.tensor([5, 0, 2])
    one.replace_rows(keep, random_gaussians(2, seed=9).detach())
    assert len(one.gaussians) == 5
    moments = one.state()["first_moments"]
    before = kept_apart.state()["first_moments"]
    for name in NAMES:
        assert torch.equal(moments[name][:3], before[name][keep])
        assert moments[name][3:].abs().sum() == 0
        assert torch.equal(
            getattr(one.gaussians, name)[:3], getattr(kept_apart.gaussians, name)[keep]
        )
    push(one, 3)


def test_overwriting_forgets_exactly_what_it_overwrites() -> None:
    one = optimizer()
    push(one, 1)
    before = {name: moment.clone() for name, moment in one.state()["second_moments"].items()}
    leaf = one.gaussians.opacities
    one.overwrite(torch.tensor([1, 4]), opacities=torch.tensor([7.0, 8.0]))
    assert one.gaussians.opacities is leaf
    assert leaf[[1, 4]].tolist() == [7, 8]
    after = one.state()["second_moments"]
    assert after["opacities"][[1, 4]].tolist() == [0, 0]
    rest = [0, 2, 3, 5]
    assert torch.equal(after["opacities"][rest], before["opacities"][rest])
    assert torch.equal(after["scales"], before["scales"])


def test_loaded_memory_goes_on_alike() -> None:
    one = optimizer()
    push(one, 1)
    two = GaussianOptimizer(one.gaussians, SCHEDULE, 2.0)
    two.load_state(one.state())
    push(one, 2)
    push(two, 2)
    for name, tensor in one.gaussians:
        assert torch.equal(tensor, getattr(two.gaussians, name)), name


def test_memory_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="first_moments of means"):
        optimizer(5).load_state(optimizer(6).state())


def test_degree_0_has_nothing_to_step_above_band_0() -> None:
    one = GaussianOptimizer(random_gaussians(4, degree=0), SCHEDULE, 1.0)
    push(one, 1)
    assert one.gaussians.shN.shape == (4, 0, 3)
