import pytest
from pydantic import ValidationError

from splat_trainer.contract import TrainConfig


def test_the_defaults_are_those_of_a_full_3dgs_run() -> None:
    config = TrainConfig()
    assert (config.iterations, config.densify_until_iteration) == (30_000, 15_000)
    assert (config.densification_interval, config.sh_degree) == (100, 3)


def test_a_short_run_densifies_for_half_of_its_steps() -> None:
    assert TrainConfig(iterations=7_000).densify_until_iteration == 3_500
    assert TrainConfig(iterations=1).densify_until_iteration == 1


def test_a_longer_run_densifies_as_long_as_a_full_one() -> None:
    assert TrainConfig(iterations=90_000).densify_until_iteration == 15_000


def test_a_densification_that_was_set_is_never_scaled() -> None:
    config = TrainConfig(iterations=7_000, densify_until_iteration=5_000)
    assert config.densify_until_iteration == 5_000


def test_densifying_after_the_end_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="densifyUntilIteration"):
        TrainConfig(iterations=100, densify_until_iteration=101)


def test_mcmc_without_a_cap_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="maxGaussians"):
        TrainConfig(strategy="mcmc")


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
