"""Adam by rows: PyTorch's own steps, and memory that follows its Gaussian."""

from dataclasses import replace

import pytest
import torch

from splat_trainer.gaussians.gaussians import NAMES
from splat_trainer.gaussians.morton import morton_order
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import Schedule
from tests.unit.rasterize.scenes import random_gaussians

SCHEDULE = Schedule(100)


def optimizer(count: int = 6, scale: float = 2.0, degree: int = 3) -> GaussianOptimizer:
    return GaussianOptimizer(random_gaussians(count, degree=degree), SCHEDULE, scale)


def set_gradients(one: GaussianOptimizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _, tensor in one.gaussians:
        tensor.grad = torch.randn(tensor.shape, generator=generator)


def push(one: GaussianOptimizer, step: int) -> None:
    set_gradients(one, step)
    one.set_rates(step)
    one.step()


@pytest.mark.parametrize("degree", [0, 3])
def test_steps_are_those_of_pytorchs_adam_with_the_fields_rates(degree: int) -> None:
    one = optimizer(degree=degree)
    parts = ("means", "quats", "scales", "opacities", "sh0", "shN")
    leaves = {name: getattr(one.gaussians, name).detach().clone() for name in parts}
    rates = {"means": 2 * 1.6e-4, "quats": 1e-3, "scales": 5e-3, "opacities": 5e-2}
    rates |= {"sh0": 2.5e-3, "shN": 1.25e-4}
    adam = torch.optim.Adam(
        [{"params": [leaves[name].requires_grad_()], "lr": rates[name]} for name in parts],
        eps=1e-15,
    )
    for step in range(1, 6):
        set_gradients(one, step)
        gradients = one.gaussians.as_dict()
        for name in parts[:4]:
            leaves[name].grad = gradients[name].grad
        both = one.gaussians.sh.grad
        assert both is not None
        leaves["sh0"].grad, leaves["shN"].grad = both[:, :1], both[:, 1:]
        adam.param_groups[0]["lr"] = 2 * SCHEDULE.means_lr_at(step)
        adam.step()
        one.set_rates(step)
        one.step()
    for name in parts:
        assert torch.allclose(getattr(one.gaussians, name), leaves[name], atol=1e-7), name
    assert all(tensor.grad is None for _, tensor in one.gaussians)


def test_the_other_rates_fall_as_the_schedule_says_and_that_of_the_means_as_ever() -> None:
    falling = replace(SCHEDULE, rates_final=0.01)
    ways = []
    for schedule in (SCHEDULE, falling):
        one = GaussianOptimizer(random_gaussians(6), schedule, 2.0)
        before = {name: tensor.detach().clone() for name, tensor in one.gaussians}
        set_gradients(one, 1)
        one.set_rates(51)
        one.step()
        ways.append({name: float((tensor - before[name]).norm()) for name, tensor in one.gaussians})
    for name in NAMES:
        share = 1 if name == "means" else 0.1
        assert ways[1][name] == pytest.approx(ways[0][name] * share, rel=1e-3), name


def test_rows_out_of_sight_stay_as_they_are_with_their_memory() -> None:
    one, all_rows = optimizer(), optimizer()
    visible = torch.tensor([True, False, True, True, False, True])
    for step in (1, 2):
        set_gradients(all_rows, step)
        all_rows.set_rates(step)
        all_rows.step()
        set_gradients(one, step)
        one.set_rates(step)
        one.step(visible)
    start = optimizer()
    for name in NAMES:
        moved, still = getattr(one.gaussians, name), getattr(start.gaussians, name)
        assert torch.equal(moved[~visible], still[~visible]), name
        assert torch.allclose(moved[visible], getattr(all_rows.gaussians, name)[visible]), name
        for kind in ("first_moments", "second_moments"):
            assert one.state()[kind][name][~visible].abs().sum() == 0
            same = all_rows.state()[kind][name][visible]
            assert torch.allclose(one.state()[kind][name][visible], same)


def test_kept_rows_keep_their_memory_and_new_ones_have_none() -> None:
    one, kept_apart = optimizer(), optimizer()
    for step in (1, 2):
        push(one, step)
        push(kept_apart, step)
    keep, added = torch.tensor([5, 0, 2]), random_gaussians(2, seed=9).detach()
    before, means = kept_apart.state()["first_moments"], kept_apart.gaussians.means[keep]
    one.replace_rows(keep, added)
    order = morton_order(torch.cat([means, added.means]))
    moments = one.state()["first_moments"]
    for name in NAMES:
        rows = torch.cat([getattr(kept_apart.gaussians, name)[keep], getattr(added, name)])
        assert torch.equal(getattr(one.gaussians, name), rows[order])
        nothing = torch.zeros_like(getattr(added, name))
        assert torch.equal(moments[name], torch.cat([before[name][keep], nothing])[order])
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


def test_one_that_forgets_goes_on_as_a_new_one() -> None:
    one = optimizer()
    push(one, 1)
    two = GaussianOptimizer(one.gaussians, SCHEDULE, 2.0)
    one.forget()
    push(one, 2)
    push(two, 2)
    for name, tensor in one.gaussians:
        assert torch.equal(tensor, getattr(two.gaussians, name)), name


def test_memory_of_before_sh_was_one_tensor_goes_on_alike() -> None:
    one = optimizer()
    push(one, 1)
    state = one.state()
    for kind in ("first_moments", "second_moments"):
        sh = state[kind].pop("sh")
        state[kind] |= {"sh0": sh[:, :1], "shN": sh[:, 1:]}
    two = GaussianOptimizer(one.gaussians, SCHEDULE, 2.0)
    two.load_state(state)
    push(one, 2)
    push(two, 2)
    assert torch.equal(one.gaussians.sh, two.gaussians.sh)


def test_memory_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="first_moments of means"):
        optimizer(5).load_state(optimizer(6).state())


def test_degree_0_has_nothing_to_step_above_band_0() -> None:
    one = GaussianOptimizer(random_gaussians(4, degree=0), SCHEDULE, 1.0)
    push(one, 1)
    assert one.gaussians.shN.shape == (4, 0, 3)
