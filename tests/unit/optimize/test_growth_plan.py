"""The plan of strategy budget follows the capture, spends its budget evenly, and stops in time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splat_trainer.contract import TrainConfig
from splat_trainer.optimize.growth_plan import CaptureSize, count_cap, growth_plan
from splat_trainer.optimize.schedule import Schedule, schedule_for

BUDGET = TrainConfig(strategy="budget")
SCHEDULE = schedule_for(BUDGET)


def cap(size: CaptureSize, config: TrainConfig = BUDGET) -> int | None:
    return count_cap(config, schedule_for(config), size)


def test_a_cap_that_is_set_holds_and_other_strategies_have_no_other() -> None:
    size = CaptureSize(255, 100_000_000, 60_000)
    assert cap(size, TrainConfig(max_gaussians=5_000)) == 5_000
    assert cap(size, TrainConfig(strategy="default", max_gaussians=7_000)) == 7_000
    assert cap(size, TrainConfig(strategy="default")) is None


def test_a_cap_above_what_the_capture_wants_raises_nothing_and_a_target_does() -> None:
    size = CaptureSize(255, 100_000_000, 60_000)
    wanted = cap(size)
    assert wanted is not None
    assert cap(size, TrainConfig(max_gaussians=10 * wanted)) == cap(size, TrainConfig())
    assert cap(size, TrainConfig(target_gaussians=10 * wanted)) == 10 * wanted
    both = TrainConfig(target_gaussians=2 * wanted, max_gaussians=10 * wanted)
    assert cap(size, both) == 2 * wanted


def test_more_points_and_more_pixels_make_room_for_more() -> None:
    least = cap(CaptureSize(100, 50_000_000, 10_000))
    more_points = cap(CaptureSize(100, 50_000_000, 40_000))
    more_pixels = cap(CaptureSize(400, 200_000_000, 10_000))
    assert least is not None
    assert more_points == pytest.approx(2 * least, abs=2)
    assert more_pixels == pytest.approx(2 * least, abs=2)


@pytest.mark.parametrize("preset", ["balanced", "fast", "quality", "compact"])
def test_every_preset_leaves_its_points_room_to_grow(preset: str) -> None:
    config = TrainConfig.model_validate({"preset": preset})
    found = cap(CaptureSize(17, 3_200_000, 10_000), config)
    assert found is not None
    assert found >= 15_000


def test_a_dense_cloud_of_points_does_not_raise_the_cap_beyond_the_pixels() -> None:
    compact = TrainConfig(preset="compact")
    found = cap(CaptureSize(20, 4_000_000, 3_000_000), compact)
    assert found is not None
    assert found < 3_000_000 / 10


@given(
    st.integers(1, 3_000),
    st.integers(1, 60_000),
    st.sampled_from(["reference", "balanced", "fast", "quality", "compact"]),
)
def test_growth_ends_with_the_cap_and_in_time(views: int, iterations: int, preset: str) -> None:
    config = TrainConfig.model_validate(
        {"preset": preset, "strategy": "budget", "iterations": iterations}
    )
    schedule = schedule_for(config)
    plan = growth_plan(schedule, views)
    count = 100
    for event in plan.events:
        assert schedule.densify_from < event <= schedule.densify_until <= iterations
        assert plan.grows(event)
        count += plan.room(event, count, cap=10_000)
    if plan.events:
        assert count == 10_000
    assert list(plan.events) == sorted(set(plan.events))


def test_events_end_epochs_and_look_at_the_whole_of_theirs() -> None:
    plan = growth_plan(SCHEDULE, views=255)
    assert plan.whole_epochs
    assert plan.window == 255
    assert 14 <= len(plan.events) <= 20
    for event in plan.events:
        assert event % 255 == 0
        assert not plan.watches(event - 255)
        assert all(plan.watches(step) for step in range(event - 254, event + 1))
        assert not plan.watches(event + 1)
    assert plan.events[-1] > 0.75 * 30_000


def test_a_capture_of_more_views_than_an_interval_looks_at_the_interval() -> None:
    plan = growth_plan(SCHEDULE, views=5_000)
    assert not plan.whole_epochs
    assert 14 <= len(plan.events) <= 20
    assert plan.events[-1] == 24_000


def test_the_steps_to_the_cap_are_equal() -> None:
    plan = growth_plan(replace(Schedule(100), densify_every=10, densify_until=80), views=5)
    plan = replace(plan, events=(20, 40, 60, 80))
    counts = [100]
    for event in plan.events:
        counts.append(counts[-1] + plan.room(event, counts[-1], cap=500))
    assert counts == [100, 200, 300, 400, 500]
    # Of what was dropped on the way, those to come take their shares.
    assert plan.room(60, 200, cap=500) == 150
