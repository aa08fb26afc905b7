import pytest

from splat_trainer.cli.config_sources import resolve_config
from splat_trainer.contract import ExitCode, TrainerError


def refusal(
    flags: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
    file: dict[str, object] | None = None,
) -> str:
    with pytest.raises(TrainerError) as caught:
        resolve_config(flags or {}, environ or {}, file or {}, "run.yaml")
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "\n" not in caught.value.message
    return caught.value.message


def test_defaults_where_nobody_says_anything() -> None:
    assert resolve_config({}, {}, {}).iterations == 18_000


def test_the_file_wins_over_the_defaults() -> None:
    assert resolve_config({}, {}, {"iterations": 500}).iterations == 500


def test_the_environment_wins_over_the_file() -> None:
    assert resolve_config({}, {"ITERATIONS": "600"}, {"iterations": 500}).iterations == 600


def test_a_flag_wins_over_the_environment() -> None:
    config = resolve_config({"iterations": "700"}, {"ITERATIONS": "600"}, {"iterations": 500})
    assert config.iterations == 700


def test_all_three_variables_are_heard() -> None:
    environ = {"ITERATIONS": "900", "DENSIFY_UNTIL_ITER": "300", "DENSIFICATION_INTERVAL": "50"}
    config = resolve_config({}, environ, {})
    assert config.iterations == 900
    assert config.densify_until_iteration == 300
    assert config.densification_interval == 50


def test_an_overridden_value_need_not_be_valid() -> None:
    assert resolve_config({"iterations": "7"}, {"ITERATIONS": "many"}, {}).iterations == 7


def test_a_faulty_flag_is_named() -> None:
    message = refusal(flags={"max_side": "3"})
    assert message == "max_side must be greater than or equal to 16, not '3' (--max-side)"


def test_a_faulty_variable_is_named() -> None:
    assert "iterations must be a valid integer, not 'many' ($ITERATIONS)" in refusal(
        environ={"ITERATIONS": "many"}
    )


def test_a_faulty_value_of_the_file_is_named_with_the_file() -> None:
    assert "'bicubic' (run.yaml)" in refusal(file={"strategy": "bicubic"})


def test_every_fault_is_told_at_once() -> None:
    message = refusal(flags={"seed": "-1"}, file={"sh_degree": 9})
    assert "seed" in message
    assert "sh_degree" in message


def test_a_clash_tells_where_both_sides_come_from() -> None:
    message = refusal(flags={"iterations": "700"}, file={"densify_until_iteration": 15_000})
    assert "iterations from --iterations" in message
    assert "densify_until_iteration from run.yaml" in message


def test_a_clash_with_a_default_says_so() -> None:
    message = refusal(flags={"strategy": "mcmc"})
    assert "max_gaussians from the default" in message


def test_a_very_long_value_does_not_fill_the_line() -> None:
    assert len(refusal(flags={"iterations": "x" * 100_000})) < 200


def test_flag_environment_and_file_all_win_over_the_preset_whoever_names_it() -> None:
    environ = {"ITERATIONS": "4000", "DENSIFICATION_INTERVAL": "50"}
    config = resolve_config({"preset": "fast"}, environ, {"densify_until_iteration": 2_000})
    assert config.strategy == "budget"
    assert (config.iterations, config.densify_until_iteration) == (4_000, 2_000)
    assert config.densification_interval == 50
