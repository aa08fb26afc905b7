"""The table of constants: every one has a source, and short runs shrink their milestones."""

from dataclasses import fields, replace
from typing import get_args

import pytest

from splat_trainer.contract import TrainConfig
from splat_trainer.contract.presets import Preset
from splat_trainer.optimize.preset_constants import constants_of
from splat_trainer.optimize.schedule import Schedule, schedule_for


def test_every_constant_names_its_source() -> None:
    constants = [field for field in fields(Schedule) if field.name != "iterations"]
    assert len(constants) > 20
    for constant in constants:
        assert constant.metadata["source"], constant.name


def test_a_full_run_of_reference_is_the_fields() -> None:
    schedule = schedule_for(TrainConfig(preset="reference"))
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
    schedule = schedule_for(TrainConfig(preset="reference", iterations=iterations))
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


def test_reference_has_the_constants_of_the_field_alone() -> None:
    assert constants_of("reference") == {}
    assert schedule_for(TrainConfig(preset="reference")) == Schedule(
        30_000, densify_until=15_000, densify_every=100
    )


@pytest.mark.parametrize("preset", get_args(Preset))
def test_every_preset_sets_constants_that_there_are_and_they_hold(preset: Preset) -> None:
    schedule = schedule_for(TrainConfig(preset=preset))
    for name, value in constants_of(preset).items():
        assert getattr(schedule, name) == value


def test_every_gaussian_has_a_fifth_of_the_run_to_settle_in_every_budget() -> None:
    for preset in ("balanced", "fast", "quality", "compact"):
        config = TrainConfig.model_validate({"preset": preset})
        schedule = schedule_for(config)
        steps = range(int(0.8 * config.iterations) + 1, config.iterations + 1)
        assert not any(schedule.fades_opacity(step) for step in steps)
        assert all(schedule.divisor_at(step) == 1 for step in steps)
        fades = [step for step in range(1, config.iterations + 1) if schedule.fades_opacity(step)]
        assert 2 <= len(fades) <= 9


@pytest.mark.parametrize(("iterations", "fades"), [(60, 0), (249, 0), (250, 2), (7_000, 2)])
def test_opacities_are_halved_only_where_they_have_time_to_come_back(
    iterations: int, fades: int
) -> None:
    schedule = schedule_for(TrainConfig(iterations=iterations))
    steps = range(1, iterations + 1)
    assert sum(schedule.fades_opacity(step) for step in steps) == fades


@pytest.mark.parametrize(
    ("iterations", "until", "fades"),
    [(200, 200, [100]), (5_000, 5_000, [2_500]), (5_200, 5_000, [2_500]), (9_000, 7_650, 3)],
)
def test_no_halving_comes_so_late_that_it_is_what_is_measured(
    iterations: int, until: int, fades: list[int] | int
) -> None:
    config = TrainConfig(iterations=iterations, densify_until_iteration=until)
    schedule = schedule_for(config)
    found = [step for step in range(1, iterations + 1) if schedule.fades_opacity(step)]
    assert fades in (found, len(found))


def test_images_grow_by_shares_of_the_run() -> None:
    schedule = replace(Schedule(100), coarse_until=((0.3, 2), (0.1, 4)))
    sizes = [schedule.divisor_at(step) for step in (1, 10, 11, 30, 31, 100)]
    assert sizes == [4, 4, 2, 2, 1, 1]
    assert Schedule(100).divisor_at(1) == 1


def test_views_are_summed_late_and_none_is_lost_at_the_end() -> None:
    schedule = replace(Schedule(50), late_views_per_step=4, late_from=0.6)
    moves = [step for step in range(1, 51) if schedule.moves(step)]
    assert moves == [*range(1, 31), 32, 36, 40, 44, 48, 50]
    assert all(Schedule(50).moves(step) for step in range(1, 51))
    pairs = replace(Schedule(9), views_per_step=2)
    assert [step for step in range(1, 10) if pairs.moves(step)] == [2, 4, 6, 8, 9]


def test_the_other_rates_fall_to_their_final_factor() -> None:
    schedule = replace(Schedule(100), rates_final=0.01)
    factors = [schedule.rates_factor_at(step) for step in (1, 51, 101)]
    assert factors == pytest.approx([1, 0.1, 0.01])
    assert Schedule(100).rates_factor_at(77) == 1
