"""Strategy budget grows where the error is, keeps its plan, and each of its parts can be off."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from splat_trainer.gaussians.gaussians import Gaussians
from splat_trainer.optimize.adam import GaussianOptimizer
from splat_trainer.optimize.growth_plan import GrowthPlan
from splat_trainer.optimize.schedule import Schedule
from splat_trainer.optimize.strategies.budget import BudgetStrategy, draw
from tests.unit.optimize.rows import kept_first
from tests.unit.rasterize.scenes import random_gaussians

SCHEDULE = replace(Schedule(100), densify_until=80)
PLAN = GrowthPlan(events=(40,), window=10, whole_epochs=True)


def grown(
    votes: dict[str, list[float]],
    room: int,
    *,
    opacities: list[float] | None = None,
    plan: GrowthPlan = PLAN,
    seed: int = 0,
    missed: int = 0,
    **changes: Any,
) -> tuple[Gaussians, Gaussians]:
    """Gaussians before and after an event with these votes and room for so many more.

    Those that stay come first, as they were.
    """
    schedule = replace(SCHEDULE, **changes)
    count = len(votes["error"])
    gaussians = random_gaussians(count).detach()
    if opacities is not None:
        gaussians = gaussians.replacing(opacities=torch.tensor(opacities))
    strategy = BudgetStrategy(schedule, gaussians, plan, count + room)
    names = ["error", "weight", "square", "flag", "flagged_loss"]
    used = [votes[name] for name in names if name in votes]
    counts = torch.tensor(used).T.contiguous()
    strategy.load_state({"votes": counts, "missed": torch.full((count,), float(missed))})
    optimizer = GaussianOptimizer(gaussians, schedule, 1.0)
    strategy.update(40, optimizer, torch.Generator().manual_seed(seed))
    after = optimizer.gaussians.detach()
    return gaussians, after.select(kept_first(gaussians, after))


def test_who_is_wrong_gets_a_smaller_child_and_stays() -> None:
    before, after = grown({"error": [0, 5, 0, 0], "weight": [1, 1, 1, 1]}, room=1)
    assert torch.equal(after.means[:4], before.means)
    assert torch.equal(after.scales[:4], before.scales)
    assert len(after) == 5
    assert torch.allclose(after.scales[4].exp(), before.scales[1].exp() / 1.6)
    assert after.opacities[4] == before.opacities[1]
    distance = (after.means[4] - before.means[1]).norm()
    assert 0 < distance < 6 * before.scales[1].exp().max()


def test_without_keeping_parents_two_children_take_their_place() -> None:
    before, after = grown(
        {"error": [0, 5, 0, 0], "weight": [1, 1, 1, 1]}, room=1, keep_parents=False
    )
    assert torch.equal(after.means[:3], before.means[[0, 2, 3]])
    assert len(after) == 5
    assert not torch.equal(after.means[3], after.means[4])


def test_what_no_view_uses_goes_and_makes_room() -> None:
    votes = {"error": [1.0, 1, 1, 0], "weight": [1.0, 1, 1, 0]}
    before, after = grown(votes, room=0)
    assert len(after) == 4
    assert torch.equal(after.means[:3], before.means[:3])
    _, kept = grown(votes, room=0, drop_unused=False)
    assert torch.equal(kept.means, before.means)
    _, kept = grown(votes, room=0, missed=1)  # the view that was missed may use it
    assert torch.equal(kept.means, before.means)
    part = replace(PLAN, whole_epochs=False)  # some view may still use it
    _, kept = grown(votes, room=0, plan=part)
    assert torch.equal(kept.means, before.means)


def test_nobody_goes_for_being_large_or_transparent() -> None:
    votes = {"error": [1.0] * 3, "weight": [1.0] * 3}
    before, after = grown(votes, room=0, opacities=[-9.0, -20.0, 5.0])
    assert torch.equal(after.means, before.means)


def test_the_transparent_do_not_multiply_as_much_by_the_square() -> None:
    votes = {"error": [1.0, 1.0], "weight": [1.0, 1.0]}
    logits = [torch.logit(torch.tensor(o)).item() for o in (0.1, 0.9)]
    firsts = []
    for seed in range(300):
        before, after = grown(votes, room=1, opacities=logits, seed=seed)
        firsts.append(bool(after.opacities[2] == before.opacities[0]))
    assert sum(firsts) / 300 == pytest.approx(0.01 / 0.82, abs=0.03)


def test_the_variance_wants_pixels_that_do_not_agree() -> None:
    # The first is wrong by 0.5 at each of four pixels, the second by 1 at two and 0 at two.
    votes = {"error": [2.0, 2.0], "weight": [4.0, 4.0], "square": [1.0, 2.0]}
    before, after = grown(votes, room=2, opacities=[0.0, 0.0], score="variance")
    assert len(after) == 3
    assert torch.allclose(after.scales[2].exp(), before.scales[1].exp() / 1.6)


def test_only_where_enough_views_agree_may_one_grow_where_that_is_asked() -> None:
    votes = {"error": [9.0, 1.0], "weight": [1.0, 1.0], "flag": [4.0, 6.0]}
    before, after = grown(votes, room=2, opacities=[0.0, 0.0], consistent_pixels=0.5)
    assert len(after) == 3
    assert torch.allclose(after.scales[2].exp(), before.scales[1].exp() / 1.6)


def test_the_worst_of_many_views_goes_where_that_is_asked() -> None:
    votes = {"error": [1.0] * 3, "weight": [1.0] * 3, "flagged_loss": [0.0, 8.9, 10.0]}
    before, after = grown(votes, room=0, prune_inconsistent=0.9)
    assert torch.equal(after.means[:2], before.means[:2])
    assert len(after) == 3
    assert not torch.equal(after.means[2], before.means[2])


def test_it_never_exceeds_its_cap_nor_draws_whom_nothing_speaks_for() -> None:
    votes = {"error": [1.0, 1, 0, 0], "weight": [1.0] * 4}
    assert len(grown(votes, room=3)[1]) == 6
    assert len(grown(votes, room=-2)[1]) == 4


def test_children_have_no_momentum_and_parents_keep_theirs() -> None:
    gaussians = random_gaussians(3).detach()
    strategy = BudgetStrategy(SCHEDULE, gaussians, PLAN, 4)
    strategy.load_state({"votes": torch.ones(3, 2)})
    optimizer = GaussianOptimizer(gaussians, SCHEDULE, 1.0)
    _step(optimizer)
    stepped = optimizer.gaussians.detach()
    strategy.update(40, optimizer, torch.Generator().manual_seed(0))
    places = kept_first(stepped, optimizer.gaussians.detach())
    moments = optimizer.state()["first_moments"]["means"][places]
    assert moments[:3].abs().min() > 0
    assert not moments[3].any()


def _step(optimizer: GaussianOptimizer) -> None:
    for _, tensor in optimizer.gaussians:
        tensor.grad = torch.ones_like(tensor)
    optimizer.set_rates(1)
    optimizer.step()


@pytest.mark.parametrize("restarts", [True, False])
def test_opacities_are_halved_to_where_they_are_still_drawn(restarts: bool) -> None:
    schedule = replace(SCHEDULE, fade_every=25, fade_restarts=restarts)
    gaussians = random_gaussians(3).detach()
    logits = torch.logit(torch.tensor([0.8, 0.01, 0.001]))
    gaussians = gaussians.replacing(opacities=logits)
    strategy = BudgetStrategy(schedule, gaussians, PLAN, 3)
    optimizer = GaussianOptimizer(gaussians, replace(schedule, opacities_lr=0.0), 1.0)
    _step(optimizer)
    kept = optimizer.gaussians.means.detach().clone()
    strategy.update(50, optimizer, torch.Generator())
    opacities = optimizer.gaussians.opacities.detach().sigmoid()
    assert opacities.tolist() == pytest.approx([0.4, 1 / 128, 1 / 128], rel=1e-4)
    assert (opacities > 1 / 255).all()
    assert torch.equal(optimizer.gaussians.means, kept)
    state = optimizer.state()
    assert not state["first_moments"]["opacities"].any()
    assert state["first_moments"]["means"].any() != restarts
    assert state["steps"]["steps"] == 1


def test_opacities_fade_at_their_steps_and_not_in_the_last_fifth() -> None:
    schedule = replace(SCHEDULE, fade_every=25)
    fades = [step for step in range(1, 101) if schedule.fades_opacity(step)]
    assert fades == [25, 50, 75]
    assert not any(SCHEDULE.fades_opacity(step) for step in range(1, 101))


def test_it_watches_in_the_window_of_an_event_only() -> None:
    gaussians = random_gaussians(3).detach()
    strategy = BudgetStrategy(SCHEDULE, gaussians, PLAN, 4)
    assert [step for step in range(1, 101) if strategy.probe(step)] == list(range(31, 41))
    assert strategy.probe(5) is None
    assert not strategy.state()["votes"].any()
    assert [step for step in range(1, 101) if strategy.changes(step)] == [40]


def test_votes_of_another_schedule_are_refused() -> None:
    gaussians = random_gaussians(3).detach()
    strategy = BudgetStrategy(replace(SCHEDULE, score="variance"), gaussians, PLAN, 4)
    with pytest.raises(ValueError, match="another schedule"):
        strategy.load_state({"votes": torch.ones(3, 2)})


def test_a_draw_without_replacement_is_in_proportion() -> None:
    score = torch.tensor([1.0, 2.0, 0.0, 5.0])
    generator = torch.Generator().manual_seed(3)
    drawn = torch.stack([draw(score, 1, generator) for _ in range(4_000)]).flatten()
    shares = torch.bincount(drawn, minlength=4) / 4_000
    assert shares.tolist() == pytest.approx([1 / 8, 2 / 8, 0, 5 / 8], abs=0.03)


@pytest.mark.parametrize(("count", "found"), [(0, 0), (2, 2), (3, 3), (9, 3)])
def test_a_draw_names_nobody_twice_and_nobody_without_a_score(count: int, found: int) -> None:
    score = torch.tensor([1.0, 2.0, 0.0, 5.0])
    rows: Tensor = draw(score, count, torch.Generator().manual_seed(3))
    assert len(set(rows.tolist())) == len(rows) == found
    assert 2 not in rows.tolist()
