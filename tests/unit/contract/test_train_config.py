import pytest
from pydantic import ValidationError

from splat_trainer.contract import TrainConfig
from splat_trainer.contract.presets import PRESETS, Preset, Strategy


def reference(**settings: int) -> TrainConfig:
    return TrainConfig.model_validate({"preset": "reference", **settings})


def test_the_reference_is_a_full_3dgs_run() -> None:
    config = reference()
    assert (config.iterations, config.densify_until_iteration) == (30_000, 15_000)
    assert (config.densification_interval, config.sh_degree) == (100, 3)


def test_a_short_reference_densifies_for_half_of_its_steps() -> None:
    assert reference(iterations=7_000).densify_until_iteration == 3_500
    assert reference(iterations=1).densify_until_iteration == 1


def test_a_longer_reference_densifies_as_long_as_a_full_one() -> None:
    assert reference(iterations=90_000).densify_until_iteration == 15_000


@pytest.mark.parametrize(
    ("iterations", "until"), [(30_000, 25_000), (7_000, 5_833), (90_000, 25_000), (1, 1)]
)
def test_mcmc_densifies_for_five_sixths_of_a_full_run(iterations: int, until: int) -> None:
    config = TrainConfig(strategy="mcmc", max_gaussians=100_000, iterations=iterations)
    assert config.densify_until_iteration == until


def test_a_densification_that_was_set_is_never_scaled() -> None:
    config = TrainConfig(iterations=7_000, densify_until_iteration=5_000)
    assert config.densify_until_iteration == 5_000


def test_densifying_after_the_end_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="densifyUntilIteration"):
        TrainConfig(iterations=100, densify_until_iteration=101)


def test_mcmc_without_a_cap_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="maxGaussians"):
        TrainConfig(strategy="mcmc")


@pytest.mark.parametrize("settings", [{"strategy": "default"}, {"preset": "reference"}])
def test_a_target_without_a_budget_is_refused_by_name(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="targetGaussians is for strategy budget"):
        TrainConfig.model_validate({"target_gaussians": 5_000, **settings})
    assert TrainConfig(target_gaussians=5_000).target_gaussians == 5_000


def test_a_target_above_the_cap_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"targetGaussians \(5001\) is above maxGaussians"):
        TrainConfig(target_gaussians=5_001, max_gaussians=5_000)
    assert TrainConfig(target_gaussians=5_000, max_gaussians=5_000).target_gaussians == 5_000


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="iteratons"):
        TrainConfig.model_validate({"iteratons": 5})


def test_three_environment_variables_set_three_fields() -> None:
    environ = {
        "ITERATIONS": " 7000 ",
        "DENSIFY_UNTIL_ITER": "4000",
        "DENSIFICATION_INTERVAL": "",
        "PATH": "/bin",
    }
    assert TrainConfig.environment_overrides(environ) == {
        "iterations": "7000",
        "densify_until_iteration": "4000",
    }


def test_every_environment_variable_names_a_field() -> None:
    assert set(TrainConfig.environment_fields().values()) <= set(TrainConfig.model_fields)


def test_balanced_is_what_naming_nothing_gets() -> None:
    assert TrainConfig() == TrainConfig(preset="balanced")
    assert TrainConfig(iterations=500) == TrainConfig(preset="balanced", iterations=500)
    assert TrainConfig().model_fields_set == set()


@pytest.mark.parametrize("strategy", ["default", "absgrad", "mcmc", "budget"])
def test_a_strategy_without_a_preset_trains_by_the_fields_own_schedule(strategy: Strategy) -> None:
    config = TrainConfig(strategy=strategy, max_gaussians=1_000_000)
    assert (config.preset, config.iterations) == ("reference", 30_000)
    assert config.model_fields_set == {"strategy", "max_gaussians"}
    named = TrainConfig(strategy=strategy, max_gaussians=1_000_000, preset="fast")
    assert (named.preset, named.iterations) == ("fast", PRESETS["fast"].iterations)


def test_the_schema_tells_what_is_trained_with_when_nothing_is_set() -> None:
    told = TrainConfig.model_json_schema()["properties"]
    assert {name: one["default"] for name, one in told.items()} == TrainConfig().model_dump()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_in_what_nobody_set_and_does_not_count_it_as_set(preset: Preset) -> None:
    config = TrainConfig(preset=preset)
    assert config.iterations == PRESETS[preset].iterations
    assert config.strategy == PRESETS[preset].strategy
    assert config.model_fields_set == {"preset"}
    assert config.to_args() == ["--preset", preset]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("iterations", [1, 7, 400, 7_000, 30_000, 1_000_000])
def test_every_preset_makes_sense_at_every_length(preset: Preset, iterations: int) -> None:
    config = TrainConfig(preset=preset, iterations=iterations)
    again = TrainConfig.model_validate(config.model_dump())
    assert again == config  # every derived value is one that may be given, too


def test_what_is_given_wins_over_the_preset() -> None:
    config = TrainConfig(
        preset="fast", iterations=9_000, densify_until_iteration=1_600, strategy="default"
    )
    assert (config.iterations, config.strategy) == (9_000, "default")
    assert (config.densify_until_iteration, config.densification_interval) == (1_600, 100)


def test_a_budget_is_spent_in_four_fifths_of_a_run_of_any_length() -> None:
    config = TrainConfig(preset="balanced", iterations=10_000)
    assert (config.densify_until_iteration, config.densification_interval) == (8_000, 500)
    assert TrainConfig(strategy="budget").densify_until_iteration == 24_000
    sooner = TrainConfig(preset="balanced", densify_until_iteration=1_600)
    assert sooner.densification_interval == 100


def test_a_copy_with_another_value_keeps_what_the_preset_gave() -> None:
    copy = TrainConfig(preset="compact").model_copy(update={"checkpoint_interval": 500})
    assert copy.iterations == PRESETS["compact"].iterations
    assert copy.to_args() == ["--checkpoint-interval", "500", "--preset", "compact"]
