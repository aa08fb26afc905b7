"""Each strategy adds and removes what its paper says, resets what it must, and keeps its cap."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from splat_trainer.contract import TrainConfig
from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.absgrad import AbsgradStrategy
from splat_trainer.optimize.strategies.default import DefaultStrategy
from splat_trainer.optimize.strategies.mcmc import McmcStrategy, share_opacity
from splat_trainer.optimize.strategies.strategy import make_strategy
from splat_trainer.rasterize.interface import Rendering
from splat_trainer.rasterize.reference import ReferenceRasterizer
from tests.unit.optimize.rows import kept_first
from tests.unit.rasterize.scenes import cameras_around, random_gaussians

SCHEDULE = Schedule(30_000)
GENERATOR = torch.Generator().manual_seed(0)
SMALL, LARGE, HUGE = -6.0, -3.0, 0.5


def gaussians_of(scales: list[float], opacities: list[float]) -> Gaussians:
    one = random_gaussians(len(scales)).detach()
    return one.replacing(
        scales=torch.tensor(scales)[:, None].repeat(1, 3), opacities=torch.tensor(opacities)
    )


def rendering_with(gradients: list[float], visible: list[bool] | None = None) -> Rendering:
    """A rendering of 20 x 10 pixels whose gradients on screen have these lengths."""
    means2d = torch.zeros(1, len(gradients), 2, requires_grad=True)
    means2d.grad = torch.stack([torch.tensor(gradients) / 10, torch.zeros(len(gradients))], 1)[None]
    means2d.absgrad = means2d.grad * 5  # type: ignore[attr-defined]
    return Rendering(
        torch.zeros(1, 10, 20, 3),
        torch.zeros(1, 10, 20, 1),
        means2d,
        torch.tensor([visible or [True] * len(gradients)]),
    )


def after(
    strategy: DefaultStrategy, gaussians: Gaussians, step: int, *, schedule: Schedule = SCHEDULE
) -> Gaussians:
    optimizer = GaussianOptimizer(gaussians, schedule, 1.0)
    strategy.update(step, optimizer, GENERATOR)
    result = optimizer.gaussians.detach()
    return result.select(kept_first(gaussians, result))


def test_a_small_one_that_moves_is_cloned_where_it_is() -> None:
    gaussians = gaussians_of([SMALL, SMALL], [0.0, 0.0])
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    strategy.observe(rendering_with([1e-3, 1e-5]))
    result = after(strategy, gaussians, 600)
    assert len(result) == 3
    assert torch.equal(result.means[2], gaussians.means[0])
    assert torch.equal(result.scales[2], gaussians.scales[0])


def test_a_large_one_that_moves_gives_way_to_two_smaller_ones_inside_it() -> None:
    gaussians = gaussians_of([SMALL, LARGE], [0.0, 0.0])
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    strategy.observe(rendering_with([1e-5, 1e-3]))
    result = after(strategy, gaussians, 600)
    assert len(result) == 3
    assert torch.equal(result.means[0], gaussians.means[0])
    assert torch.allclose(result.scales[1:].exp(), gaussians.scales[1].exp() / 1.6)
    distance = (result.means[1:] - gaussians.means[1]).norm(dim=1)
    assert (distance > 0).all()
    assert (distance < 5 * gaussians.scales[1].exp().max()).all()


def test_gradients_are_averaged_over_the_views_that_saw_the_gaussian() -> None:
    gaussians = gaussians_of([SMALL, SMALL], [0.0, 0.0])
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    strategy.observe(rendering_with([3e-4, 3e-4]))
    for _ in range(3):
        strategy.observe(rendering_with([0.0, 0.0], [False, True]))
    assert len(after(strategy, gaussians, 600)) == 3


def test_what_is_transparent_is_removed_and_what_is_huge_only_after_the_first_reset() -> None:
    gaussians = gaussians_of([SMALL, SMALL, HUGE], [0.0, -7.0, 0.0])
    early = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    assert torch.equal(after(early, gaussians, 600).means, gaussians.means[[0, 2]])
    late = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    assert torch.equal(after(late, gaussians, 3100).means, gaussians.means[[0]])


def test_opacities_are_reset_where_gsplat_forgets_to() -> None:
    gaussians = gaussians_of([SMALL] * 3, [3.0, 0.0, -5.0])
    optimizer = GaussianOptimizer(gaussians, SCHEDULE, 1.0)
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    for _, tensor in optimizer.gaussians:
        tensor.grad = torch.ones_like(tensor)
    optimizer.set_rates(1)
    optimizer.step()
    strategy.update(2999, optimizer, GENERATOR)
    assert optimizer.gaussians.opacities.sigmoid().max() > 0.9
    strategy.update(3000, optimizer, GENERATOR)
    opacities = optimizer.gaussians.opacities.sigmoid()
    assert opacities[:2].tolist() == pytest.approx([0.01, 0.01])
    assert opacities[2] < 0.01
    state = optimizer.state()
    assert state["first_moments"]["opacities"].abs().sum() == 0
    assert state["first_moments"]["means"].abs().sum() > 0


def test_nothing_changes_outside_the_steps_of_densification() -> None:
    gaussians = gaussians_of([SMALL] * 2, [0.0, -7.0])
    for step in (1, 500, 599, 601, 15_000, 29_900, 30_000):
        strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
        strategy.observe(rendering_with([1e-3, 1e-3]))
        assert len(after(strategy, gaussians, step)) == 2, step


def test_under_a_cap_those_with_the_highest_gradients_grow() -> None:
    gaussians = gaussians_of([SMALL] * 5, [0.0] * 5)
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0, max_gaussians=7)
    strategy.observe(rendering_with([1e-3, 5e-3, 2e-3, 4e-3, 3e-3]))
    result = after(strategy, gaussians, 600)
    assert len(result) == 7
    assert torch.equal(result.means[5:], gaussians.means[[1, 3]])


def test_a_count_over_the_cap_never_grows() -> None:
    gaussians = gaussians_of([SMALL] * 5, [0.0] * 5)
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0, max_gaussians=3)
    strategy.observe(rendering_with([1e-3] * 5))
    assert len(after(strategy, gaussians, 600)) == 5


def test_absgrad_looks_at_absolute_gradients() -> None:
    gaussians = gaussians_of([SMALL] * 2, [0.0] * 2)
    schedule = replace(SCHEDULE, grow_gradient=8e-4)
    strategy = AbsgradStrategy(schedule, gaussians, 1.0)
    assert strategy.absgrad
    strategy.observe(rendering_with([1e-4, 2e-4]))
    assert len(after(strategy, gaussians, 600, schedule=schedule)) == 3


@pytest.mark.parametrize("cls", [DefaultStrategy, AbsgradStrategy])
def test_a_strategy_goes_on_from_its_state(cls: type[DefaultStrategy]) -> None:
    gaussians = gaussians_of([SMALL] * 2, [0.0] * 2)
    one = cls(SCHEDULE, gaussians, 1.0)
    one.observe(rendering_with([1e-3, 1e-5]))
    two = cls(SCHEDULE, gaussians, 1.0)
    two.load_state(one.state())
    assert len(after(two, gaussians, 600)) == len(after(one, gaussians, 600)) > 2


def mcmc(gaussians: Gaussians, step: int, cap: int) -> Gaussians:
    schedule = replace(SCHEDULE, noise=0.0)
    optimizer = GaussianOptimizer(gaussians, schedule, 1.0)
    McmcStrategy(schedule, cap).update(step, optimizer, torch.Generator().manual_seed(1))
    return optimizer.gaussians.detach()


def test_mcmc_moves_the_dead_onto_the_living_and_grows_by_a_twentieth_to_its_cap() -> None:
    gaussians = gaussians_of([SMALL] * 100, [2.0] * 60 + [-8.0] * 40)
    result = mcmc(gaussians, 600, cap=10_000)
    assert len(result) == 105
    places = {tuple(place) for place in gaussians.means[:60].tolist()}
    assert all(tuple(place) in places for place in result.means.tolist())
    assert (result.opacities.sigmoid() >= 0.005 - 1e-6).all()
    assert len(mcmc(gaussians, 600, cap=102)) == 102
    assert len(mcmc(gaussians, 600, cap=50)) == 100


def test_mcmc_without_anyone_alive_moves_nothing() -> None:
    gaussians = gaussians_of([SMALL] * 4, [-8.0] * 4)
    assert torch.equal(mcmc(gaussians, 600, cap=4).means, gaussians.means)


def test_mcmc_shakes_the_transparent_only() -> None:
    gaussians = gaussians_of([LARGE] * 2, [4.0, -8.0])
    optimizer = GaussianOptimizer(gaussians, SCHEDULE, 1.0)
    McmcStrategy(SCHEDULE, 10).update(7, optimizer, torch.Generator().manual_seed(1))
    moved = (optimizer.gaussians.detach().means - gaussians.means).norm(dim=1)
    assert moved[0] < 1e-8
    assert moved[1] > 1e-4


@pytest.mark.parametrize("copies", [1, 2, 5, 51])
def test_copies_that_share_an_opacity_look_like_the_one_before(copies: int) -> None:
    opacity, scale = torch.tensor([0.8]), torch.tensor([[0.3, 0.2, 0.1]])
    shared, scales = share_opacity(opacity, scale, torch.tensor([copies]))
    assert 1 - (1 - shared) ** copies == pytest.approx(0.8, abs=1e-5)
    # Along a ray through the centre, what all block together is what the one did (equation 7).
    x = torch.linspace(-3, 3, 20_001, dtype=torch.float64)

    def blocked(opacity: Tensor, scale: Tensor, count: int) -> float:
        one = opacity.double() * torch.exp(-(x**2) / (2 * scale.double() ** 2))
        return float((1 - (1 - one) ** count).sum())

    before = blocked(opacity, scale[0, 0], 1)
    assert blocked(shared, scales[0, 0], copies) == pytest.approx(before, rel=1e-3)


def test_copies_of_a_nearly_transparent_one_stay_finite() -> None:
    opacities, scales = share_opacity(
        torch.tensor([0.005, 0.9999999]), torch.ones(2, 3), torch.tensor([1000, 1000])
    )
    assert opacities.isfinite().all()
    assert scales.isfinite().all()
    assert (scales > 0).all()


@pytest.mark.parametrize("name", ["default", "absgrad", "mcmc", "budget"])
def test_the_configuration_names_the_strategy(name: str) -> None:
    settings: dict[str, Any] = {"strategy": name, "max_gaussians": 5000}
    gaussians = random_gaussians(3)
    strategy = make_strategy(
        TrainConfig.model_validate(settings),
        SCHEDULE,
        gaussians,
        1.0,
        views=10,
        max_gaussians=5000,
    )
    assert name in type(strategy).__name__.lower()


def test_real_gradients_are_observed_of_what_is_seen_only() -> None:
    gaussians = random_gaussians(50)
    with torch.no_grad():
        gaussians.means[10] = torch.tensor([0.0, 0.0, 500.0])
    strategy = DefaultStrategy(SCHEDULE, gaussians, 1.0)
    rendering = ReferenceRasterizer()(
        gaussians, cameras_around(1, width=30, height=20), sh_degree=0
    )
    rendering.colors.square().sum().backward()  # type: ignore[no-untyped-call]
    strategy.observe(rendering)
    state = strategy.state()
    assert state["gradient_sum"].sum() > 0
    unseen = ~rendering.visible[0]
    assert unseen.any()
    assert state["gradient_sum"][unseen].sum() == 0
    assert state["times_seen"].tolist() == rendering.visible[0].float().tolist()
