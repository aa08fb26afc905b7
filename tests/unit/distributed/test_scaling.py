import math

import pytest
import torch

from splat_trainer.contract import TrainConfig
from splat_trainer.distributed.scaling import (
    as_counted_by,
    scaled_by,
    scaled_to,
    views_a_step,
)
from splat_trainer.optimize.schedule import schedule_for


def test_one_view_a_step_changes_nothing() -> None:
    schedule = schedule_for(TrainConfig())
    assert scaled_to(schedule, 1) is schedule
    assert scaled_by(1) == {}


def test_four_views_a_step_go_twice_as_far_and_remember_a_quarter_as_many() -> None:
    schedule = schedule_for(TrainConfig())
    four = scaled_to(schedule, 4)
    assert four.means_lr_at(15_000) == pytest.approx(2 * schedule.means_lr_at(15_000))
    for name in ("quats_lr", "scales_lr", "opacities_lr", "sh0_lr", "shN_lr"):
        assert getattr(four, name) == 2 * getattr(schedule, name)
    assert four.adam_betas == pytest.approx((0.9**4, 0.999**4))
    assert four.densifies(600) == schedule.densifies(600)


def test_a_schedule_that_sums_views_sums_as_many_times_more() -> None:
    quality = schedule_for(TrainConfig(preset="quality"))
    two = scaled_to(quality, 2)
    assert [one.views_summed_at(1) for one in (quality, two)] == [1, 2]
    assert [one.views_summed_at(quality.iterations) for one in (quality, two)] == [4, 8]


@pytest.mark.parametrize(
    ("gpus", "views"), [(1, 1), (2, 4), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8)]
)
def test_a_step_takes_four_views_and_as_many_of_each_gpu(gpus: int, views: int) -> None:
    assert views_a_step(gpus, 30_000) == views
    assert views % gpus == 0


@pytest.mark.parametrize(("iterations", "views"), [(1, 2), (2_000, 2), (5_999, 2), (6_000, 4)])
def test_a_short_run_keeps_more_of_its_steps(iterations: int, views: int) -> None:
    assert views_a_step(2, iterations) == views


@pytest.mark.parametrize(("before", "now"), [(1, 1), (2, 1), (1, 2), (2, 4)])
def test_adam_corrects_its_moments_alike_after_a_resume_with_other_replicas(
    before: int, now: int
) -> None:
    schedule = schedule_for(TrainConfig())
    adam = {"steps": {"steps": torch.tensor(120.0)}, **scaled_by(before)}
    steps = int(as_counted_by(now, adam)["steps"]["steps"])

    def correction(size: int, steps: int) -> float:
        return 1 - math.prod([scaled_to(schedule, size).adam_betas[1]] * steps)

    assert correction(now, steps) == pytest.approx(correction(before, 120))
