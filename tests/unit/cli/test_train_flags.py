import argparse
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from splat_trainer.cli.config_sources import resolve_config
from splat_trainer.cli.parser import build_parser
from splat_trainer.cli.train_flags import add_config_flags, flag_of, given_config_flags
from splat_trainer.contract import TrainConfig
from splat_trainer.contract.config import Device, Frame, Lens
from splat_trainer.contract.presets import Preset, Strategy


def parse(*args: str) -> dict[str, Any]:
    return given_config_flags(
        build_parser().parse_args(["train", "--data", "d", "--output", "o", *args])
    )


def help_of() -> str:
    parser = argparse.ArgumentParser(
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=500)
    )
    add_config_flags(parser)
    return parser.format_help()


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "preset": st.sampled_from(get_args(Preset)),
    "iterations": st.integers(1, 1_000_000),
    "densify_until_iteration": st.integers(0, 1_000_000),
    "densification_interval": st.integers(1, 10_000),
    "sh_degree": st.integers(0, 3),
    "strategy": st.sampled_from(get_args(Strategy)),
    "max_gaussians": st.none() | st.integers(1_000, 50_000_000),
    "target_gaussians": st.none() | st.integers(1_000, 50_000_000),
    "max_side": st.none() | st.integers(16, 16_384),
    "holdout_every": st.integers(0, 1_000),
    "seed": st.integers(0, 2**32 - 1),
    "checkpoint_interval": st.integers(0, 10**9),
    "allow_missing_images": st.booleans(),
    "lens": st.sampled_from(get_args(Lens)),
    "frame": st.sampled_from(get_args(Frame)),
    "device": st.sampled_from(get_args(Device)),
}


def test_the_property_below_covers_every_field() -> None:
    assert set(VALUES) == set(TrainConfig.model_fields)


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_every_valid_configuration_survives_the_command_line(values: dict[str, Any]) -> None:
    try:
        config = TrainConfig(**values)
    except ValidationError:
        return  # an impossible combination
    assert resolve_config(parse(*config.to_args()), {}, {}) == config


@pytest.mark.parametrize("name", TrainConfig.model_fields)
def test_every_field_has_a_flag_with_its_description(name: str) -> None:
    help_text = help_of()
    assert flag_of(name) in help_text
    assert str(TrainConfig.model_fields[name].description) in help_text


def test_help_tells_bounds_default_and_variable() -> None:
    assert "Training steps. [1 to 1000000; default 18000 with balanced, 9000 with fast" in help_of()
    assert "or $ITERATIONS]" in help_of()


def test_flags_that_were_not_given_leave_no_trace() -> None:
    assert parse() == {}


def test_a_switch_can_be_turned_off() -> None:
    assert parse("--no-allow-missing-images") == {"allow_missing_images": False}
