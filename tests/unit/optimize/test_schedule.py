"""The table of constants: every one has a source, and short runs shrink their milestones."""

from dataclasses import fields

import pytest

from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.schedule import Schedule, schedule_for


def test_every_constant_names_its_source() -> None:
    constants = [field for field in fields(Schedule) if field.name != "iterations"]
    assert len(constants) > 20
    for constant in constants:
        assert constant.metadata["source"], constant.name


def test_a_full_run_is_the_fields() -> None:
    schedule = schedule_for(TrainConfig())
    assert schedule.densify_until == 15_000
    assert [step for step in range(1, 30_001) if schedule.resets_opacity(step)] == [
        3000, 6000, 9000, 12_000,
    ]  # fmt: skip
    densified = [step for step in range(1, 30_001) if schedule.densifies(step)]
    assert (densified[0], densified[-1], len(densified)) == (600, 14_900, 144)
    assert schedule.means_lr_at(1) == pytest.approx(1.6e-4)
    assert schedule.means_lr_at(15_001) == pytest.approx(1.6e-5)
    assert schedule.means_lr_at(30_001) == pytest.approx(1.6e-6)
    degrees = [schedule.sh_degree(step, 3) for step in (1, 1000, 1001, 2001, 3001, 30_000)]
    assert degrees == [0, 0, 1, 2, 3, 3]
    assert schedule.sh_degree(30_000, 1) == 1


@pytest.mark.parametrize("iterations", [1, 7, 100, 1000, 7000])
def test_a_short_run_reaches_every_degree_and_densifies_in_its_first_half(iterations: int) -> None:
    schedule = schedule_for(TrainConfig(iterations=iterations))
    assert schedule.sh_interval >= 1
    if iterations >= 1000:
        assert schedule.sh_degree(iterations // 2 + 1, 3) == 3
        densified = [step for step in range(1, iterations + 1) if schedule.densifies(step)]
        assert densified
        assert densified[-1] < iterations / 2
    assert not any(
        schedule.resets_opacity(step)
        for step in range(schedule.densify_until - schedule.densify_every, iterations + 1)
    )
